// The fewest polls a task with which half of all videos can be found within a given delay, by one who knows how long they will take.
//
// A schedule is a list of times, and costs as many polls as a task's duration lies beyond: a poll is made where the one before found
// nothing. It finds in time what was done within the delay before it. For any price on being in time, the schedule with the lowest
// expected polls minus price x share in time is found exactly, from the last poll to the first (each stretch between two polls
// costs the same whatever came before). Every schedule's polls, and every mixture's of several schedules, are then at least that
// minimum plus price x 1/2: the bound is the highest of these over all prices. So it flatters nobody's rule of thumb, and it is
// fair to a schedule that spreads tasks by their ids. It errs in the oracle's favour: it knows the very durations that the schedules
// are counted on, not just their kind; it cares for the median alone, and lets whom it has given up on wait for minutes; and it needs to
// learn nothing. Its only limit is that its polls lie on a grid, of a twelfth of the delay.

const STEPS_A_DELAY = 12;
const ROUNDS = 20;
/** More polls than anybody would give for one video found in time. */
const HIGHEST_PRICE = 100;

export function fewestPolls(durationsMs: readonly number[], medianDelayMs: number): number {
  const done = doneBy(durationsMs, medianDelayMs / STEPS_A_DELAY);
  let [low, high] = [0, HIGHEST_PRICE];
  let bound = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const price = (low + high) / 2;
    const best = cheapest(done, price);
    bound = Math.max(bound, best.cost + price / 2);
    if (best.inTime >= 0.5) high = price;
    else low = price;
  }
  return bound;
}

/** The share of tasks that are done by the end of each step; in the first step nothing is, in the last everything. */
function doneBy(durationsMs: readonly number[], stepMs: number): number[] {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  const first = Math.ceil((sorted[0] ?? 0) / stepMs) - 1;
  const last = Math.ceil((sorted.at(-1) ?? 0) / stepMs);
  let count = 0;
  return Array.from({ length: last - first + 1 }, (_, index) => {
    while (count < sorted.length && (sorted[count] ?? 0) <= (first + index) * stepMs) count++;
    return count / sorted.length;
  });
}

/** The schedule with the lowest cost = polls - price x share in time. */
function cheapest(doneBySteps: readonly number[], price: number): { cost: number; inTime: number } {
  const done = Float64Array.from(doneBySteps);
  const end = done.length - 1;
  const costs = new Float64Array(done.length);
  const inTimes = new Float64Array(done.length);
  const at = (step: number): number => done[step] as number;
  for (let from = end - 1; from >= 0; from--) {
    let [best, bestInTime] = [Infinity, 0];
    for (let next = from + 1; next <= end; next++) {
      const inTime = at(next) - at(Math.max(from, next - STEPS_A_DELAY));
      const cost = 1 - at(from) - price * inTime + (costs[next] as number);
      if (cost < best) [best, bestInTime] = [cost, inTime + (inTimes[next] as number)];
    }
    costs[from] = best;
    inTimes[from] = bestInTime;
  }
  return { cost: costs[0] as number, inTime: inTimes[0] as number };
}
