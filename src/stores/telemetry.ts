// Where log lines, chart points and alerts go: the Worker's log, one JSON object a line; Analytics Engine; the operator's own URL.
import type { AlertKind, LogEntry, Telemetry } from "../ports.ts";

/** Sends one alert. Never throws. */
export type SendAlert = (kind: AlertKind, entry: LogEntry) => void;

export function consoleTelemetry(dataset: AnalyticsEngineDataset, sendAlert: SendAlert): Telemetry {
  return {
    log(level, entry) {
      console[level](JSON.stringify({ level, ...entry }));
    },
    alert(kind, entry) {
      console.error(JSON.stringify({ level: "error", event: "alert", alert: kind, ...entry }));
      sendAlert(kind, entry);
    },
    usage({ tenant, model, provider, outcome, credits, seconds }) {
      dataset.writeDataPoint({ indexes: [tenant], blobs: [model, provider, outcome], doubles: [credits, seconds] });
    },
  };
}
