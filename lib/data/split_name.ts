/** The splits of a dataset. */
export type SplitName = "train" | "val";
