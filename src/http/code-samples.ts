// One call in three languages, ready to be pasted: curl, Python with httpx, JavaScript with fetch.

export interface SampleCall {
  readonly method: string;
  readonly url: string;
  readonly needsKey: boolean;
  readonly body: { readonly type: "json" | "form"; readonly value: unknown } | null;
  /** What comes back. */
  readonly reply: "json" | "stream" | "file" | "nothing";
}

export interface CodeSample {
  readonly lang: string;
  readonly label: string;
  readonly source: string;
}

/** Stands for the reader's key in every sample. */
export const SAMPLE_KEY = "sk-your-api-key";
const FILE = "video.mp4";

export function codeSamples(call: SampleCall): CodeSample[] {
  return [
    { lang: "shell", label: "curl", source: curl(call) },
    { lang: "python", label: "Python", source: python(call) },
    { lang: "javascript", label: "JavaScript", source: javascript(call) },
  ];
}

function curl({ method, url, needsKey, body, reply }: SampleCall): string {
  const lines = [
    `curl ${reply === "stream" ? "-N " : ""}${method === "GET" || (method === "POST" && body !== null) ? "" : `-X ${method} `}"${url}"`,
    ...(needsKey ? [`-H "Authorization: Bearer ${SAMPLE_KEY}"`] : []),
  ];
  if (body?.type === "json") {
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(body.value, null, 2).replaceAll("'", "'\\''")}'`);
  }
  if (body?.type === "form") lines.push(...fieldsOf(body.value).map(([name, value]) => `-F ${name}='${value}'`));
  if (reply === "file") lines.push(`-o ${FILE}`);
  return lines.join(" \\\n  ");
}

function python({ method, url, needsKey, body, reply }: SampleCall): string {
  const given = [
    JSON.stringify(url),
    ...(needsKey ? [`headers={"Authorization": "Bearer ${SAMPLE_KEY}"}`] : []),
    ...(body?.type === "json" ? [`json=${pythonLiteral(body.value)}`] : []),
    ...(body?.type === "form" ? [`files=${pythonForm(body.value)}`] : []),
  ].map((each) => `    ${each.replaceAll("\n", "\n    ")},\n`);
  const verb = method.toLowerCase();
  if (reply === "stream") {
    return `import httpx

with httpx.stream(
    "${method}",
${given.join("")}    timeout=None,
) as reply:
    for line in reply.iter_lines():
        print(line)`;
  }
  const call = `import httpx\n\nreply = httpx.${verb}(\n${given.join("")})\n`;
  switch (reply) {
    case "file":
      return `${call}reply.raise_for_status()\nwith open("${FILE}", "wb") as file:\n    file.write(reply.content)`;
    case "nothing":
      return `${call}print(reply.status_code)`;
    case "json":
      return `${call}print(reply.status_code, reply.json())`;
  }
}

function javascript({ method, url, needsKey, body, reply }: SampleCall): string {
  const headers = {
    ...(needsKey && { Authorization: `Bearer ${SAMPLE_KEY}` }),
    ...(body?.type === "json" && { "Content-Type": "application/json" }),
  };
  const options = [
    ...(method === "GET" ? [] : [`method: "${method}"`]),
    ...(Object.keys(headers).length === 0 ? [] : [`headers: ${JSON.stringify(headers, null, 2)}`]),
    ...(body?.type === "json" ? [`body: JSON.stringify(${JSON.stringify(body.value, null, 2)})`] : []),
    ...(body?.type === "form" ? ["body: form"] : []),
  ].map((each) => `  ${each.replaceAll("\n", "\n  ")},\n`);
  const form =
    body?.type === "form"
      ? `const form = new FormData();\n${fieldsOf(body.value)
          .map(([name, value]) => `form.append(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
          .join("")}\n`
      : "";
  const call = `${form}const reply = await fetch(${JSON.stringify(url)}${options.length === 0 ? "" : `, {\n${options.join("")}}`});\n`;
  switch (reply) {
    case "stream":
      return `${call}for await (const text of reply.body.pipeThrough(new TextDecoderStream())) {\n  console.log(text);\n}`;
    case "file":
      return `${call}const bytes = new Uint8Array(await reply.arrayBuffer());\nconsole.log(reply.status, bytes.length);`;
    case "nothing":
      return `${call}console.log(reply.status);`;
    case "json":
      return `${call}console.log(reply.status, await reply.json());`;
  }
}

function fieldsOf(value: unknown): [string, string][] {
  return Object.entries(value ?? {}).map(([name, each]) => [name, typeof each === "string" ? each : JSON.stringify(each)]);
}

/** JSON's words in Python's spelling. */
function pythonLiteral(value: unknown, indent = ""): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map((each) => pythonLiteral(each, indent)).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return block(
    Object.entries(value).map(([name, each]) => [name, pythonLiteral(each, `${indent}    `)]),
    indent,
  );
}

/** Text fields of a multipart form, as httpx has them: no file name, then the value. */
function pythonForm(value: unknown): string {
  return block(fieldsOf(value).map(([name, each]) => [name, `(None, ${JSON.stringify(each)})`]));
}

function block(entries: readonly (readonly [string, string])[], indent = ""): string {
  if (entries.length === 0) return "{}";
  return `{\n${entries.map(([name, text]) => `${indent}    ${JSON.stringify(name)}: ${text},\n`).join("")}${indent}}`;
}
