/** AdamW's settings where neither a config nor a call says. */
export const adamwDefaults = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, gradClip: 1 } as const;
