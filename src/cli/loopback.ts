/** Where `npm start` listens unless told otherwise. */
export const LOCAL_URL = "http://127.0.0.1:8787";

/** Whether a host, as a URL or `--ip` names it, is this machine and no other can reach it. */
export function isLoopback(host: string): boolean {
  return /^(localhost|.+\.localhost|\[?::1\]?|127(\.\d{1,3}){3})$/.test(host);
}
