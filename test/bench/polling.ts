// What watching a generation costs, and how late its end is noticed: `npm run bench:polling`. First counted, on three recorded mixes
// of durations, the same at every run; then a thousand live tasks on this machine, where the ratio is what counts.
import { runHerd } from "./herd.ts";
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

const { tasks, polls, seconds, latenessMs, idleQueryMs, busyQueryMs } = await runHerd();
const shares = [0.5, 0.95, 1];
console.log(`\n${tasks} live tasks: ${polls} polls in ${seconds.toFixed(0)} s, ${(polls / seconds).toFixed(0)} a second`);
console.log(
  `a poll is late by           ${shares.map((share) => `${at(latenessMs, share).toFixed(0).padStart(6)} ms`).join("")}   median, 95 %, most`,
);
console.log(`a query takes, idle         ${shares.map((share) => `${at(idleQueryMs, share).toFixed(1).padStart(6)} ms`).join("")}`);
console.log(`a query takes, beside them  ${shares.map((share) => `${at(busyQueryMs, share).toFixed(1).padStart(6)} ms`).join("")}`);
console.log(`ratio of the medians ${(at(busyQueryMs, 0.5) / at(idleQueryMs, 0.5)).toFixed(2)}`);

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
