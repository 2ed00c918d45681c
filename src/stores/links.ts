// Links to the gateway's own file route, signed with the operator's link keys.
import { signLink, type LinkKeys } from "../core/signing.ts";
import type { LinkSigner } from "../ports.ts";

export function signedLinks(keys: LinkKeys, ttlSeconds: number): LinkSigner {
  return {
    async sign(taskId, base, now) {
      const { exp, kid, sig } = await signLink(keys, taskId, Math.floor(now / 1000) + ttlSeconds);
      // A colon may stand in a path as it is (RFC 3986, section 3.3), which keeps the id readable in the link.
      const id = encodeURIComponent(taskId).replaceAll("%3A", ":");
      return `${base}/v1/video/file/${id}?${new URLSearchParams({ exp, kid, sig })}`;
    },
  };
}
