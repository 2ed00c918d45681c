/** Once more, with a new stub, as a failed one stays broken; never against an object that says it has too much to do. */
export async function again<Value>(call: () => Promise<Value>): Promise<Value> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error && "overloaded" in error && error.overloaded === true) throw error;
    return call();
  }
}
