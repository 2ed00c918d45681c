import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { asVarArguments, readDevArguments, readEnvFiles } from "../../src/cli/dev-arguments.ts";

describe("readDevArguments", () => {
  it("listens on loopback, port 8787, where nothing is said", () => {
    expect(readDevArguments([])).toEqual({ ip: "127.0.0.1", port: 8787, envFiles: [], rest: [] });
  });

  it("takes what start needs and leaves the rest to wrangler, in its order", () => {
    const args = [
      "--persist-to",
      "state",
      "--port",
      "9000",
      "--env-file=a.env",
      "--live-reload",
      "--ip=0.0.0.0",
      "--env-file",
      "b.env",
      "--var",
      "A:--port",
    ];
    expect(readDevArguments(args)).toEqual({
      ip: "0.0.0.0",
      port: 9000,
      envFiles: ["a.env", "b.env"],
      rest: ["--persist-to", "state", "--live-reload", "--var", "A:--port"],
    });
  });

  it.each([[["--port"]], [["--port", "http"]], [["--port", "70000"]], [["--env-file"]]])("refuses %j", (args) => {
    expect(() => readDevArguments(args)).toThrow(args[0]);
  });
});

describe("readEnvFiles", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "reelay-env-"));
    await writeFile(join(folder, "a.env"), `PROVIDERS='[{"name":"up","base_url":"http://127.0.0.1:9100"}]'\nUP_KEY=a:b=c\n`);
    await writeFile(join(folder, "b.env"), "# a comment\nUP_KEY=other\n");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("reads every name as it stands there; a later file wins", () => {
    expect(readEnvFiles([join(folder, "a.env"), join(folder, "b.env")])).toEqual({
      PROVIDERS: '[{"name":"up","base_url":"http://127.0.0.1:9100"}]',
      UP_KEY: "other",
    });
  });

  it("names a file that is not there", () => {
    expect(() => readEnvFiles(["/nowhere/c.env"])).toThrow("--env-file /nowhere/c.env: there is no such file");
  });
});

describe("asVarArguments", () => {
  it("keeps colons, equals signs and quotes of a value", () => {
    expect(asVarArguments({ A: `x:y=z "'`, B: "" })).toEqual(["--var", `A:x:y=z "'`, "--var", "B:"]);
  });
});
