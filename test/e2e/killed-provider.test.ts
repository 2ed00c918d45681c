// Providers are killed at every moment of a task, many tasks of two tenants at once: first while the gateway stays up, then together
// with the gateway. Whatever became of a task, it has ended, its hold was resolved once, and nobody was paid twice for it.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LOCAL_ADMIN_TOKEN } from "../../src/cli/demo-tenant.ts";
import type { JournalEntry, List, NewKey, Orphan, Recompute, Task, Tenant } from "../../src/cli/admin-wire.ts";
import { startMortal, stepReader, type Mortal, type Step } from "../support/emulators/mortals.ts";
import { envOf, finishNext, startForms, type Form } from "../support/provider-forms.ts";
import { startReelay, type Server } from "../support/server.ts";
import { createVideo, queryVideo, type Video } from "../support/tenant-calls.ts";

const CLIP = new URL("../../src/providers/clips/clip-16x9.mp4", import.meta.url);
/** R2 gets it in parts of 8 MiB: half of it is more than one. */
const LONG_BYTES = 17 * 2 ** 20;
const LOOK_MS = 100;
const END_LOOK_MS = 500;
/** A journey takes some 15 s; on a machine that does much else, many times that. */
const PATIENCE_MS = 10 * 60_000;

interface Customer {
  readonly id: string;
  readonly key: string;
}

/** A task, and where it was sent. */
interface Made {
  readonly id: string;
  readonly owner: Customer;
  readonly place: string;
  readonly prompt: string;
}

interface Ended {
  readonly made: Made;
  readonly video: Video;
  readonly task: Task & { readonly attempts: readonly { readonly reason: string | null }[] };
}

let folder: string;
let clip: Uint8Array;
let longClip: Uint8Array;
let server: Server;
let customers: readonly [Customer, Customer];
/** Dead from the start; dies before it answers a create; while it works, for good, with another one ready; while it works; and, with a
 * short file of known length and a long one of unknown length, in the middle of the download. */
let gone: Mortal, mute: Mortal, late: Mortal, back: Mortal, cut: Mortal, long: Mortal;
/** Ready to take over from every one of them. */
let spare: Mortal;
let mortals: readonly Mortal[];
/** Every wire. */
let forms: Form[];
const steps = stepReader();
const everything: Ended[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reelay-killed-"));
  const file = join(folder, "long.mp4");
  clip = await readFile(CLIP);
  longClip = longVideo();
  await writeFile(file, longClip);
  [gone, mute, late, back, cut, long, spare] = await Promise.all([
    startMortal("gone"),
    startMortal("mute"),
    startMortal("late"),
    startMortal("back"),
    startMortal("cut"),
    startMortal("long", { file }),
    startMortal("spare"),
  ]);
  mortals = [gone, mute, late, back, cut, long, spare];
  await gone.close();
  forms = await startForms();
  server = await start();
  customers = [await customer("Acme"), await customer("Brook")];
  // How long a provider usually takes is known from its last generations only.
  const quick = await Promise.all([0, 1, 0, 1, 0].map(async (which) => make("late", which)));
  await ended(quick);
}, PATIENCE_MS);

afterAll(async () => {
  await server.stop();
  await Promise.all([...mortals, ...forms].map(async (each) => each.close().catch(() => undefined)));
  await rm(folder, { recursive: true });
});

/** Our clip with a box after it that players skip, full of bytes of which no two parts are alike. */
function longVideo(): Uint8Array {
  const box = randomBytes(LONG_BYTES - clip.byteLength);
  box.writeUInt32BE(box.byteLength, 0);
  box.write("free", 4, "latin1");
  return Buffer.concat([clip, box]);
}

async function start(): Promise<Server> {
  const { PROVIDERS = "", ...secrets } = envOf(forms);
  const places = [...mortals, ...forms].map(({ name }) => name);
  const ofForms = (JSON.parse(PROVIDERS) as { name: string }[]).map((each) => ({ ...each, tags: [each.name] }));
  const ours = mortals.map(({ name, url }) => ({
    name,
    kind: "seed-style",
    base_url: url,
    api_key_secret: `${name.toUpperCase()}_KEY`,
    median_seconds: 1,
    tags: name === "spare" ? places : [name],
    priority: name === "spare" ? 2 : 1,
    ...(name === "late" && { overdue_factor: 1.5 }),
  }));
  const keys = Object.fromEntries(mortals.map(({ name, credential }) => [`${name.toUpperCase()}_KEY`, credential]));
  const env = { ...secrets, ...keys, PROVIDERS: JSON.stringify([...ofForms, ...ours]) };
  return startReelay({ persistTo: join(folder, "state"), env });
}

async function admin<Body>(path: string, body?: object): Promise<Body> {
  const headers = { authorization: `Bearer ${LOCAL_ADMIN_TOKEN}`, "content-type": "application/json" };
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const reply = await fetch(`${server.url}/admin/v1${path}`, { headers, ...init });
  if (reply.status !== 200) throw new Error(`${path} answered ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as Body;
}

async function customer(name: string): Promise<Customer> {
  const plan = { credits: 100_000, requests_per_minute: 1_000, live_tasks: 1_000, route_choice: true };
  const { id } = await admin<Tenant>("/tenants", { name, plan });
  const { key } = await admin<NewKey>(`/tenants/${id}/keys`, { mode: "live" });
  return { id, key };
}

let count = 0;
/** `which`: of the two tenants. */
async function make(place: string, which: number, model = "veo3"): Promise<Made> {
  const owner = customers[which % 2] as Customer;
  const prompt = `${place}, number ${++count}`;
  const id = await createVideo(server.url, owner.key, { model, prompt, route: { only: [place] } });
  return { id, owner, place, prompt };
}

/** One of each tenant. */
const makeTwo = async (place: string): Promise<Made[]> => Promise.all([0, 1].map(async (which) => make(place, which)));

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(LOOK_MS);
}

/** Until each of them has taken such a step, not counting the first so many of all. */
async function untilEach(made: readonly Made[], isIt: (step: Step) => boolean, since = 0): Promise<void> {
  await until(() => {
    const taken = new Set(
      steps(server)
        .slice(since)
        .filter(isIt)
        .map(({ task }) => task),
    );
    return made.every(({ id }) => taken.has(id));
  });
}

/** Until each has its end, and what that is. The log is not asked: of a gateway that is killed its last lines may be lost. */
async function ended(made: readonly Made[]): Promise<Ended[]> {
  const ends = await Promise.all(made.map(endOf));
  everything.push(...ends);
  return ends;
}

async function endOf(made: Made): Promise<Ended> {
  for (;;) {
    const video = await queryVideo(server.url, made.owner.key, made.id);
    if (video.status === "completed" || video.status === "failed")
      return { made, video, task: await admin<Ended["task"]>(`/tasks?id=${encodeURIComponent(made.id)}`) };
    await sleep(END_LOOK_MS);
  }
}

/** What tenants and operators see of an end, in a line. */
function told({ video, task }: Ended): string {
  const attempts = task.attempts.map(({ provider, outcome }) => `${provider} ${outcome}`);
  return [video.error?.code ?? video.status, task.hold, ...attempts].join(", ");
}

/** A gateway that dies in the very moment in which it hands a task on cannot know what has become of it. */
const isCaught = (end: Ended): boolean => told(end) === "upstream_ambiguous, released, late abandoned, spare unknown";

const SPARED = "completed, settled, spare accepted";

/** As many tasks for the dead one as it takes: a few may probe whether it is back, once it has been left alone for a while. */
async function avoided(): Promise<Ended[]> {
  const all: Ended[] = [];
  for (;;) {
    const ends = await ended(await Promise.all([0, 1, 0, 1].map(async (which) => make("gone", which))));
    all.push(...ends);
    if (ends.every((end) => told(end) === SPARED)) return all;
  }
}

const isDone = ({ step, outcome }: Step): boolean => step === "submit" && outcome === "submitted";
/** A poll or a download that met nobody. */
const isMissed = ({ outcome, note }: Step): boolean => outcome !== "succeeded" && note === "ConnectionError";

/** Every place with its tasks' ends. */
type Ends = Readonly<Record<"gone" | "avoided" | "mute" | "late" | "back" | "cut" | "long" | "forms", readonly Ended[]>>;

/** Everybody's tasks to their moments, then death, then life. */
async function journey(killsGateway: boolean): Promise<Ends> {
  // Before the hand-over. Its breaker opens at the fifth in a row.
  const five = killsGateway ? [] : [0, 1, 0, 1, 0];
  const atGone = Promise.all(five.map(async (which) => make("gone", which))).then(ended);

  mute.does({ create: "hang" });
  for (const each of [late, back]) each.does({ query: "status:processing" });
  for (const each of [cut, long]) each.does({ download: "stall" });
  for (const form of forms) {
    if (killsGateway) form.swallowJobs();
    else form.holdJobs();
  }
  const before = { mute: mute.creates(), cut: cut.stalls(), long: long.stalls(), forms: forms.map((form) => form.jobs()) };

  const [atMute, atBack, atCut, atLong, atForms] = await Promise.all([
    makeTwo("mute"),
    makeTwo("back"),
    makeTwo("cut"),
    makeTwo("long"),
    Promise.all(forms.map(async ({ name, model }, index) => make(name, index, model))),
  ]);
  await untilEach([...atBack, ...(killsGateway ? [] : atForms)], isDone);
  await until(() => mute.creates() === before.mute + 2 && cut.stalls() === before.cut + 2 && long.stalls() === before.long + 2);
  await until(() => !killsGateway || forms.every((form, index) => form.jobs() === (before.forms[index] ?? 0) + 1));
  // What a queue calls its job is known once it was asked after it.
  const ofQueues = killsGateway ? [] : atForms.filter((_, index) => forms[index]?.finish !== null);
  await untilEach(ofQueues, ({ step }) => step === "poll");
  const gone = await atGone;
  // The last: what takes a few seconds is overdue already, and goes elsewhere.
  const atLate = await makeTwo("late");
  await untilEach(atLate, isDone);

  let since = steps(server).length;
  await Promise.all([mute, late, back, cut, long, ...forms].map(async (each) => each.close()));
  if (killsGateway) {
    await server.kill();
    since = steps(server).length;
    server = await start();
  }

  // Whoever calls back is asked rarely.
  const asked = killsGateway ? [] : atForms.filter((each) => !ofQueues.includes(each));
  const comingBack = killsGateway ? [back, cut, long] : [back, cut, long, ...forms];
  const life = async (): Promise<void> => {
    await untilEach([...atBack, ...atCut, ...atLong, ...asked], isMissed, since);
    for (const each of [back, cut, long]) each.behaves();
    for (const form of forms) form.behave();
    await Promise.all(comingBack.map(async (each) => each.reopen()));
    const finished = new Set<string>();
    if (!killsGateway) await Promise.all(forms.map(async (form) => finishNext(form, finished)));
  };
  const [spared, , ...rest] = await Promise.all([
    avoided(),
    life(),
    ...[atMute, atLate, atBack, atCut, atLong, atForms].map(ended),
  ]);
  const [mutes = [], lates = [], backs = [], cuts = [], longs = [], wires = []] = rest;

  for (const each of [mute, late]) each.behaves();
  await Promise.all([mute, late, ...(killsGateway ? forms : [])].map(async (each) => each.reopen()));
  return { gone, avoided: spared, mute: mutes, late: lates, back: backs, cut: cuts, long: longs, forms: wires };
}

async function filesOf(ends: readonly Ended[]): Promise<string[]> {
  return Promise.all(ends.map(async ({ video }) => sha(new Uint8Array(await (await fetch(video.video_url ?? "")).arrayBuffer()))));
}

const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe.each([
  ["the gateway stays up", false],
  ["the gateway is killed with it, and started again", true],
])("a provider dies, and %s", (_name, killsGateway) => {
  let ends: Ends;
  beforeAll(async () => {
    ends = await journey(killsGateway);
  }, PATIENCE_MS);

  const allTold = (which: readonly Ended[]): string[] => which.map(told);

  it("before the hand-over: nobody knows whether it heard, so nobody else is asked, and nothing is charged", () => {
    expect(allTold(ends.gone)).toEqual(ends.gone.map(() => "upstream_ambiguous, released, gone unknown"));
    // When the gateway is started again, the breaker knows all about it still.
    expect(ends.gone).toHaveLength(killsGateway ? 0 : 5);
  });

  it("and stays dead: its breaker keeps tasks from it, and another provider makes their videos", () => {
    expect(allTold(ends.avoided).slice(-4)).toEqual([SPARED, SPARED, SPARED, SPARED]);
    const probes = allTold(ends.avoided).filter((each) => each !== SPARED);
    expect(probes).toEqual(probes.map(() => "upstream_ambiguous, released, gone unknown"));
  });

  it("after it has read the create, before it answers: one job there, nobody else is asked, nothing is charged", () => {
    expect(allTold(ends.mute)).toEqual(ends.mute.map(() => "upstream_ambiguous, released, mute unknown"));
    expect(ends.mute.map(({ made }) => mute.asked().get(made.prompt))).toEqual([1, 1]);
    expect(ends.mute.filter(({ made }) => spare.asked().has(made.prompt))).toEqual([]);
  });

  it("while it works, for good: once it is overdue another one makes the video, for one hold and one charge", () => {
    const finished = ends.late.filter((end) => !(killsGateway && isCaught(end)));
    expect(allTold(finished)).toEqual(finished.map(() => "completed, settled, late abandoned, spare accepted"));
    expect(finished.map(({ made }) => spare.asked().get(made.prompt))).toEqual(finished.map(() => 1));
    expect(ends.late.map(({ task }) => task.attempts[0]?.reason)).toEqual(["timeout", "timeout"]);
    expect(ends.late.map(({ made }) => late.asked().get(made.prompt))).toEqual([1, 1]);
  });

  it("while it works, and comes back: the task completes there", async () => {
    expect(allTold(ends.back)).toEqual(ends.back.map(() => "completed, settled, back accepted"));
    expect(await filesOf(ends.back)).toEqual(ends.back.map(() => sha(clip)));
  });

  it("in the middle of the download, and comes back: the file is whole, to the byte", async () => {
    expect(allTold(ends.cut)).toEqual(ends.cut.map(() => "completed, settled, cut accepted"));
    expect(await filesOf(ends.cut)).toEqual(ends.cut.map(() => sha(clip)));
    expect(allTold(ends.long)).toEqual(ends.long.map(() => "completed, settled, long accepted"));
    expect(await filesOf(ends.long)).toEqual(ends.long.map(() => sha(longClip)));
  });

  it(`${killsGateway ? "before it answers the create" : "while it works, and comes back"}: the same over every wire`, () => {
    const outcome = (name: string): string =>
      killsGateway ? `upstream_ambiguous, released, ${name} unknown` : `completed, settled, ${name} accepted`;
    expect(allTold(ends.forms)).toEqual(forms.map(({ name }) => outcome(name)));
    expect(forms.map((form) => form.jobs())).toEqual(forms.map(() => (killsGateway ? 2 : 1)));
  });
});

describe("after all of that", () => {
  it("nothing was asked of any provider more often than the tasks' attempts say", () => {
    // One that was lost with the gateway may never have been heard.
    const isLost = (end: Ended): boolean => isCaught(end) && !spare.asked().has(end.made.prompt);
    const attempts = everything.flatMap((end) => {
      const providers = end.task.attempts.map(({ provider }) => provider);
      return isLost(end) ? providers.slice(0, -1) : providers;
    });
    const made = (name: string): number => attempts.filter((each) => each === name).length;
    expect(everything.length).toBeGreaterThan(50);
    // The dead one could not hear.
    for (const each of mortals.slice(1))
      expect([each.name, each.creates(), each.jobs()]).toEqual([each.name, made(each.name), made(each.name)]);
    for (const form of forms) expect([form.name, form.jobs()]).toEqual([form.name, made(form.name)]);
    const often = mortals.flatMap((each) => [...each.asked()].filter(([, times]) => times !== 1));
    expect(often).toEqual([]);
  });

  it("each task held its credits once, and was charged or given them back once; the books add up", async () => {
    for (const { id } of customers) {
      const movements = new Map<string, string[]>();
      for (const { kind, ref } of await all<JournalEntry>(`/tenants/${id}/journal`)) {
        if (kind !== "grant") movements.set(ref ?? "", [kind, ...(movements.get(ref ?? "") ?? [])]);
      }
      const mine = everything.filter(({ made }) => made.owner.id === id);
      const expected = mine.map(
        ({ made, video }) => [made.id, ["hold", video.status === "completed" ? "settle" : "release"]] as const,
      );
      expect(Object.fromEntries(movements)).toEqual(Object.fromEntries(expected));
      for (const mode of ["live", "test"]) {
        const books = await admin<Recompute>(`/tenants/${id}/recompute?mode=${mode}`);
        expect(books).toMatchObject({ equal: true, balances: { held: 0 } });
      }
    }
  });

  it("what was paid for in vain is on the operator's list, each job once", async () => {
    const listed: string[] = [];
    for (const { id } of customers) {
      const orphans = await all<Orphan>(`/tenants/${id}/orphans`);
      listed.push(...orphans.map(({ task, provider, reason }) => `${task} ${provider} ${reason}`));
    }
    const owed = everything.flatMap(({ made, task }) =>
      task.attempts.flatMap(({ provider, outcome }) =>
        outcome === "unknown" || outcome === "abandoned"
          ? [`${made.id} ${provider} ${outcome === "unknown" ? "upstream_ambiguous" : "timeout"}`]
          : [],
      ),
    );
    expect(owed.length).toBeGreaterThan(10);
    expect(listed.sort()).toEqual(owed.sort());
  });
});

/** Every page of a list. */
async function all<Row>(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (let after = ""; ;) {
    const page = await admin<List<Row>>(`${path}?mode=live&limit=100${after}`);
    rows.push(...page.data);
    if (!page.has_more) return rows;
    after = `&after=${page.last_id}`;
  }
}
