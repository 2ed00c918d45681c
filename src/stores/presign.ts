// Links straight to R2's S3 endpoint, for operators who do not want downloads to pass through the Worker. They name the account
// and the bucket, allow GET only, and cannot be called back before they expire.
import { AwsClient } from "aws4fetch";
import { linkEpoch } from "../core/signing.ts";
import type { LinkSigner } from "../ports.ts";
import { videoKey } from "./video-key.ts";

export interface S3Settings {
  /** Without the bucket: https://<account>.r2.cloudflarestorage.com */
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** At most 604,800 (7 days), which is S3's own bound. */
  readonly ttlSeconds: number;
}

export function presigner({ endpoint, bucket, accessKeyId, secretAccessKey, ttlSeconds }: S3Settings): LinkSigner {
  const client = new AwsClient({ accessKeyId, secretAccessKey, service: "s3", region: "auto" });
  return {
    revocable: false,
    async sign({ id }, _base, now, lifeSeconds) {
      // S3 signs a path in which everything is encoded that may be, a colon too; wrangler's emulation takes it as it comes.
      const path = encodeURIComponent(videoKey(id)).replaceAll("%2F", "/");
      const url = `${endpoint}/${bucket}/${path}?X-Amz-Expires=${lifeSeconds ?? ttlSeconds}`;
      // As in 20260101T000000Z.
      const datetime = new Date(lifeSeconds === undefined ? linkEpoch(now, ttlSeconds) : now)
        .toISOString()
        .replaceAll(/[-:]|\.\d+/g, "");
      const { url: signed } = await client.sign(url, { aws: { signQuery: true, datetime } });
      return signed;
    },
  };
}
