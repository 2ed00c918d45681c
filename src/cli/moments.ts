// Times and spans as people read them. The wire has unix seconds, and UTC is what logs and colleagues have too.

const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;
const relative = new Intl.RelativeTimeFormat("en", { style: "long" });

/** `2026-11-22 15:04:05Z (3 minutes ago)`. Null where there is none. */
export function moment(seconds: number | null | undefined, nowMs: number): string | null {
  const at = absolute(seconds);
  return at === null ? null : `${at} (${ago(Number(seconds), nowMs)})`;
}

/** `2026-11-22 15:04:05Z`. Null where there is none. */
export function absolute(seconds: number | null | undefined): string | null {
  const at = new Date(Number(seconds ?? Number.NaN) * 1000);
  return Number.isNaN(at.getTime()) ? null : `${at.toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** `1 d 2 h`, `3 min 20 s`, `0 s`: the two largest units are enough. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return join([days, "d"], [hours, "h"]);
  if (hours > 0) return join([hours, "h"], [minutes, "min"]);
  return minutes > 0 ? join([minutes, "min"], [whole % 60, "s"]) : `${whole} s`;
}

function ago(seconds: number, nowMs: number): string {
  const difference = Math.round(seconds - nowMs / 1000);
  const [unit, length] = UNITS.find(([, each]) => Math.abs(difference) >= each) ?? ["second", 1];
  return difference === 0 ? "now" : relative.format(Math.round(difference / length), unit);
}

function join(...parts: readonly (readonly [number, string])[]): string {
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}
