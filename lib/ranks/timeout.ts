/** Seconds that a rank waits for others where neither a config nor a call says. */
export const defaultTimeout = 600;
