/** `nextpatch eval`: the mean loss of a model on token shards; eval_kinds.ts has what else it computes. */
import type { Command } from "commander";
import { evaluateTogether } from "../evaluate.js";
import { defaultTimeout } from "../ranks/timeout.js";
import { joinRanks, leadsRun } from "../train/join_ranks.js";
import { deviceNumbers, loadModel, wholeNumber, withPlacement } from "./arguments.js";
import { checkKind, type EvalFlags, runKind, withKinds } from "./eval_kinds.js";
import { type CliIo, silent } from "./io.js";
import { runOnDevices } from "./launch_devices.js";
import { runAsRanks } from "./launch_ranks.js";
import { fromFlags } from "./usage.js";

/** The flags that `evaluate` gets its options from. */
const flagOf = { data: "--data", patchSize: "--patch-size", sequenceLength: "--sequence-length" };

export function registerEval(program: Command, output: CliIo): void {
  const command = program
    .command("eval")
    .description(
      "compute a model's mean loss over consecutive blocks of K * T tokens (a remainder is dropped), or score tasks or text",
    )
    .requiredOption("--model <dir>", "model folder, or org/name in Hugging Face's cache")
    .option("--data <file.bin...>", "token shards: files or patterns")
    .option("--patch-size <K>", "with --data: tokens per patch (default: 1)", wholeNumber(1))
    .option(
      "--sequence-length <T>",
      "with --data: positions per block (default: the context, at most 1024)",
      wholeNumber(1),
    )
    .option("--ranks <N>", "with --data: by N processes of this machine, on cpu", wholeNumber(1))
    .option("--devices <numbers>", "with --data: by a process on each of these GPUs, for example 0,1", deviceNumbers)
    .option("--verify-data", "read every byte of the data first, and compare it with the hashes in dataset.json");
  withPlacement(withKinds(command)).action(async (flags: EvalFlags) => {
    const io = leadsRun() ? output : silent;
    checkKind(flags);
    const { devices = [] } = flags;
    const ended =
      devices.length > 0
        ? await runOnDevices(devices, flags.device, io, null)
        : await runAsRanks(flags.ranks ?? 1, io, null);
    if (ended !== null) {
      process.exitCode = ended;
      return;
    }
    if (await runKind(flags, io)) return;
    using model = await loadModel(flags, io);
    // Nothing is exchanged in buckets.
    const ranks = await joinRanks(
      { parallel: { ranks: 1, devices: [], overlap: false, zero: 1, timeout: defaultTimeout } },
      model.device,
    );
    const progress = io.progress("eval");
    const { data = [], patchSize = 1, sequenceLength, verifyData = false } = flags;
    const length = sequenceLength === undefined ? {} : { sequenceLength };
    const onProgress = (done: number, of: number) => progress.update(done, of, `block ${done}/${of}`);
    const options = { data, patchSize, ...length, verifyData, log: io.log, onProgress };
    const evaluation = fromFlags("evaluate", flagOf, () =>
      evaluateTogether(model, options, ranks.share, (sum) => ranks.total(sum)),
    );
    const result = await evaluation.finally(() => progress.stop());
    ranks.dispose();
    io.result(
      `loss ${result.loss.toFixed(6)} nats per token, perplexity ${result.perplexity.toFixed(4)}, ` +
        (result.bitsPerByte === undefined ? "" : `${result.bitsPerByte.toFixed(4)} bits per byte, `) +
        `over ${result.tokens} tokens in ${result.positions} positions` +
        (result.labels === undefined ? "" : `, of which ${result.labels} labels count`),
      result,
    );
  });
}
