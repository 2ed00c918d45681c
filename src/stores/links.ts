// Links to the gateway's own file route, signed with the operator's link keys.
import { linkEpoch, signLink, type LinkKeys } from "../core/signing.ts";
import type { LinkSigner } from "../ports.ts";

export function signedLinks(keys: LinkKeys, ttlSeconds: number): LinkSigner {
  return {
    revocable: true,
    async sign(video, base, now, lifeSeconds) {
      const from = lifeSeconds === undefined ? linkEpoch(now, ttlSeconds) : now;
      const expiresAt = Math.floor(from / 1000) + (lifeSeconds ?? ttlSeconds);
      const signed = await signLink(keys, video.id, expiresAt, video.linkRevision);
      // A colon may stand in a path as it is (RFC 3986, section 3.3), which keeps the id readable in the link.
      const id = encodeURIComponent(video.id).replaceAll("%3A", ":");
      return `${base}/v1/video/file/${id}?${new URLSearchParams({ ...signed })}`;
    },
  };
}
