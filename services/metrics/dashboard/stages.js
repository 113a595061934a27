// The five stages, in order.

import { capital } from "./format.js";

export const STAGES = ["awareness", "consideration", "purchase", "loyalty", "advocacy"];
export const title = (stage) => capital(stage);
