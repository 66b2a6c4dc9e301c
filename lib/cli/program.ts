/** The commands of `nextpatch`, and how each ends. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ConfigError } from "../errors.js";
import { registerBench } from "./bench.js";
import { registerBuild } from "./build.js";
import { registerCompare } from "./compare.js";
import { registerEval } from "./eval.js";
import { registerExport } from "./export.js";
import { registerGenerate } from "./generate.js";
import { registerInfo } from "./info.js";
import { createIo } from "./io.js";
import { registerPlan } from "./plan.js";
import { registerPrepare } from "./prepare.js";
import { ofRank } from "./rank_errors.js";
import { registerTrain } from "./train.js";
import { registerTune } from "./tune.js";
import { registerWatch } from "./watch.js";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
  description: string;
};

const flags = () => program.opts<{ json?: boolean; verbose?: boolean }>();
const io = createIo(() => flags().json === true);

const program = new Command("nextpatch")
  .description(manifest.description)
  .version(manifest.version)
  .option("--json", "print the result as one JSON object on stdout, and everything else on stderr")
  .option("--verbose", "print the stack trace of an error")
  .configureHelp({ showGlobalOptions: true })
  .exitOverride()
  // One line, like every other error: commander puts its suggestion on a second.
  .configureOutput({
    writeOut: (text) => io.output(text),
    writeErr: (text) => io.message(text),
    outputError: (text, write) => write(text.replace(/^error: /, "nextpatch: ").replace(/\n\((?=Did you mean)/, " (")),
  });

for (const register of [
  registerPrepare,
  registerTrain,
  registerWatch,
  registerEval,
  registerGenerate,
  registerCompare,
  registerExport,
  registerBench,
  registerTune,
  registerPlan,
  registerInfo,
  registerBuild,
]) {
  register(program, io);
}

run();

async function run(): Promise<never> {
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(await ofRank(error));
  }
  try {
    await io.finish();
  } catch (error) {
    process.exitCode ||= report(error);
  }
  await io.close();
  // Not left to the event loop: it takes the handlers of signals away before the process is gone, and a signal sent twice
  // would end by itself what has an exit code to give.
  process.exit();
}

function report(error: unknown): number {
  // Commander has printed its message; help and version exit with its code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const { message, stack } = error as Error;
  const text = flags().verbose ? (stack ?? message) : message;
  io.log(`${text.startsWith("nextpatch") ? "" : "nextpatch: "}${text}`);
  return error instanceof ConfigError ? 2 : 1;
}
