/** The seeded faults. docs/testing.md has their table, which `npm run docs` writes. */
import { attention } from "./faults/attention.js";
import { kernels } from "./faults/kernels.js";
import { collectives } from "./faults/nccl.js";
import { products } from "./faults/products.js";
import { runtime } from "./faults/runtime.js";
import { warpgroups } from "./faults/warpgroups.js";
import type { Mutant } from "./mutant.js";

export const mutants: readonly Mutant[] = [
  ...attention,
  ...warpgroups,
  ...kernels,
  ...products,
  ...collectives,
  ...runtime,
];
