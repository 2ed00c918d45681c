// `vt_(live|test)_` + key id (12, the first 8 name the tenant) + expiry + MAC: lets a web page watch one task without the API key.
// The MAC binds the task's id, which the token does not carry: it comes with the request.
import { TENANT_ID_LENGTH, type Mode } from "./api-key.ts";
import { base64url, fromBase64url } from "./encoding.ts";
import { hmac, verifyHmac } from "./hmac.ts";
import { fail, ok, type Result } from "./result.ts";

const PREFIX = "vt_";
const SHAPE = /^vt_(live|test)_([0-9A-Za-z]{12})_([1-9]\d{9})_([A-Za-z0-9_-]{43})$/;

export const TOKEN_SECONDS = { min: 60, max: 3_600, usual: 900 } as const;

/** Whose it is: the tenant and mode, and the key that it was asked for with. */
export interface TokenHolder {
  readonly tenant: string;
  readonly mode: Mode;
  readonly keyId: string;
}

/** Whether a text means to be a task token, however broken. */
export function isTaskToken(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** `secret`: the first of the operator's id secrets. */
export async function makeTaskToken(
  secret: string,
  { mode, keyId }: Pick<TokenHolder, "mode" | "keyId">,
  taskId: string,
  expiresAtSeconds: number,
): Promise<string> {
  const exp = String(expiresAtSeconds);
  const mac = await hmac(secret, message(mode, keyId, exp, taskId));
  return `${PREFIX}${mode}_${keyId}_${exp}_${base64url(mac)}`;
}

/** Any of the secrets may have made it. The MAC is judged before the time, so that `task_token_expired` is told only of real tokens. */
export async function readTaskToken(
  secrets: readonly string[],
  token: string,
  taskId: string,
  nowMs: number,
): Promise<Result<TokenHolder, { kind: "invalid_task_token" | "task_token_expired" }>> {
  const [, mode, keyId, exp, signature] = (SHAPE.exec(token) ?? []) as [string?, Mode?, string?, string?, string?];
  const mac = fromBase64url(signature ?? "");
  if (mode === undefined || keyId === undefined || exp === undefined || mac === null) return fail({ kind: "invalid_task_token" });
  let isReal = false;
  for (const secret of secrets) isReal = (await verifyHmac(secret, message(mode, keyId, exp, taskId), mac)) || isReal;
  if (!isReal) return fail({ kind: "invalid_task_token" });
  if (Number(exp) * 1000 <= nowMs) return fail({ kind: "task_token_expired" });
  return ok({ tenant: keyId.slice(0, TENANT_ID_LENGTH), mode, keyId });
}

/** Begins with a word of its own, so that no other text that these secrets sign is a token. */
function message(mode: Mode, keyId: string, exp: string, taskId: string): string {
  return `task-token/v1\n${mode}\n${keyId}\n${exp}\n${taskId}`;
}
