/** AdamW's settings where neither a config nor a call says. */
export const adamwDefaults = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;

/** Likewise Muon's, as torch.optim.Muon's. */
export const muonDefaults = { momentum: 0.95, nesterov: true, nsSteps: 5, adjustLr: "original" } as const;
