// What revokes a video's links is written beside its bytes, where a download sees it for nothing. R2 changes the one only together
// with the other: the same bytes are written over themselves, and no reader ever finds anything between the two.
import { videoMeta, withLinkRevision } from "./r2-objects.ts";

/** False: there is no such object, or it was removed meanwhile. Asked for by one task at a time, which is the only one that may. */
export async function revokeLinks(bucket: R2Bucket, key: string, revision: number, signal: AbortSignal): Promise<boolean> {
  const found = await bucket.get(key);
  if (found === null) return false;
  if (videoMeta(found).linkRevision >= revision) {
    await found.body.cancel();
    return true;
  }
  if (signal.aborted) {
    // A copy that is called off before it begins is one that R2 would wait for in vain.
    await found.body.cancel();
    throw signal.reason;
  }
  const stop = new AbortController();
  const { readable, writable } = new FixedLengthStream(found.size);
  // A copy that breaks off is never complete to R2, whose error then says so.
  const copying = found.body.pipeTo(writable, { signal: AbortSignal.any([signal, stop.signal]) }).catch(() => undefined);
  try {
    const { httpMetadata, checksums, etag } = found;
    const stored = await bucket.put(key, readable, {
      customMetadata: withLinkRevision(found, revision),
      ...(httpMetadata && { httpMetadata }),
      // What was uploaded in parts has none.
      ...(checksums.md5 && { md5: checksums.md5 }),
      // A purge may be faster: what is gone stays gone.
      onlyIf: { etagMatches: etag },
    });
    if (stored === null && (await bucket.head(key)) !== null) throw new Error("the video changed while its links were revoked");
    return stored !== null;
  } finally {
    stop.abort();
    await copying;
  }
}
