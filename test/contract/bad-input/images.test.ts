// The bad-input catalogue (reliability.md, section 8), rows 61-75 and 79: image URLs that a provider is not to be sent to.
// The rule itself is test/net/url-policy's; here is what of it a tenant meets.
import { reset } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aTenant, callWith, create, type TestTenant } from "../../support/gateway.ts";
import { expectRefusal, readError } from "../../support/refusals.ts";

let owner: TestTenant;
beforeAll(async () => {
  owner = await aTenant();
});
afterAll(reset);

const GOOD = "https://images.example/first.jpg";
const NOT_ALLOWED = { status: 400, code: "image_url_not_allowed" };

/** The second of two, so that `param` has to say which. */
async function refused(url: string): Promise<void> {
  const body = { model: "veo2-fast-frames", prompt: "a lake", images: [GOOD, url] };
  const message = await expectRefusal(owner, async () => create(owner.key, body), { ...NOT_ALLOWED, param: "images.1" });
  expect(message).toMatch(/^images\.1 must (?!.*images\.example)/);
}

function hosts(...names: string[]): string[] {
  return names.map((name) => `https://${name}/a.jpg`);
}

it.each([GOOD, "https://cdn.images.example:443/a%20b.jpg?w=1&h=2#x", "HTTPS://IMAGES.EXAMPLE/a.jpg", "https://例え.jp/湖.jpg"])(
  "takes %s",
  async (url) => {
    const { key } = await aTenant();
    expect((await create(key, { model: "veo3-pro-frames", prompt: "a lake", images: [url] })).status).toBe(200);
  },
);

it("the name of an upload, which is ours to give", async () => refused(`upload:${"0".repeat(64)}`));

it("row 61: http", async () => refused("http://images.example/a.jpg"));

it.each(["http://127.0.0.1:9000/a.jpg", "http://localhost:9000/a.jpg"])("row 61: %s, but in a local run", async (url) => {
  const { key } = await aTenant();
  const body = { model: "veo3-pro-frames", prompt: "a lake", images: [url] };
  expect((await create(key, body)).status).toBe(200);
  const init = { method: "POST", key, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const deployed = async () => callWith({ ENVIRONMENT: "production" }, "/v1/video/create", init);
  await expectRefusal(owner, deployed, { ...NOT_ALLOWED, param: "images.0" });
});

describe("this machine, in every spelling", () => {
  it.each(hosts("127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "0x7f000001"))("row 62: %s", refused);

  it.each(hosts("①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1", "１２７.0.0.1"))("row 63: %s", refused);

  it.each(hosts("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::7f00:1]", "[0:0:0:0:0:0:0:1]"))("row 64: %s", refused);

  it.each(hosts("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00::1]", "[fe80::1]"))("row 65: %s", refused);

  it.each(hosts("[fe80::1%25eth0]", "256.1.1.1", "1.2.3.4.5", "[::1", "127.0.0.1.", "0"))("row 66: %s", refused);
});

it.each(hosts("169.254.169.254", "100.100.100.200", "metadata.google.internal", "metadata", "[fd00:ec2::254]"))(
  "row 67: the cloud's own: %s",
  refused,
);

it.each(
  hosts(
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
  ),
)("row 68: a private network: %s", refused);

it.each(hosts("localhost", "LOCALHOST", "localhost.", "a.localhost", "x.local", "x.internal", "intranet", "router.lan"))(
  "row 69: a name that means nothing in public: %s",
  refused,
);

it.each(hosts("local\u00adhost", "127.0.\t0.1", "127.0.0\n.1", "loc\u200balhost"))("row 70: folds to such a one: %j", refused);

it.each([
  "https://good.example@127.0.0.1/",
  "https://user@images.example/a.jpg",
  "https://user:pass@images.example/",
  "https://:@images.example@10.0.0.1/",
])("row 71: with a user: %s", refused);

it.each([
  "https://127.0.0.1\\@good.example/",
  "https://127.0.0.1#@good.example/",
  "https://good.example\\@127.0.0.1/",
  "https:\\\\127.0.0.1\\a",
])("row 72: where parsers differ: %s", refused);

it.each([22, 25, 80, 6379, 8080, 8443])("row 73: port %i", async (port) => {
  await refused(`https://images.example:${port}/a.jpg`);
});

it.each([
  "data:image/png;base64,AAAA",
  "file:///etc/passwd",
  "ftp://images.example/a.jpg",
  "gopher://images.example/",
  "blob:https://images.example/1",
  "javascript:alert(1)",
  "ws://images.example/",
])("row 74: %s", refused);

describe("row 75: ourselves", () => {
  it.each(
    hosts(
      "gateway.example",
      "GATEWAY.example",
      "gateway.example.",
      "reelay.account.workers.dev",
      "account.r2.cloudflarestorage.com",
      "pub-1.r2.dev",
    ),
  )("%s", refused);

  it("a file of another tenant", async () => {
    await refused("https://gateway.example/v1/video/file/veo3:1704067200-abcdefghijklmnopqrstuvwxyz?exp=1&kid=k1&sig=x");
  });

  it("the host that links carry, and the bucket's", async () => {
    const settings = {
      PUBLIC_URL: "https://videos.example",
      S3_ENDPOINT: "https://bucket.example",
      S3_BUCKET: "b",
      S3_ACCESS_KEY_ID: "id",
      S3_SECRET_ACCESS_KEY: "secret",
    };
    for (const url of hosts("videos.example", "bucket.example")) {
      const body = JSON.stringify({ model: "veo3-pro-frames", prompt: "a lake", images: [url] });
      const init = { method: "POST", key: owner.key, headers: { "content-type": "application/json" }, body };
      await expectRefusal(owner, async () => callWith(settings, "/v1/video/create", init), { ...NOT_ALLOWED, param: "images.0" });
    }
  });
});

describe("row 79: hardly a URL", () => {
  it("10 kB", async () => refused(`https://images.example/${"a".repeat(10_000)}`));

  it.each(["//host.example/x", "/a.jpg", "images.example/a.jpg", "https://", "https:///", " ", "not a url"])("%j", refused);

  it("one that is read as a whole is judged as what it is read as", async () => {
    const { key } = await aTenant();
    const reply = await create(key, { model: "veo3-pro-frames", prompt: "a lake", images: ["https:images.example/a.jpg"] });
    expect(reply.status).toBe(200);
    await refused("https:127.0.0.1/a.jpg");
  });
});

it.each([
  ["http://images.example/a.jpg", "https://"],
  ["https://images.example:8443/a.jpg", "port 443"],
  ["https://u:p@images.example/a.jpg", "user name or password"],
  ["https://10.0.0.1/a.jpg", "not an IP address"],
  ["https://printer.local/a.jpg", "public host"],
  ["https://gateway.example/a.jpg", "outside this gateway"],
])("%s: says what is allowed", async (url, words) => {
  const reply = await create(owner.key, { model: "veo3-pro-frames", prompt: "a lake", images: [url] });
  expect((await readError(reply)).message).toContain(words);
});

it("is told of the first that is wrong", async () => {
  const body = { model: "veo2-fast-components", prompt: "a lake", images: [GOOD, "http://a.example/", "http://b.example/"] };
  await expectRefusal(owner, async () => create(owner.key, body), { ...NOT_ALLOWED, param: "images.1" });
});
