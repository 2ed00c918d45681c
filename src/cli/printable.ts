/** Text from elsewhere, safe for a terminal: without escape sequences, line breaks and other control characters. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]+/gu, " ").trim();
}
