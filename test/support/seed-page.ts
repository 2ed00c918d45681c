// The public API page as data, so that a test runs over what is written there and not over a copy of it.
import page from "../fixtures/seed-video-api.md?raw";

/** The rows of the table under a heading, each as its cells without their back-ticks. */
export function tableUnder(heading: string): string[][] {
  const section = page.split(`# ${heading}\n`)[1]?.split(/^#/m)[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  if (lines.length < 3) throw new Error(`the page has no table under ${heading}`);
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
}

/** The JSON examples under a heading, up to the next heading of that rank or a higher one. */
export function examplesUnder(heading: string): Record<string, unknown>[] {
  const [, rank = "", rest = ""] = new RegExp(`^(#+) ${heading}\n([^]*)`, "m").exec(page) ?? [];
  const section = rest.split(new RegExp(`^#{1,${rank.length}} `, "m"))[0] ?? "";
  return [...section.matchAll(/^```json\n([^]*?)^```/gm)].map(([, json = ""]) => JSON.parse(json) as Record<string, unknown>);
}

/** What the page's curl commands send: their path with its query, and their body where they have one. */
export function curlCommands(): { path: string; headers: Record<string, string>; body: string | null }[] {
  return [...page.matchAll(/^curl [^]*?^```/gm)].map(([command]) => ({
    path: /https:\/\/api\.apertis\.ai([^\s"]+)/.exec(command)?.[1] ?? "",
    headers: Object.fromEntries([...command.matchAll(/-H "([\w-]+): ([^"]+)"/g)].map(([, name = "", value = ""]) => [name, value])),
    body: /-d '([^']+)'/.exec(command)?.[1] ?? null,
  }));
}
