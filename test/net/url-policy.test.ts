import { describe, expect, it } from "vitest";
import { judgePublicUrl, resultUrlJudge } from "../../src/net/url-policy.ts";

const OWN_HOSTS = ["api.reelay.example", "localhost:8787"];
const judge = (url: string) => judgePublicUrl(url, OWN_HOSTS);

const SCHEME = "must be a whole URL that begins with https://";
const ADDRESS = "must name a host, not an IP address";
const PUBLIC = "must name a public host";
const CREDENTIALS = "must not carry a user name or password";
const PORT = "must use port 443";
const OURS = "must name a host outside this gateway and its platform";

describe("judgePublicUrl", () => {
  it.each([
    ["a plain one", "https://example.com/first-frame.jpg"],
    ["a signed one", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b.png?X-Amz-Signature=ab&x=1#f"],
    ["port 443 named", "https://example.com:443/a.png"],
    ["a trailing dot", "https://example.com./a.png"],
    ["capitals", "HTTPS://EXAMPLE.COM/a.png"],
    ["an international name", "https://bücher.example/a.png"],
    ["an underscore", "https://my_bucket.example.com/a.png"],
    ["no slashes, which is normalised (79)", "https:example.com"],
    ["a soft hyphen that folds to a public host (70)", "https://exam\u00adple.com/a.png"],
    ["a name that only begins like a refused one", "https://localhost.example.com/"],
    ["a name that only ends like our host", "https://notapi.reelay.example/"],
    ["2,048 characters (79)", `https://example.com/${"a".repeat(2_028)}`],
  ])("allows %s", (_, url) => {
    expect(judge(url)).toBeNull();
  });

  it.each([
    [61, "http://example.com/a.png", SCHEME],
    [62, "https://2130706433", ADDRESS],
    [62, "https://0x7f.1", ADDRESS],
    [62, "https://0177.0.0.1", ADDRESS],
    [62, "https://127.1", ADDRESS],
    [62, "https://017700000001", ADDRESS],
    [62, "https://127.0.0.1.", ADDRESS],
    [63, "https://①②⑦.⓪.⓪.①", ADDRESS],
    [63, "https://127。0。0。1", ADDRESS],
    [63, "https://%31%32%37.0.0.1", ADDRESS],
    [64, "https://[::1]", ADDRESS],
    [64, "https://[::]", ADDRESS],
    [64, "https://[::ffff:127.0.0.1]", ADDRESS],
    [64, "https://[::7f00:1]", ADDRESS],
    [65, "https://[64:ff9b::7f00:1]", ADDRESS],
    [65, "https://[2002:7f00:1::]", ADDRESS],
    [65, "https://[fd00::1]", ADDRESS],
    [65, "https://[fe80::1]", ADDRESS],
    [66, "https://[fe80::1%25eth0]", SCHEME],
    [66, "https://256.1.1.1", SCHEME],
    [66, "https://1.2.3.4.5", SCHEME],
    [67, "https://169.254.169.254/latest/meta-data", ADDRESS],
    [67, "https://100.100.100.200", ADDRESS],
    [67, "https://metadata.google.internal", PUBLIC],
    [67, "https://metadata.goog", PUBLIC],
    [67, "https://[fd00:ec2::254]", ADDRESS],
    [68, "https://10.0.0.1", ADDRESS],
    [68, "https://172.16.0.1", ADDRESS],
    [68, "https://192.168.0.1", ADDRESS],
    [68, "https://100.64.0.1", ADDRESS],
    [68, "https://198.18.0.1", ADDRESS],
    [68, "https://0.0.0.0", ADDRESS],
    [68, "https://224.0.0.1", ADDRESS],
    [68, "https://240.0.0.1", ADDRESS],
    [68, "https://8.8.8.8", ADDRESS],
    [69, "https://localhost", PUBLIC],
    [69, "https://LOCALHOST", PUBLIC],
    [69, "https://localhost.", PUBLIC],
    [69, "https://localhost..", PUBLIC],
    [69, "https://a.localhost", PUBLIC],
    [69, "https://x.local", PUBLIC],
    [69, "https://x.internal", PUBLIC],
    [69, "https://x.internal.", PUBLIC],
    [69, "https://intranet/a.png", PUBLIC],
    [70, "https://127.0\u00ad.0.1", ADDRESS],
    [70, "https://127.0\t.0.1", ADDRESS],
    [70, "https://local\u00adhost", PUBLIC],
    [71, "https://good.com@127.0.0.1", CREDENTIALS],
    [71, "https://user@example.com", CREDENTIALS],
    [71, "https://:secret@example.com", CREDENTIALS],
    [72, "https://127.0.0.1\\@good.com", "must not contain a backslash"],
    [72, "https://good.com\\@127.0.0.1", "must not contain a backslash"],
    [72, "https://127.0.0.1#@good.com", ADDRESS],
    [73, "https://example.com:22", PORT],
    [73, "https://example.com:25", PORT],
    [73, "https://example.com:6379", PORT],
    [73, "https://example.com:8080", PORT],
    [74, "data:image/png;base64,AAAA", SCHEME],
    [74, "file:///etc/passwd", SCHEME],
    [74, "ftp://example.com/a.png", SCHEME],
    [74, "gopher://example.com/", SCHEME],
    [74, "blob:https://example.com/1", SCHEME],
    [74, "javascript:alert(1)", SCHEME],
    [75, "https://api.reelay.example/v1/video/file/x", OURS],
    [75, "https://API.reelay.example./v1/video/file/x", OURS],
    [75, "https://reelay.somebody.workers.dev/", OURS],
    [75, "https://abc123.r2.cloudflarestorage.com/reelay-videos/x", OURS],
    [75, "https://pub-abc.r2.dev/x", OURS],
    [79, `https://example.com/${"a".repeat(10_000)}`, "must be at most 2,048 characters long"],
    [79, `https://example.com/${"a".repeat(2_029)}`, "must be at most 2,048 characters long"],
    [79, "https:127.1", ADDRESS],
    [79, "//host/x", SCHEME],
    [79, "", SCHEME],
  ])("refuses row %i: %j", (_, url, why) => {
    expect(judge(url)).toBe(why);
  });

  it("never repeats what it was given", () => {
    expect(judge("https://\u001b[31mevil\u0000\r\nhost/")).toMatch(/^must [\w ,:/.]+$/);
  });
});

describe("resultUrlJudge", () => {
  const rules = { ownOrigin: "https://upstream.example:8443", hosts: null, allowLoopback: false };

  it.each([
    ["any public host", "https://cdn.example.com/v.mp4"],
    ["a bucket, which tenants may not name", "https://abc.r2.cloudflarestorage.com/v.mp4?X-Amz-Signature=1"],
    ["a long signed link", `https://cdn.example.com/v.mp4?sig=${"a".repeat(4_000)}`],
    ["the provider's own origin", "https://upstream.example:8443/files/v.mp4"],
  ])("allows %s", (_, url) => {
    expect(resultUrlJudge(rules)(url)).toBeNull();
  });

  it.each([
    "http://cdn.example.com/v.mp4",
    "http://upstream.example:8443/v.mp4",
    "https://cdn.example.com:8443/v.mp4",
    "https://user@upstream.example:8443/v.mp4",
    "https://169.254.169.254/v.mp4",
    "https://[::1]/v.mp4",
    "https://localhost/v.mp4",
    "http://127.0.0.1:9000/v.mp4",
    "/v.mp4",
  ])("refuses %s", (url) => {
    expect(resultUrlJudge(rules)(url)).not.toBeNull();
  });

  it.each([
    ["https://cdn.example.com/v.mp4", true],
    ["https://CDN.example.com./v.mp4", true],
    ["https://a.media.example.net/v.mp4", true],
    ["https://a.b.media.example.net/v.mp4", true],
    ["https://media.example.net/v.mp4", false],
    ["https://notmedia.example.net/v.mp4", false],
    ["https://sub.cdn.example.com/v.mp4", false],
    ["https://upstream.example:8443/v.mp4", true],
    ["https://elsewhere.example.org/v.mp4", false],
  ])("with a list of hosts, %s: %s", (url, allowed) => {
    const listed = resultUrlJudge({ ...rules, hosts: ["CDN.example.com", "*.media.example.net"] });
    expect(listed(url) === null).toBe(allowed);
  });

  it.each([
    ["http://127.0.0.1:9000/v.mp4", true],
    ["http://localhost:9000/v.mp4", true],
    ["http://[::1]:9000/v.mp4", true],
    ["http://127.0.0.2:9000/v.mp4", false],
    ["http://192.168.0.1/v.mp4", false],
    ["http://cdn.example.com/v.mp4", false],
    ["https://10.0.0.1/v.mp4", false],
  ])("where loopback is allowed, %s: %s", (url, allowed) => {
    expect(resultUrlJudge({ ...rules, allowLoopback: true })(url) === null).toBe(allowed);
  });
});
