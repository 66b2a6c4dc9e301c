/** How the K labels of a patch are weighted. */

/** The ways, as a config names them: 1/K each, or proportional to 1/distance. */
export const labelWeightKinds = ["uniform", "1/i"] as const;
export type LabelWeights = (typeof labelWeightKinds)[number];

/** The weights of a patch's K labels by distance, summing to 1: each 1/K, or proportional to 1/distance. */
export function labelWeightValues(kind: LabelWeights, patchSize: number): number[] {
  const raw = Array.from({ length: patchSize }, (_, j) => (kind === "uniform" ? 1 : 1 / (j + 1)));
  const sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((weight) => weight / sum);
}
