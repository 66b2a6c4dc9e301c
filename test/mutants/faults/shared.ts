/** What several faults have in common: the tests that find them, and how they show. */

/** Attention's tests of few positions: those of a thousand take most of the time. */
export const short = "in bf16 (1|3|5|7|9|17|19|33|35|113|203) x";
export const forward = "operations/attention_forward";
export const backward = "operations/attention_backward";

/** An element that differs by more than rounding. */
export const wrong = "toBeLessThanOrEqual";
/** Two accesses without a barrier between. */
export const race = "race at byte";
