/**
 * A run that Weights & Biases follows, by a `Logger` for its JavaScript SDK.
 * `npm install @wandb/sdk`, set `WANDB_API_KEY`, then
 * `npx tsx node_modules/nextpatch/examples/wandb.ts config.yaml`.
 */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type LoggedRun, type Logger, loadRunConfig, type MetricsLine, Trainer } from "nextpatch";

/** What is used of the SDK. */
export interface WandB {
  init(options: { project: string; name: string; config: Record<string, unknown> }): Promise<unknown>;
  log(data: Record<string, unknown>): void;
  finish(): Promise<void>;
}

/** Logs every step's line by the names that metrics.jsonl has. */
export class WandBLogger implements Logger {
  readonly name = "wandb";

  constructor(
    private readonly wandb: WandB,
    private readonly project: string,
  ) {}

  async begin({ name, config, step }: LoggedRun): Promise<void> {
    // W&B forgets no steps: a run that goes on from a checkpoint is another run there.
    const own = step === 0 ? name : `${name} from step ${step}`;
    await this.wandb.init({ project: this.project, name: own, config: { ...config } });
  }

  step(line: MetricsLine): void {
    this.wandb.log({ ...line });
  }

  async end(): Promise<void> {
    await this.wandb.finish();
  }
}

// The path that was typed may lead through a link, as in a project of pnpm.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const sdk = "@wandb/sdk"; // not a dependency of this package, whose types are therefore not known
  const { default: wandb } = (await import(sdk)) as { default: WandB };
  const config = await loadRunConfig(process.argv[2] ?? "config.yaml");
  const loggers = [new WandBLogger(wandb, "nextpatch")];
  await using trainer = await Trainer.open(config, { loggers, resume: "auto", log: console.error });
  for await (const { step, loss } of trainer.run()) console.log(`step ${step}: ${loss}`);
}
