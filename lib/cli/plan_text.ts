import type { PlanItem } from "../train/memory_plan.js";

/**
 * The memory plan as text.
 * @param copyBytes host memory of the copy that checkpoints are written from; 0: there is none
 */
export function planText(items: readonly PlanItem[], copyBytes: number, freeBytes: number): string {
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [
    ...items,
    { name: "planned in all", bytes: total },
    ...(copyBytes > 0 ? [{ name: "beside it, on the host: a checkpoint's copy", bytes: copyBytes }] : []),
    { name: "free on the device", bytes: freeBytes },
  ];
  return rows.map(({ name, bytes }) => `  ${name.padEnd(44)}${mebibytes(bytes).padStart(12)}`).join("\n");
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
