/** Checks the option `loggers`. */
import { type Arguments, describe } from "../arguments.js";
import type { Logger } from "../report/logger.js";

/** @throws TypeError for what is no list of loggers */
export function checkLoggers(check: Arguments, loggers: unknown): readonly Logger[] {
  if (!Array.isArray(loggers)) return check.fail(TypeError, "loggers", "an array of loggers", describe(loggers));
  return Array.from(loggers as Logger[], (logger, index) => {
    const name = `loggers[${index}]`;
    check.object(name, logger);
    check.string(`${name}.name`, logger.name);
    for (const call of ["begin", "end"] as const) check.callback(`${name}.${call}`, logger[call]);
    if (logger.step === undefined) check.fail(TypeError, `${name}.step`, "a function", "undefined");
    check.callback(`${name}.step`, logger.step);
    return logger;
  });
}
