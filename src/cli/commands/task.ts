import type { Command } from "commander";
import { path } from "../admin-api.ts";
import type { Task } from "../admin-wire.ts";
import { absolute, moment, span } from "../moments.ts";
import { confirmUnless, operatorOf, withConfirmation } from "../operator.ts";
import { cell, sections, sheet, table } from "../table.ts";
import { tenantId } from "../values.ts";

interface ShowOptions {
  readonly requestId?: string;
  readonly tenant?: string;
}

interface FailOptions {
  readonly reason: string;
  readonly tenant?: string;
  readonly yes?: boolean;
}

const ENDED: ReadonlySet<string> = new Set(["completed", "failed"]);

export function addTaskCommands(program: Command): void {
  const task = program.command("task").description("one video, from its request to its end");

  task
    .command("show")
    .description("what has become of it, step by step")
    .argument("[task]", "its id")
    .option("--request-id <id>", "find it by the request that made it")
    .option("--tenant <id>", "whose it is; faster", tenantId)
    .action(async (id: string | undefined, { requestId, tenant }: ShowOptions, command: Command) => {
      if ((id === undefined) === (requestId === undefined))
        command.error("error: name the task, or the request with --request-id", { exitCode: 2 });
      const { api, screen } = operatorOf(command);
      screen.show(await api.get<Task>("/tasks", { id, request_id: requestId, tenant }), describe);
    });

  withConfirmation(
    task
      .command("fail")
      .description("give up on it and release its credits")
      .argument("<task>", "its id")
      .requiredOption("--reason <text>", "for the audit log")
      .option("--tenant <id>", "whose it is", tenantId),
  ).action(async (id: string, { reason, tenant, yes }: FailOptions, command: Command) => {
    const { api, screen } = operatorOf(command);
    await confirmUnless(yes, async () => {
      const { body: found } = await api.get<Task>("/tasks", { id, tenant });
      const what = `This fails task ${cell(found.id)} of tenant ${cell(found.tenant)} (${cell(found.status)}) and releases ${cell(found.credits)} credits.`;
      return { what, word: found.id };
    });
    const reply = await api.post<Task>(path`/tasks/${id}/fail`, { reason, ...(tenant !== undefined && { tenant }) });
    screen.show(reply, describe);
  });

  task
    .command("retry")
    .description("look at it now instead of at its next turn")
    .argument("<task>", "its id")
    .option("--tenant <id>", "whose it is", tenantId)
    .action(async (id: string, { tenant }: { tenant?: string }, command: Command) => {
      const { api, screen } = operatorOf(command);
      screen.show(await api.post<Task>(path`/tasks/${id}/retry`, tenant === undefined ? {} : { tenant }), describe);
    });
}

function describe(task: Task): string {
  const facts = sheet([
    ["Task", task.id],
    ["Status", task.failure === null ? task.status : `${task.status} (${task.failure})`],
    ["Tenant", `${task.tenant}, ${task.mode}`],
    ["Model", task.model],
    ["Credits", `${cell(task.credits)}, ${cell(task.hold)}`],
    ["Created", moment(task.created_at, Date.now())],
    ["Deadline", moment(task.deadline_at, Date.now())],
    ["Key", task.key_id],
    ["Request", task.request_id],
  ]);
  return sections(facts, timelineTable(task), attemptsTable(task));
}

/** Each step with how long it took: until the next, or, where the task is still at it, until now. */
function timelineTable({ timeline, status }: Task): string {
  const took = (index: number): string | null => {
    const [from, to] = [timeline[index]?.at, timeline[index + 1]?.at];
    if (from === undefined) return null;
    if (to !== undefined) return span(to - from);
    return ENDED.has(status) ? null : `${span(Date.now() / 1000 - from)} so far`;
  };
  const start = timeline[0]?.at ?? 0;
  return table(
    timeline.map((entry, index) => ({ ...entry, took: took(index) })),
    [
      { title: "at", of: ({ at }) => absolute(at) },
      { title: "after", of: ({ at }) => span(at - start) },
      { title: "step", of: ({ step }) => step },
      { title: "took", of: (entry) => entry.took },
    ],
    "",
  );
}

function attemptsTable({ attempts }: Task): string {
  return table(
    attempts,
    [
      { title: "attempt at", of: ({ started_at }) => absolute(started_at) },
      { title: "provider", of: ({ provider }) => provider },
      { title: "model", of: ({ model }) => model },
      { title: "outcome", of: ({ outcome }) => outcome },
      { title: "reason", of: ({ reason }) => reason },
    ],
    "",
  );
}
