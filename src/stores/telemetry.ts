// Where log lines and chart points go: the Worker's log, one JSON object a line, and Analytics Engine.
import type { Telemetry } from "../ports.ts";

export function consoleTelemetry(dataset: AnalyticsEngineDataset): Telemetry {
  return {
    log(level, entry) {
      console[level](JSON.stringify({ level, ...entry }));
    },
    usage({ tenant, model, provider, outcome, credits, seconds }) {
      dataset.writeDataPoint({ indexes: [tenant], blobs: [model, provider, outcome], doubles: [credits, seconds] });
    },
  };
}
