// The client's check of a webhook, beside the one of Standard Webhooks' own library: they agree, message by message.
import { Webhook } from "standardwebhooks";
import { expect, it } from "vitest";
import { verifyWebhook } from "../../src/client/reelay.ts";
import { ANOTHER_SECRET, SECRET } from "../support/webhooks.ts";

const BODY = JSON.stringify({
  id: "veo3:1704067200-abcdefgh",
  status: "completed",
  video_url: "https://gateway.example/video",
  enhanced_prompt: "Ein Löwe 🦁 \u2028 am See",
  status_update_time: 1_704_067_200,
});
const MINUTE = 60_000;
const THIRD_SECRET = "whsec_dGhpcmQtc2VjcmV0LWZvci10ZXN0cy0wMDAx";

function signed({ body = BODY, at = new Date(), secrets = [SECRET] as readonly string[] } = {}): Record<string, string> {
  const signatures = secrets.map((secret) => new Webhook(secret).sign("msg_1", at, body));
  return {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": signatures.join(" "),
    "webhook-event": "video.completed",
  };
}

/** What the library says to any one of the secrets. */
function libraryAccepts(body: string, headers: Record<string, string>, secrets: readonly string[]): boolean {
  return secrets.some((secret) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch {
      return false;
    }
  });
}

const soon = (ms: number): Date => new Date(Date.now() + ms);
const without = (name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(signed()).filter(([key]) => key !== name));
const signature = signed()["webhook-signature"] ?? "";

it.each<[string, boolean, Record<string, string>, string, readonly string[]]>([
  ["is genuine", true, signed(), BODY, [SECRET]],
  ["is genuine by the newer of two secrets", true, signed({ secrets: [ANOTHER_SECRET, SECRET] }), BODY, [ANOTHER_SECRET]],
  ["is genuine by the older of two secrets", true, signed({ secrets: [ANOTHER_SECRET, SECRET] }), BODY, [SECRET]],
  ["is genuine to who has two secrets", true, signed(), BODY, [ANOTHER_SECRET, SECRET]],
  ["is genuine to a secret without its prefix", true, signed(), BODY, [SECRET.slice("whsec_".length)]],
  ["is genuine after four minutes", true, signed({ at: soon(-4 * MINUTE) }), BODY, [SECRET]],
  ["is genuine from a clock that is ahead", true, signed({ at: soon(4 * MINUTE) }), BODY, [SECRET]],
  ["has a signature of a later kind too", true, { ...signed(), "webhook-signature": `v2,x ${signature}` }, BODY, [SECRET]],
  ["was signed by somebody else", false, signed({ secrets: [THIRD_SECRET] }), BODY, [SECRET, ANOTHER_SECRET]],
  ["has another body", false, signed(), BODY.replace("completed", "failed"), [SECRET]],
  ["has a space too many", false, signed(), `${BODY} `, [SECRET]],
  ["has another id", false, { ...signed(), "webhook-id": "msg_2" }, BODY, [SECRET]],
  ["has another time", false, { ...signed(), "webhook-timestamp": String(Math.floor(Date.now() / 1000) - 60) }, BODY, [SECRET]],
  ["is six minutes old", false, signed({ at: soon(-6 * MINUTE) }), BODY, [SECRET]],
  ["comes from the future", false, signed({ at: soon(6 * MINUTE) }), BODY, [SECRET]],
  ["has no id", false, without("webhook-id"), BODY, [SECRET]],
  ["has no time", false, without("webhook-timestamp"), BODY, [SECRET]],
  ["has a time that is none", false, { ...signed(), "webhook-timestamp": "now" }, BODY, [SECRET]],
  ["has no signature", false, without("webhook-signature"), BODY, [SECRET]],
  ["has half a signature", false, { ...signed(), "webhook-signature": signature.slice(0, 20) }, BODY, [SECRET]],
  ["has a signature of a later kind only", false, { ...signed(), "webhook-signature": `v2,${signature.slice(3)}` }, BODY, [SECRET]],
])("a message that %s: %s", async (_, isGenuine, headers, body, secrets) => {
  expect(libraryAccepts(body, headers, secrets)).toBe(isGenuine);
  const verified = verifyWebhook(body, headers, secrets.length === 1 ? (secrets[0] ?? "") : secrets);
  if (isGenuine) expect(await verified).toEqual({ id: "msg_1", type: "video.completed", data: JSON.parse(body) });
  else await expect(verified).rejects.toMatchObject({ name: "ReelayError", type: "webhook_error", isRetryable: false });
});

it("says what is wrong", async () => {
  const unmatched = "No signature matches: another secret signed it, or the body is not as it came.";
  await expect(verifyWebhook(BODY, signed(), ANOTHER_SECRET)).rejects.toMatchObject({
    code: "invalid_signature",
    message: unmatched,
  });
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    const missing = { code: "missing_header", message: `The header ${name} is missing.` };
    await expect(verifyWebhook(BODY, without(name), SECRET)).rejects.toMatchObject(missing);
  }
  await expect(verifyWebhook(BODY, signed({ at: soon(6 * MINUTE) }), SECRET)).rejects.toThrow(
    /^It was signed (359|36\d) s in the future; 300 s are allowed\.$/,
  );
  const old = signed({ at: soon(-6 * MINUTE) });
  await expect(verifyWebhook(BODY, old, SECRET)).rejects.toMatchObject({
    code: "timestamp_out_of_tolerance",
    message: expect.stringMatching(/^It was signed 36\d s ago; 300 s are allowed\.$/),
  });
  expect(await verifyWebhook(BODY, old, SECRET, { toleranceSeconds: 600 })).toMatchObject({ id: "msg_1" });
});

it("takes body and headers in whatever form a server has them", async () => {
  const bytes = new TextEncoder().encode(BODY);
  const shouted = Object.fromEntries(Object.entries(signed()).map(([name, value]) => [name.toUpperCase(), [value]]));
  for (const body of [BODY, bytes, bytes.buffer, Buffer.from(BODY)]) {
    for (const headers of [signed(), new Headers(signed()), shouted, { ...signed(), ":path": "/", cookie: undefined }]) {
      expect(await verifyWebhook(body, headers, SECRET)).toMatchObject({ type: "video.completed", data: JSON.parse(BODY) });
    }
  }
});

it.each([
  ["pending", "video.created"],
  ["processing", "video.processing"],
  ["completed", "video.completed"],
  ["failed", "video.failed"],
])("tells from the signed status %s that it is %s, whatever the header says", async (status, type) => {
  const body = JSON.stringify({ ...JSON.parse(BODY), status });
  expect(await verifyWebhook(body, { ...signed({ body }), "webhook-event": "video.other" }, SECRET)).toMatchObject({ type });
});

it.each(["", "whsec_", "whsec_dG9vIHNob3J0", "whsec_not base64 at all, really", undefined as unknown as string])(
  "never takes %j for a secret",
  async (secret) => {
    await expect(verifyWebhook(BODY, signed(), secret)).rejects.toThrow(TypeError);
  },
);
