import { expect, it } from "vitest";
import { verifyLink } from "../../src/core/signing.ts";
import { signedLinks } from "../../src/stores/links.ts";
import { presigner } from "../../src/stores/presign.ts";

const T0 = 1_704_067_200_500;
const ID = "veo3.1-fast:1704067200-abcdefghijklmnopqrstuvwxyz";
const VIDEO = { id: ID, linkRevision: 0 };
const KEYS = [
  { kid: "k2", secret: "new-link-secret" },
  { kid: "k1", secret: "old-link-secret" },
];

it("links to the file route with the id as it is, so that it can be read and curled", async () => {
  const link = await signedLinks(KEYS, 3_600).sign(VIDEO, "https://api.example.com", T0);
  expect(link).toMatch(
    /^https:\/\/api\.example\.com\/v1\/video\/file\/veo3\.1-fast:1704067200-[a-z2-7]{26}\?exp=1704070800&kid=k2&sig=[\w-]{43}$/,
  );
});

it.each(["veo3.1-fast:1704067200", "veo3.1-fast%3A1704067200"])("verifies a link to %s", async (spelling) => {
  const link = await signedLinks(KEYS, 3_600).sign(VIDEO, "https://api.example.com", T0);
  const { pathname, searchParams } = new URL(link.replace("veo3.1-fast:1704067200", spelling));
  const id = decodeURIComponent(pathname.split("/").at(-1) ?? "");
  expect(await verifyLink(KEYS, id, searchParams, T0 + 3_599_000)).toEqual({
    ok: true,
    value: { expiresAtSeconds: 1_704_070_800, revision: 0 },
  });
  expect(await verifyLink(KEYS, id, searchParams, T0 + 3_600_000)).toMatchObject({ ok: false, error: { kind: "url_expired" } });
});

it("keeps the path that a base has", async () => {
  const link = await signedLinks(KEYS, 60).sign(VIDEO, "https://example.com/reelay", T0);
  expect(link).toMatch(/^https:\/\/example\.com\/reelay\/v1\/video\/file\/veo3/);
});

it("presigns the object's own S3 address, from now and for so long", async () => {
  const settings = {
    endpoint: "https://account.r2.cloudflarestorage.com",
    bucket: "reelay-videos",
    accessKeyId: "AKID",
    secretAccessKey: "s",
  };
  const link = new URL(await presigner({ ...settings, ttlSeconds: 900 }).sign(VIDEO, "https://api.example.com", T0));
  expect(link.origin).toBe("https://account.r2.cloudflarestorage.com");
  expect(decodeURIComponent(link.pathname)).toBe(`/reelay-videos/videos/${ID}`);
  expect(Object.fromEntries(link.searchParams)).toMatchObject({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "AKID/20240101/auto/s3/aws4_request",
    "X-Amz-Date": "20240101T000000Z",
    "X-Amz-Expires": "900",
    "X-Amz-SignedHeaders": "host",
  });
});
