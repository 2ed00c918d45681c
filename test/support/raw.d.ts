/** A file as the text that is in it. */
declare module "*?raw" {
  const text: string;
  export default text;
}
