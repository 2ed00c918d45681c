// What JSON.parse lets pass and a paid request should not: a name given twice, of which it would keep the last, and nesting
// that only an attack has. Reads text that JSON.parse has accepted, so it can trust the grammar.

export type JsonFault = { readonly kind: "too_deep" } | { readonly kind: "duplicate_key"; readonly name: string };

const TOKEN = /"(?:[^"\\]+|\\.)*"|[{}[\],:]/g;

export function findJsonFault(text: string, maxDepth: number): JsonFault | null {
  /** One a nesting: the names seen in an object, null in an array. */
  const open: (Set<string> | null)[] = [];
  let atName = false;
  for (const [token] of text.matchAll(TOKEN)) {
    switch (token) {
      case "{":
      case "[":
        open.push(token === "{" ? new Set() : null);
        if (open.length > maxDepth) return { kind: "too_deep" };
        atName = token === "{";
        break;
      case "}":
      case "]":
        open.pop();
        atName = false;
        break;
      case ",":
        atName = open.at(-1) instanceof Set;
        break;
      case ":":
        atName = false;
        break;
      default: {
        if (!atName) break;
        // Unescaped, or "mod\u0065l" would pass for another name.
        const name = JSON.parse(token) as string;
        const names = open.at(-1);
        if (names?.has(name)) return { kind: "duplicate_key", name };
        names?.add(name);
      }
    }
  }
  return null;
}
