import { describe, expect, it } from "vitest";
import { etagOf, matchesEtag } from "../../src/core/etag.ts";

describe("etagOf", () => {
  it("is a strong, quoted tag that the same text always gets", async () => {
    expect(await etagOf("{}")).toMatch(/^"[\w-]{20}"$/);
    expect(await etagOf("{}")).toBe(await etagOf("{}"));
  });

  it("is another one for another text", async () => {
    const texts = ["", "{}", '{"status":"pending"}', '{"status":"processing"}', '{"status":"pending"} '];
    expect(new Set(await Promise.all(texts.map(etagOf))).size).toBe(texts.length);
  });
});

describe("matchesEtag", () => {
  const ETAG = '"abc-1"';

  it.each(['"abc-1"', 'W/"abc-1"', '"x", "abc-1"', '"x",W/"abc-1","y"', "*", " * "])("finds it in %s", (ifNoneMatch) => {
    expect(matchesEtag(ifNoneMatch, ETAG)).toBe(true);
  });

  it.each([null, "", "abc-1", '"abc-2"', '"x", "y"', '"abc-1', 'abc-1"', '"*"', "**", "garbage, more of it"])(
    "does not find it in %j",
    (ifNoneMatch) => {
      expect(matchesEtag(ifNoneMatch, ETAG)).toBe(false);
    },
  );
});
