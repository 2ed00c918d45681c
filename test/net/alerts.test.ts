import { afterEach, describe, expect, it, vi } from "vitest";
import { alertSender } from "../../src/net/alerts.ts";

const URL = "https://alerts.example/hook";

afterEach(() => {
  vi.restoreAllMocks();
});

function aSender(url: string | null = URL) {
  let now = 1_800_000_000_000;
  const work: Promise<void>[] = [];
  const fetching = vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response("ok"));
  const send = alertSender(
    url,
    () => now,
    (each) => work.push(each),
  );
  return { send, fetching, pass: (ms: number) => (now += ms), settled: async () => Promise.all(work) };
}

describe("an alert", () => {
  it("is sent as JSON, with its kind, its time and what it is about", async () => {
    const { send, fetching, settled } = aSender();
    send("orphan", { task: "t1", reason: "timeout" });
    await settled();
    const [url, init] = fetching.mock.calls[0] ?? [];
    expect(url).toBe(URL);
    expect(JSON.parse(init?.body as string)).toEqual({ alert: "orphan", at: 1_800_000_000, task: "t1", reason: "timeout" });
  });

  it("goes out once a minute a kind, so that an outage is not a flood", async () => {
    const { send, fetching, pass, settled } = aSender();
    for (let count = 0; count < 5; count++) send("orphan", {});
    send("invariant_broken", {});
    pass(59_999);
    send("orphan", {});
    expect(fetching).toHaveBeenCalledTimes(2);
    pass(1);
    send("orphan", {});
    expect(fetching).toHaveBeenCalledTimes(3);
    await settled();
  });

  it("is nowhere sent where no URL is set", () => {
    const { send, fetching } = aSender(null);
    send("orphan", {});
    expect(fetching).not.toHaveBeenCalled();
  });

  it("that cannot be delivered disturbs nobody", async () => {
    const { send, fetching, settled } = aSender();
    fetching.mockRejectedValue(new Error("no route"));
    send("orphan", {});
    await expect(settled()).resolves.toEqual([undefined]);
  });
});
