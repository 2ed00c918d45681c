import { stripVTControlCharacters } from "node:util";

/** Text from elsewhere, safe for a terminal: without escape sequences, line breaks and other control characters. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(UNPRINTABLE, " ").trim();
}

/** JSON text that means the same and is safe for a terminal: what may stand in a string and a terminal obeys is written as an escape. */
export function printableJson(json: string): string {
  return json.replace(OBEYED, (character) => {
    const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]+/gu;
/** Below U+0020 JSON has only its own line breaks and tabs. */
const OBEYED = /[\u007f-\u009f\p{Cf}\p{Cs}\u2028\u2029]/gu;
