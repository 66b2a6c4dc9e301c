import type { PlanItem } from "../train/memory_plan.js";

/** The memory plan as text. */
export function planText(items: readonly PlanItem[], freeBytes: number): string {
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [...items, { name: "planned in all", bytes: total }, { name: "free on the device", bytes: freeBytes }];
  return rows.map(({ name, bytes }) => `  ${name.padEnd(42)}${mebibytes(bytes).padStart(12)}`).join("\n");
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
