/** How Muon's learning rate is adjusted to the shape of a matrix [A, B]. */
export const adjustLrKinds = ["original", "matchRmsAdamw"] as const;
export type AdjustLr = (typeof adjustLrKinds)[number];

/** What the rate of a matrix is multiplied by: `adjust_lr_fn` of torch.optim.Muon. */
export function adjustedLrRatio(kind: AdjustLr, rows: number, columns: number): number {
  return kind === "original" ? Math.sqrt(Math.max(1, rows / columns)) : 0.2 * Math.sqrt(Math.max(rows, columns));
}
