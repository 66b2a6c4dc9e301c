/** The faults, by what they befall. docs/reliability.md has their table, which `npm run docs` writes. */
import type { Fault } from "./fault.js";
import { checkpoints } from "./faults/checkpoints.js";
import { memory } from "./faults/memory.js";
import { metrics } from "./faults/metrics.js";
import { owners } from "./faults/owners.js";
import { signals } from "./faults/signals.js";
import { streams } from "./faults/streams.js";

export const faults: readonly Fault[] = [...signals, ...streams, ...owners, ...metrics, ...checkpoints, ...memory];
