// What watching a generation costs, and how late its end is noticed: `npm run bench:polling`. First counted, on three recorded mixes
// of durations, the same at every run; then a thousand live tasks on this machine, where the ratio is what counts.
import { runHerd, type Stretch } from "./herd.ts";
import { MIXES } from "./latency-mixes.ts";
import { cold, everyFiveSeconds, learning, type Counts } from "./poll-counts.ts";
import { fewestPolls } from "./poll-oracle.ts";

/** What the learned schedule may cost at most, against the oracle at the same median delay, and that delay. */
const CEILING = 1.3;
const WANTED_DELAY_MS = 3_000;

let holds = true;
for (const { name, sigma, durationsMs } of MIXES) {
  const learned = learning(durationsMs);
  const fewest = fewestPolls(durationsMs, learned.medianDelayMs);
  const ratio = learned.pollsPerTask / fewest;
  holds &&= ratio <= CEILING && learned.medianDelayMs <= WANTED_DELAY_MS;
  console.log(`\n${name} (log-normal, sigma ${sigma}, 11 s to 6 min)        polls a task   found after: median    mean     95 %`);
  print("oracle, at the same median delay", { pollsPerTask: fewest, medianDelayMs: learned.medianDelayMs });
  print(`learned from the last 60 (${ratio.toFixed(2)} x oracle)`, learned);
  print("nothing learned yet", cold(durationsMs));
  print("every 5 s", everyFiveSeconds(durationsMs));
  print("hinted by the provider", learning(durationsMs, "come"));
  print("hinted, and every hint is lost", learning(durationsMs, "are lost"));
}
console.log(`\nat most ${CEILING} x oracle, median delay at most ${WANTED_DELAY_MS / 1_000} s: ${holds ? "yes" : "NO"}`);
process.exitCode = holds ? 0 : 1;

const { tasks, idleQueryMs, expected, overdue } = await runHerd();
console.log(`\n${tasks} live tasks                                              median    95 %    most`);
printTimes("a query takes, with nothing under way", idleQueryMs);
printStretch("while all are expected any second", expected, idleQueryMs);
printStretch("when all are overdue", overdue, idleQueryMs);

function printStretch(when: string, { seconds, latenessMs, queryMs }: Stretch, idleMs: readonly number[]): void {
  console.log(
    `${when}: ${latenessMs.length} polls in ${seconds.toFixed(0)} s, ${(latenessMs.length / seconds).toFixed(0)} a second`,
  );
  printTimes("a poll is late by", latenessMs);
  printTimes(`a query takes (${(at(queryMs, 0.5) / at(idleMs, 0.5)).toFixed(1)} x as long as with nothing)`, queryMs);
}

function printTimes(what: string, ms: readonly number[]): void {
  const shares = [0.5, 0.95, 1].map((share) => `${at(ms, share).toFixed(1)} ms`.padStart(10));
  console.log(`  ${what.padEnd(48)} ${shares.join("")}`);
}

function print(what: string, counts: Partial<Counts> & Pick<Counts, "pollsPerTask">): void {
  const delays = [counts.medianDelayMs, counts.meanDelayMs, counts.p95DelayMs].map((ms) =>
    (ms === undefined ? "-" : `${(ms / 1_000).toFixed(1)} s`).padStart(8),
  );
  console.log(`  ${what.padEnd(48)} ${counts.pollsPerTask.toFixed(2).padStart(6)}                  ${delays.join(" ")}`);
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
}
