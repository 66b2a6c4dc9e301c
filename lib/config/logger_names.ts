/** Loggers that a config can name. */
export const loggerNames = ["tensorboard"] as const;
export type LoggerName = (typeof loggerNames)[number];
