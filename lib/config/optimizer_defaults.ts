/** AdamW's settings where neither a config nor a call says. */
export const adamwDefaults = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;

/** Likewise Muon's, as torch.optim.Muon's. */
export const muonDefaults = { momentum: 0.95, nesterov: true, nsSteps: 5, adjustLr: "original" } as const;

/** Settings, inherited ones too, with a default for each that is undefined. */
export function withDefaults<T extends object>(defaults: T, given: Partial<T>): T {
  const entries = Object.entries(defaults).map(([key, value]) => {
    const own = given[key as keyof T];
    return [key, own === undefined ? value : own];
  });
  return Object.fromEntries(entries) as T;
}
