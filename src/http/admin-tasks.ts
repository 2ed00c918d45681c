import type { Operator } from "../service/operator/operator.ts";
import type { App } from "./context.ts";

export function mountAdminTasks(_app: App, _operator: Operator): void {}
