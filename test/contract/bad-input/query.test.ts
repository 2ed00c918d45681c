// The bad-input catalogue (reliability.md, section 8), rows 87-94: ids that are none, and ids that are somebody else's.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTaskId } from "../../../src/core/task-id.ts";
import { wire } from "../../../src/wire.ts";
import { aTenant, call, createdId, query, type TestTenant } from "../../support/gateway.ts";
import { expectRefusal, readError } from "../../support/refusals.ts";

const NOT_FOUND = { status: 404, code: "task_not_found" };

let owner: TestTenant;
let other: TestTenant;
let ownId: string;
let othersId: string;
beforeAll(async () => {
  owner = await aTenant();
  other = await aTenant();
  ownId = await createdId(owner.key, { prompt: "a lake [[stuck]]" });
  othersId = await createdId(other.key, { prompt: "a lake [[stuck]]" });
});
afterAll(reset);

function get(search: string): () => Promise<Response> {
  return async () => call(`/v1/video/query${search}`, { key: owner.key });
}

it.each(["", "?", "?id=", "?id", "?ID=x", "?task_id=x"])("row 87: no id: %j", async (search) => {
  const message = await expectRefusal(owner, get(search), { status: 400, code: "missing_required_parameter", param: "id" });
  expect(message).toBe("id is required.");
});

it.each(["?id=a&id=b", "?id=a&id=a", "?id=&id="])("row 88: two ids: %s", async (search) => {
  await expectRefusal(owner, get(search), { status: 400, code: "duplicate_parameter", param: "id" });
});

it("row 88: twice the right one", async () => {
  await expectRefusal(owner, get(`?id=${ownId}&id=${ownId}`), { status: 400, code: "duplicate_parameter", param: "id" });
});

describe("row 89: what no id looks like", () => {
  it.each([
    "x",
    "%00",
    "..%2f",
    "..%2f..%2fadmin",
    "%E0%A4%A",
    "%",
    "veo3:1234567890-abcdefgh", // the page's own example
    "veo3",
    "veo3:",
    "0",
    "null",
    "[object Object]",
    "%27%20OR%201=1--",
    "veo3:1704067200-abcdefghijklmnopqrstuvwxyz/../x",
  ])("%s", async (id) => {
    await expectRefusal(owner, get(`?id=${id}`), NOT_FOUND);
  });

  it("4 kB", async () => {
    await expectRefusal(owner, get(`?id=${"a".repeat(4_096)}`), NOT_FOUND);
  });

  it("a real one in capitals, with a space, or with more behind it", async () => {
    for (const id of [ownId.toUpperCase(), ` ${ownId}`, `${ownId} `, `${ownId}a`, `${ownId}\n`, ownId.slice(0, -1)]) {
      await expectRefusal(owner, async () => query(owner.key, id), NOT_FOUND);
    }
  });
});

describe("ids of the right shape that are not the caller's", () => {
  /** Signed by somebody who has another secret. */
  async function forged(): Promise<string> {
    return makeTaskId("another-secret", owner, "veo3", 1_704_067_200_000, crypto.getRandomValues(new Uint8Array(10)));
  }

  /** Signed by us, for this tenant, for a task that there never was. */
  async function unknown(): Promise<string> {
    const [secret = ""] = wire(env).settings.taskIdSecrets;
    return makeTaskId(secret, owner, "veo3", 1_704_067_200_000, crypto.getRandomValues(new Uint8Array(10)));
  }

  it("row 90: forged", async () => {
    await expectRefusal(owner, async () => query(owner.key, await forged()), NOT_FOUND);
  });

  it("row 90: any one character of a real one changed", async () => {
    for (let index = 0; index < ownId.length; index++) {
      const changed = ownId.slice(0, index) + (ownId[index] === "2" ? "3" : "2") + ownId.slice(index + 1);
      const reply = await query(await spare(), changed);
      expect([index, reply.status]).toEqual([index, 404]);
    }
  });

  it("row 91: another tenant's", async () => {
    await expectRefusal(owner, async () => query(owner.key, othersId), NOT_FOUND);
    expect((await query(other.key, othersId)).status).toBe(200);
  });

  it("row 91: the same tenant's in the other mode", async () => {
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    await expectRefusal(live, async () => query(live.key, ownId), NOT_FOUND);
  });

  it("are all told the same, byte for byte", async () => {
    const live = await aTenant({ tenant: owner.tenant, mode: "live" });
    const replies = [
      await query(owner.key, othersId),
      await query(owner.key, await forged()),
      await query(owner.key, await unknown()),
      await query(owner.key, "nonsense"),
      await query(live.key, ownId),
    ];
    const told = await Promise.all(
      replies.map(async (reply) => ({ status: reply.status, headers: headersOf(reply), body: await reply.text() })),
    );
    expect(told[0]?.status).toBe(404);
    for (const each of told) expect(each).toEqual(told[0]);
  });

  function headersOf(reply: Response): [string, string][] {
    return [...reply.headers].filter(([name]) => name !== "x-request-id");
  }
});

it("row 92: the colon may come encoded", async () => {
  for (const id of [ownId, ownId.replace(":", "%3A"), ownId.replace(":", "%3a")]) {
    expect((await get(`?id=${id}`)()).status).toBe(200);
  }
});

it.each(["..%2f..%2fadmin", "..%5c..%5cadmin", "%2e%2e%2fx", "%00", "x", "%E0%A4%A", "veo3", "veo3:1704067200-"])(
  "row 93: %s on the file route",
  async (id) => {
    const send = async () => call(`/v1/video/file/${id}?exp=9999999999&kid=k1&sig=${"A".repeat(43)}`);
    await expectRefusal(owner, send, { status: 404, code: "not_found" });
  },
);

describe("row 94: guessing", () => {
  it("is braked, and does not keep the guesser from its own tasks", async () => {
    const guesser = await aTenant();
    const id = await createdId(guesser.key, { prompt: "a lake [[stuck]]" });
    const replies: Response[] = [];
    // The shield's minute may turn over in the middle, so that it takes up to twice as many as it lets pass.
    while (replies.at(-1)?.status !== 429 && replies.length < 400)
      replies.push(await query(guesser.key, `veo3:1704067200-${replies.length}`));
    const braked = replies.filter(({ status }) => status === 429);
    expect(replies[0]?.status).toBe(404);
    expect(braked.length).toBeGreaterThan(0);
    const last = replies.at(-1) as Response;
    expect(Number(last.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(last.headers.get("RateLimit")).toMatch(/^"\w+";r=0;t=\d+$/);
    expect(await readError(last)).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect((await query(guesser.key, id)).status).toBe(200);
    expect((await query(owner.key, "nonsense")).status).toBe(404);
  });
});

/** A key of the owner's tenant is not needed where any id is wrong; a fresh one has not guessed before. */
async function spare(): Promise<string> {
  return (await aTenant()).key;
}
