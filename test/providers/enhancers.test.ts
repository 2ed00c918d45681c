import { afterEach, describe, expect, it, vi } from "vitest";
import { builtinEnhancer } from "../../src/providers/enhancer-builtin.ts";
import { chatEnhancer } from "../../src/providers/enhancer-chat.ts";
import { workersAiEnhancer } from "../../src/providers/enhancer-workers-ai.ts";

const SIGNAL = new AbortController().signal;

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the chat enhancer", () => {
  const enhancer = chatEnhancer({ baseUrl: "https://llm.example/v1", model: "small", apiKey: "secret" });

  function answers(status: number, body: unknown) {
    return vi.spyOn(globalThis, "fetch").mockImplementation(async () => Response.json(body, { status }));
  }

  it("asks for a completion as an OpenAI-compatible server expects it, and takes the first choice", async () => {
    const fetching = answers(200, { choices: [{ message: { role: "assistant", content: "A calm lake at dusk." } }] });
    expect(await enhancer.enhance("湖", SIGNAL)).toBe("A calm lake at dusk.");
    const [url, init] = fetching.mock.calls[0] ?? [];
    expect(url).toBe("https://llm.example/v1/chat/completions");
    expect(new Headers(init?.headers).get("authorization")).toBe("Bearer secret");
    expect(new Headers(init?.headers).get("content-type")).toBe("application/json");
    const sent = JSON.parse(init?.body as string) as { model: string; messages: { role: string; content: string }[] };
    expect(sent).toMatchObject({ model: "small", messages: [{ role: "system" }, { role: "user", content: "湖" }] });
  });

  it.each([
    [401, { error: { message: "no" } }],
    [200, { choices: [] }],
    [200, "nonsense"],
  ])("throws for what it cannot use: %i %j", async (status, body) => {
    answers(status, body);
    await expect(enhancer.enhance("a lake", SIGNAL)).rejects.toThrow();
  });
});

describe("the Workers AI enhancer", () => {
  it("runs a model with the same instruction", async () => {
    const run = vi.fn(async () => ({ response: "A calm lake." }));
    expect(await workersAiEnhancer({ run }).enhance("a lake", SIGNAL)).toBe("A calm lake.");
    expect(run).toHaveBeenCalledWith(
      expect.stringMatching(/^@cf\//),
      expect.objectContaining({ messages: [expect.objectContaining({ role: "system" }), { role: "user", content: "a lake" }] }),
      { signal: SIGNAL },
    );
  });
});

describe("the built-in enhancer", () => {
  it("says the same for the same prompt, and keeps the prompt whole", async () => {
    const once = await builtinEnhancer.enhance("a lake [[slow:1]]", SIGNAL);
    expect(once).toContain("a lake [[slow:1]]");
    expect(await builtinEnhancer.enhance("a lake [[slow:1]]", SIGNAL)).toBe(once);
  });
});
