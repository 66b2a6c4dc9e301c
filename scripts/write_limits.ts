/** Writes lib/limits.ts from the addon's `limits`: `npm run limits`, after a change of native/core/limits.h. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Limits } from "../binding.js";
import { native } from "../lib/native.js";

/** The file, as it stands in lib/limits.ts. */
export function limitsFile(limits: Limits): string {
  const fields = Object.entries(limits).map(([name, value]) => {
    const number = (item: number) => String(item).replace(/\B(?=(\d{3})+$)/g, "_");
    return `  ${name}: ${Array.isArray(value) ? `[${value.map(number).join(", ")}]` : number(value)},`;
  });
  return [
    "/**",
    " * The sizes and ranges that hold on every backend. Written by `npm run limits` from native/core/limits.h, so that",
    " * what needs no addon (configs, `info`) need not load it. binding.d.ts says what each is.",
    " */",
    'import type { Limits } from "../binding.js";',
    "",
    "export const limits = {",
    ...fields,
    "} as const satisfies { readonly [K in keyof Limits]: Limits[K] | readonly number[] };",
    "",
    "/** Whether attention has kernels for a head dimension. */",
    "export function isHeadDim(size: number): boolean {",
    "  return (limits.headDims as readonly number[]).includes(size);",
    "}",
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("../lib/limits.ts", import.meta.url), limitsFile(native.limits));
}
