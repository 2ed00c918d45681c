// A tenant's calls to a running server, as plain as a tenant would write them.
import { setTimeout as sleep } from "node:timers/promises";

export interface Video {
  readonly id: string;
  readonly status: "pending" | "processing" | "completed" | "failed";
  readonly video_url: string | null;
  readonly enhanced_prompt: string;
  readonly error?: { readonly code: string; readonly message: string };
}

const LOOK_MS = 250;

export async function createVideo(url: string, key: string, body: Record<string, unknown>): Promise<string> {
  const reply = await fetch(`${url}/v1/video/create`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (reply.status !== 200) throw new Error(`create answered ${reply.status}: ${await reply.text()}`);
  return ((await reply.json()) as Video).id;
}

export async function queryVideo(url: string, key: string, id: string): Promise<Video> {
  const reply = await fetch(`${url}/v1/video/query?id=${encodeURIComponent(id)}`, { headers: { authorization: `Bearer ${key}` } });
  if (reply.status !== 200) throw new Error(`query answered ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as Video;
}

/** Polls until the task has ended; gives up by the test's own time limit. */
export async function untilEnded(url: string, key: string, id: string, onLook: () => void = () => undefined): Promise<Video> {
  for (;;) {
    const video = await queryVideo(url, key, id);
    if (video.status === "completed" || video.status === "failed") return video;
    onLook();
    await sleep(LOOK_MS);
  }
}
