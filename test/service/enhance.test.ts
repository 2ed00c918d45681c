import { afterEach, describe, expect, it, vi } from "vitest";
import type { Enhancer } from "../../src/ports.ts";
import { enhance } from "../../src/service/enhance.ts";
import { aGeneration } from "../support/builders.ts";

afterEach(() => {
  vi.useRealTimers();
});

const WISH = aGeneration({ prompt: "a lake", enhancePrompt: true });

function saying(text: string): Enhancer {
  return { enhance: async () => text };
}

describe("a prompt", () => {
  it("is rewritten where that was asked for", async () => {
    expect(await enhance(saying(" A calm lake. "), WISH)).toBe("A calm lake.");
    expect(await enhance(saying("A calm lake."), { ...WISH, enhancePrompt: false })).toBe("a lake");
    expect(await enhance(null, WISH)).toBe("a lake");
  });

  it.each([
    ["nothing", ""],
    ["half of a character", "\ud800"],
    ["too much", "x".repeat(8_001)],
    ["something like a key", "here it is: sk-live-0123456789"],
  ])("stays as it was sent when the enhancer says %s", async (_what, answer) => {
    expect(await enhance(saying(answer), WISH)).toBe("a lake");
  });

  it("stays as it was sent when the enhancer fails", async () => {
    expect(await enhance({ enhance: async () => Promise.reject(new Error("down")) }, WISH)).toBe("a lake");
  });

  it("does not wait longer than four seconds, whether the enhancer listens or not", async () => {
    vi.useFakeTimers();
    let signal: AbortSignal | undefined;
    const deaf: Enhancer = {
      enhance: async (_prompt, given) => {
        signal = given;
        return new Promise(() => undefined);
      },
    };
    const waiting = enhance(deaf, WISH);
    await vi.advanceTimersByTimeAsync(3_999);
    expect(signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await waiting).toBe("a lake");
    expect(signal?.aborted).toBe(true);
  });
});
