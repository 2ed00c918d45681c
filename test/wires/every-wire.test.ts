// What holds on every wire, in every form: how an adapter reads a provider that misbehaves. Each wire's own words are in its own file.
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { providersSetting, resolveProviders } from "../../src/env-providers.ts";
import type { Provider } from "../../src/ports.ts";
import { providerTable } from "../../src/wire-providers.ts";
import { CANARIES } from "../support/emulators/canary.ts";
import type { Fault } from "../support/emulators/faults.ts";
import { envOf, FORM_NAMES, INLINE_FORMS, startForm, type Form, type FormName } from "../support/provider-forms.ts";
import { aJob } from "../support/upstreams.ts";

const CLIP_BYTES = 146_831;
const MESSAGE = "a lake";

const running: Form[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(async (form) => form.close()));
});

/** One that finishes every job at once, unless it is told otherwise. */
async function start(name: FormName, script: Readonly<Record<string, readonly (Fault | readonly Fault[])[]>> = {}) {
  const form = await startForm(name, { pollsBeforeDone: 0 });
  running.push(form);
  form.does(script);
  const provider = adapterOf(form);
  const signal = () => AbortSignal.timeout(20_000);
  const job = aJob({ model: form.model as "veo3", prompt: MESSAGE }, { model: form.upstreamModel });
  const submitted = async () => (await provider.submit(job, signal())).operation;
  const sourceOf = async (operation: Json) => {
    const result = await provider.poll(operation, signal());
    if (result.status !== "succeeded") throw new Error(`not a video: ${result.status}`);
    return result.source;
  };
  return { form, provider, signal, job, submitted, sourceOf };
}

/** As the gateway makes it of its settings. */
function adapterOf(form: Form): Provider {
  const { PROVIDERS = "", ...secrets } = envOf([form]);
  const problems: string[] = [];
  const given = providersSetting.parse(JSON.parse(PROVIDERS));
  const settings = resolveProviders(given, (name) => secrets[name] ?? "", true, problems);
  const table = providerTable(settings, true, () => Date.now());
  const provider = table.providerOf({ provider: form.name, credential: "" });
  if (provider === undefined) throw new Error(problems.join("; "));
  return provider;
}

/** Who signs in does so anew after a first 401. */
function twice(name: FormName, fault: Fault | readonly Fault[]): (Fault | readonly Fault[])[] {
  return fault === "return-401" && name.includes("vertex") ? [fault, fault] : [fault];
}

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  return bytes;
}

/** What it was thrown, when nothing of the provider is in it, whoever prints it. */
async function thrownBy(promise: Promise<unknown>, { credential, baseUrl }: Form): Promise<unknown> {
  const error: unknown = await promise.then(
    (value) => expect.fail(`nothing was thrown, but returned ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  const { message, stack, cause } = error as Error;
  const printed = [message, stack, JSON.stringify(error), String(cause), JSON.stringify(cause)].join("\n");
  expect([...CANARIES, credential, new URL(baseUrl).host, "emulated"].filter((each) => printed.includes(each))).toEqual([]);
  return error;
}

describe.each(FORM_NAMES)("%s", (name) => {
  it("takes a job from submit to bytes", async () => {
    const { form, provider, signal, submitted, sourceOf } = await start(name);
    const video = await provider.open(await sourceOf(await submitted()), null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
    expect(form.jobs()).toBe(1);
  });

  it.each<[Fault, number, object]>([
    ["return-400", 0, { name: "RefusedError", by: "task", reason: "upstream_rejected" }],
    ["return-401", 0, { name: "RetryableError", code: "unauthorized" }],
    ["return-402", 0, { name: "RetryableError", code: "out_of_credit" }],
    ["return-404", 0, { name: "RefusedError", by: expect.stringMatching(/^(model|route)$/) as unknown }],
    ["return-429", 0, { name: "RetryableError", code: "rate_limited" }],
    ["return-503", 0, { name: "RetryableError", code: "unavailable" }],
    ["return-400-html", 0, { name: "RefusedError", by: "route", reason: "upstream_rejected" }],
    ["return-503-html", 0, { name: "UnclearReplyError" }],
    ["return-500", 0, { name: "UnclearReplyError" }],
    ["return-502", 0, { name: "UnclearReplyError" }],
    ["return-504", 0, { name: "UnclearReplyError" }],
    ["return-524-html", 0, { name: "UnclearReplyError" }],
    ["redirect:https://elsewhere.example/", 0, { name: "UnclearReplyError" }],
    ["no-id", 1, { name: "UnclearReplyError" }],
    ["bad-json", 1, { name: "UnclearReplyError" }],
    ["reset", 0, { name: "ConnectionError" }],
    ["accept-then-drop", 1, { name: "ConnectionError" }],
    ["truncate", 1, { name: "ConnectionError" }],
    ["stall", 1, { name: "TimeoutError" }],
    ["hang", 1, { name: "TimeoutError" }],
  ])("a submit answered by %s makes %i jobs and throws %j", async (fault, jobs, error) => {
    const { form, provider, job } = await start(name, { create: twice(name, fault) });
    const limit = new AbortController();
    const thrown = thrownBy(provider.submit(job, limit.signal), form);
    if (fault === "hang" || fault === "stall") {
      await vi.waitUntil(() => form.jobs() === 1, { timeout: 20_000 });
      limit.abort(new DOMException("late", "TimeoutError"));
    }
    expect(await thrown).toMatchObject(error);
    expect(form.jobs()).toBe(jobs);
  });

  it.each<[Fault | readonly Fault[], object]>([
    [["return-503", "retry-after:7"], { name: "RetryableError", code: "unavailable", retryAfterMs: 7_000 }],
    [["return-429", "retry-after:9"], { name: "RetryableError", code: "rate_limited", retryAfterMs: 9_000 }],
    ["return-401", { name: "RetryableError", code: "unauthorized" }],
    ["return-500", { name: "RetryableError", code: "unavailable" }],
    ["return-502-html", { name: "RetryableError", code: "unavailable" }],
    ["return-400-html", { name: "UnclearReplyError" }],
    ["return-404-html", { name: "UnclearReplyError" }],
    ["redirect:https://elsewhere.example/", { name: "UnclearReplyError" }],
    ["bad-json", { name: "UnclearReplyError" }],
    ["reset", { name: "ConnectionError" }],
    ["truncate", { name: "ConnectionError" }],
  ])("a poll answered by %j throws %j, and the next one finds the video", async (fault, error) => {
    const { form, provider, signal, submitted, sourceOf } = await start(name, { query: twice(name, fault) });
    const operation = await submitted();
    expect(await thrownBy(provider.poll(operation, signal()), form)).toMatchObject(error);
    expect(await sourceOf(operation)).toBeDefined();
  });

  it("tells no rewritten prompt that has anything of the provider in it, whichever it is", async () => {
    const { provider, signal, job } = await start(name);
    const rewriting = { ...job, generation: { ...job.generation, enhancePrompt: true } };
    // The words of three replies carry each of them in turn.
    for (const _ of CANARIES) {
      const { prompt } = await provider.submit(rewriting, signal());
      expect(CANARIES.filter((each) => prompt?.includes(each))).toEqual([]);
    }
  });

  it("takes one that does not know its job yet for missing, and one that is slow for slow", async () => {
    const { provider, signal, submitted, sourceOf } = await start(name, { query: ["not-found-just-after-create", "slow-body"] });
    const operation = await submitted();
    expect(await provider.poll(operation, signal())).toEqual({ status: "missing" });
    expect(await sourceOf(operation)).toBeDefined();
  });
});

describe.each(FORM_NAMES.filter((name) => !INLINE_FORMS.includes(name)))("a download from %s", (name) => {
  const CALLS = ["download", "storage"];
  const onDownload = (fault: Fault) => Object.fromEntries(CALLS.map((call) => [call, [fault]]));

  it.each<[Fault, string]>([
    ["json-body", "AssetGoneError"],
    ["return-403", "AssetGoneError"],
    ["return-404", "AssetGoneError"],
    ["return-410", "AssetGoneError"],
    ["return-401", "UnclearReplyError"],
    ["return-429", "UnclearReplyError"],
    ["return-503", "UnclearReplyError"],
    ["return-502-html", "UnclearReplyError"],
    ["reset", "ConnectionError"],
    ["redirect:http://192.168.0.1/v.mp4", "RefusedError"],
  ])("that is answered by %s throws %s, and the next one has it", async (fault, error) => {
    const { form, provider, signal, submitted, sourceOf } = await start(name, onDownload(fault));
    const source = await sourceOf(await submitted());
    expect(await thrownBy(provider.open(source, null, signal()), form)).toMatchObject({ name: error });
    const video = await provider.open(source, null, signal());
    expect(await bytesOf(video.body)).toBe(CLIP_BYTES);
  });

  it.each<[Fault, object, number]>([
    ["no-length", { length: null, offset: 0 }, CLIP_BYTES],
    ["wrong-length", { length: Math.floor(CLIP_BYTES / 2) }, Math.floor(CLIP_BYTES / 2)],
    ["slow-body", { length: CLIP_BYTES }, CLIP_BYTES],
  ])("with %s opens as %j", async (fault, opened, bytes) => {
    const { provider, signal, submitted, sourceOf } = await start(name, onDownload(fault));
    const video = await provider.open(await sourceOf(await submitted()), null, signal());
    expect(video).toMatchObject(opened);
    expect(await bytesOf(video.body)).toBe(bytes);
  });

  it("that is cut short fails where it is read, and goes on from there", async () => {
    const { provider, signal, submitted, sourceOf } = await start(name, onDownload("truncate"));
    const source = await sourceOf(await submitted());
    const video = await provider.open(source, null, signal());
    expect(video.length).toBe(CLIP_BYTES);
    await expect(bytesOf(video.body)).rejects.toThrow();
    const rest = await provider.open(source, { offset: 100_000, validator: video.validator ?? "" }, signal());
    expect(rest).toMatchObject({ offset: 100_000, length: CLIP_BYTES - 100_000 });
    expect(await bytesOf(rest.body)).toBe(CLIP_BYTES - 100_000);
  });
});
