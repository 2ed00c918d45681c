// The operator API's keys: make (told once), list, roll, revoke.
import { createRoute, z } from "@hono/zod-openapi";
import { SCOPES } from "../core/api-key.ts";
import { periodOf } from "../core/ledger.ts";
import type { MadeKey, PlacedKey } from "../service/operator/keys.ts";
import type { Operator } from "../service/operator/operator.ts";
import { line, mode, OPERATOR, replies, takes, tenantParam, toSeconds, toSecondsOrNull } from "./admin-wire.ts";
import type { App } from "./context.ts";
import { refuse } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { modelList, MOST_CREDITS } from "./plan.ts";
import { strictBody, whole } from "./validation.ts";

/** Beyond it lies what was meant in milliseconds. */
const YEAR_3000 = 32_503_680_000;
const WEEK_SECONDS = 604_800;
const DAY_SECONDS = 86_400;

const keyBody = strictBody({
  mode,
  name: line(64).nullish(),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).optional(),
  /** Credits a calendar month (UTC). */
  budget: whole(0, MOST_CREDITS).nullish(),
  models: modelList.optional(),
  ips: z.array(z.string().min(1).max(64)).min(1).max(100).nullish(),
  expires_at: z
    .int()
    .max(YEAR_3000)
    .refine((at) => at * 1000 > Date.now(), { message: "must be in the future, in unix seconds" })
    .nullish(),
}).openapi("CreateKey");

const keyReply = z
  .strictObject({
    id: z.string(),
    name: z.string().nullable(),
    mode,
    prefix: z.string(),
    last4: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    budget: z.int().nullable(),
    /** Held or spent of the budget in this calendar month (UTC). */
    budget_used: z.int(),
    models: z.array(z.string()).nullable(),
    ips: z.array(z.string()).nullable(),
    created_at: z.int(),
    expires_at: z.int().nullable(),
    revoked_at: z.int().nullable(),
  })
  .openapi("Key");

const madeKeyReply = keyReply.extend({ key: z.string().openapi({ description: "Told this once" }) }).openapi("MadeKey");

const keyParam = tenantParam.extend({
  key_id: z.string().openapi({ param: { name: "key_id", in: "path" }, example: "aB3dE5fG7hI9" }),
});

const createKey = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/keys",
  summary: "Make a key",
  middleware: jsonBody,
  request: { params: tenantParam, body: takes(keyBody) },
  responses: replies("The key, and once its text", madeKeyReply),
});

const listKeys = createRoute({
  ...OPERATOR,
  method: "get",
  path: "/admin/v1/tenants/{id}/keys",
  summary: "List a tenant's keys, of both modes",
  request: { params: tenantParam },
  responses: replies("All of them", z.strictObject({ object: z.literal("list"), data: z.array(keyReply) })),
});

const rollKey = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/keys/{key_id}/roll",
  summary: "Make a key in the place of this one, which works a while longer",
  middleware: jsonBody,
  request: {
    params: keyParam,
    body: takes(strictBody({ overlap_seconds: whole(0, WEEK_SECONDS).default(DAY_SECONDS) })),
  },
  responses: replies("The new key, and once its text", madeKeyReply),
});

const revokeKey = createRoute({
  ...OPERATOR,
  method: "post",
  path: "/admin/v1/tenants/{id}/keys/{key_id}/revoke",
  summary: "End a key: it spends nothing from now on, and reads nothing soon after",
  middleware: jsonBody,
  request: { params: keyParam, body: takes(strictBody({})) },
  responses: replies("The key", keyReply),
});

export function mountAdminKeys(app: App, { keys }: Operator): void {
  app.openapi(createKey, async (c) => {
    const { name, budget, models, ips, expires_at: expiresAt, ...body } = c.req.valid("json");
    const made = await keys.create(c.var.actor, c.req.valid("param").id, {
      mode: body.mode,
      name: name ?? null,
      scopes: body.scopes ?? SCOPES,
      budget: budget ?? null,
      models: models ?? null,
      ips: ips ?? null,
      expiresAt: expiresAt == null ? null : expiresAt * 1000,
    });
    return made.ok ? c.json(toMadeKey(made.value), 200) : refuse(c, made.error);
  });

  app.openapi(listKeys, async (c) => {
    const found = await keys.list(c.req.valid("param").id);
    return found.ok ? c.json({ object: "list" as const, data: found.value.map(toKey) }, 200) : refuse(c, found.error);
  });

  app.openapi(rollKey, async (c) => {
    const { id, key_id: keyId } = c.req.valid("param");
    const made = await keys.roll(c.var.actor, id, keyId, c.req.valid("json").overlap_seconds * 1000);
    return made.ok ? c.json(toMadeKey(made.value), 200) : refuse(c, made.error);
  });

  app.openapi(revokeKey, async (c) => {
    const { id, key_id: keyId } = c.req.valid("param");
    const revoked = await keys.revoke(c.var.actor, id, keyId);
    return revoked.ok ? c.json(toKey(revoked.value), 200) : refuse(c, revoked.error);
  });
}

function toMadeKey(made: MadeKey): z.infer<typeof madeKeyReply> {
  return { ...toKey(made), key: made.text };
}

function toKey({ key, mode: its }: PlacedKey): z.infer<typeof keyReply> {
  return {
    id: key.id,
    name: key.name,
    mode: its,
    prefix: `sk-${its}-${key.id}`,
    last4: key.last4,
    scopes: [...key.scopes],
    budget: key.budget,
    budget_used: key.use.period === periodOf(Date.now()) ? key.use.used : 0,
    models: key.models === null ? null : [...key.models],
    ips: key.ips === null ? null : [...key.ips],
    created_at: toSeconds(key.createdAt),
    expires_at: toSecondsOrNull(key.expiresAt),
    revoked_at: toSecondsOrNull(key.revokedAt),
  };
}
