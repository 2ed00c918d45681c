import type { Operator } from "../service/operator/operator.ts";
import type { App } from "./context.ts";

export function mountAdminTenants(_app: App, _operator: Operator): void {}
