import { architectureCalls } from "./architectures.js";
import { basicCalls } from "./basic.js";
import type { Call, Size } from "./call.js";
import { layerCalls } from "./layers.js";
import { trainingCalls } from "./training.js";

/** Calls of every operation that computes something. */
export function allCalls(size: Size): Call[] {
  return [...basicCalls(size), ...layerCalls(size), ...architectureCalls(size), ...trainingCalls(size)];
}
