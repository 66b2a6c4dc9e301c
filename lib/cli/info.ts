/** `nextpatch info`: what this machine can compute on, and whether rightly; what is missing; a run's memory plan. */
import type { Command } from "commander";
import { loadRunConfig } from "../config/config.js";
import { startedRanks } from "../config/rank_checks.js";
import { backends, Device, type DeviceSpec } from "../device.js";
import { ConfigError, type OutOfMemoryError } from "../errors.js";
import { thisMachine } from "../native/machine.js";
import {
  type AddonReport,
  addonReport,
  type BackendName,
  type BackendReport,
  type DeviceReport,
  passedOverLibraries,
  thisPackage,
} from "../native.js";
import { type EngineReport, engines } from "../ranks.js";
import { shareOf } from "../train/join_ranks.js";
import { copyBytes, type PlanItem, planItems, plannedBytes } from "../train/memory_plan.js";
import { shortage } from "../train/plan_fit.js";
import { closeRunData, openRunData } from "../train/run_data.js";
import { planConfig } from "../train/run_plan.js";
import { type StageCost, stageCosts } from "../train/stage_costs.js";
import { type OverrideFlags, overridesOf, wholeNumber, withOverrides } from "./arguments.js";
import { checkDevices, checkText, devicesToCheck, judge } from "./check.js";
import { dataReport, dataText } from "./data_text.js";
import type { CliIo } from "./io.js";
import { measuredOn } from "./measured.js";
import { planText, stagesText } from "./plan_text.js";

interface Flags extends OverrideFlags {
  readonly config?: string;
  readonly ranks?: number;
  readonly data?: string;
  readonly check?: boolean;
}

export function registerInfo(program: Command, io: CliIo): void {
  const command = program
    .command("info")
    .description(
      "list devices, backends and versions, and say what is missing and what to do; with --config, print a memory " +
        "plan; with --data, say what token shards hold; with --check, find out whether every kernel computes the same " +
        "as on the CPU",
    )
    .option("--config <file>", "run config to plan the memory for")
    .option(
      "--ranks <N>",
      "with --config: what each of N ranks takes; the same as --set parallel.ranks=N",
      wholeNumber(1),
    )
    .option("--data <folder>", "prepared folder, or token shards: their counts, tokenizer and first documents")
    .option(
      "--check",
      "compare every operation of every GPU, or of --device, with the CPU's, in about twenty seconds; exit code 1 if " +
        "one differs by more than rounding explains",
    );
  withOverrides(command).action(async ({ config, data, check, ranks, ...flags }: Flags) => {
    // Without a config there is nothing to override, but --device also says what to check.
    const overrides = overridesOf(check && config === undefined ? { ...flags, device: undefined } : flags);
    if (config === undefined && overrides.length > 0) {
      throw new ConfigError(`--config: expected a config for ${overrides[0]} to change but received nothing`);
    }
    if (config === undefined && ranks !== undefined) {
      throw new ConfigError("--config: expected a config for --ranks to plan but received nothing");
    }
    const addon = addonReport();
    const found = addon.problem === null ? backends() : withoutAddon(addon.problem);
    const toCheck = check ? devicesToCheck(flags.device, found) : null;
    const { plan, lack } =
      config === undefined ? { plan: null, lack: null } : await planOf(config, overrides, ranks, io);
    const { platform, arch, node, glibc } = thisMachine();
    const machine = { platform: `${platform}-${arch}`, node, glibc };
    const system = glibc === null ? machine.platform : `${machine.platform}, glibc ${glibc}`;
    const ofRanks = addon.problem === null ? engines() : [];
    const human: string[] = [];
    // Who asks for data alone is told of the machine in the JSON only.
    if (data === undefined || check || plan) {
      human.push(`${system}, Node ${node}`, ...addonText(addon, found), ...passedOverLibraries());
      human.push(...ofRanks.map(engineText));
    }
    if (plan) human.push(`stages of ${config}:`, stagesText(plan.stages));
    if (plan)
      human.push(
        `memory plan of ${ofOne(plan)}${config} on ${plan.device}:`,
        planText(plan.items, plan.copyBytes, plan.freeBytes),
      );
    const held = data === undefined ? null : await dataReport(data);
    if (held) human.push(dataText(held));
    const checks = toCheck && (await checkDevices(toCheck, io));
    if (checks && checks.length > 0) human.push(checkText(checks));
    io.result(human.join("\n"), {
      ...machine,
      addon,
      backends: found.map(withMeasured),
      engines: ofRanks,
      plan,
      data: held,
      check: checks,
    });
    if (checks) judge(checks, found);
    if (lack) throw lack;
  });
}

/** The backends where there is no addon to ask: none is available. What to do about it is said once, of the addon. */
function withoutAddon(addonProblem: string): BackendReport[] {
  const names: readonly BackendName[] = ["cpu", "cuda", "simt"];
  const [problem] = addonProblem.split("\n");
  return names.map((name) => ({ name, available: false, problem: problem!, versions: {}, devices: [] }));
}

/** What is wrong with the addon; else where it is from, and the backends. */
function addonText({ problem, path, package: from, version }: AddonReport, found: readonly BackendReport[]): string[] {
  if (problem !== null) return [problem];
  // The simulated device is for the project's own tests, in a clone.
  const shown = found.filter(({ name, available }) => name !== "simt" || available || thisPackage().clone);
  return [from === null ? `addon: ${path}` : `addon: ${from} ${version}`, ...shown.map(describe)];
}

function engineText({ name, library, problem }: EngineReport): string {
  return library === null ? `several ranks by ${name}: not available: ${problem}` : `several ranks: ${library}`;
}

const ofOne = ({ ranks }: Plan): string => (ranks === 1 ? "" : `each of ${ranks} ranks of `);

interface Plan {
  readonly device: string;
  /** How many ranks there are; the rest is of one of them. */
  readonly ranks: number;
  readonly stages: StageCost[];
  readonly items: PlanItem[];
  readonly plannedBytes: number;
  /** Host memory of the copy that checkpoints are written from, where it fits. */
  readonly copyBytes: number;
  readonly freeBytes: number;
  /** Why the plan does not fit, and what would; null: it fits. */
  readonly problem: string | null;
}

/** A run's plan, and the error of one that does not fit: it is printed all the same. */
async function planOf(
  path: string,
  set: string[],
  ranks: number | undefined,
  io: CliIo,
): Promise<{ plan: Plan; lack: OutOfMemoryError | null }> {
  const config = await loadRunConfig(path, { set, log: io.log });
  const device = Device.open(config.device as DeviceSpec);
  const data = await openRunData(config);
  const size = ranks ?? startedRanks(config.parallel);
  // The first rank, which has no less than the others.
  const share = shareOf(config.parallel, 0, size);
  const planned = await planConfig(config, device, data, { share }).finally(() => closeRunData(data));
  const { plan, stages, shape } = planned;
  const lack = shortage(device, planned);
  const printed = {
    device: `${device.backend} (${device.name})`,
    ranks: size,
    stages: stageCosts(stages, shape),
    items: planItems(device, plan),
    plannedBytes: plannedBytes(device, plan),
    copyBytes: copyBytes(device, plan),
    freeBytes: device.memory().freeBytes,
    problem: lack === null ? null : lack.message,
  };
  return { plan: printed, lack };
}

function withMeasured({ devices, ...backend }: BackendReport) {
  return {
    ...backend,
    devices: devices.map((device) => ({ ...device, measured: measuredOn(backend.name, device) })),
  };
}

function describe({ name, available, problem, versions, devices }: BackendReport): string {
  const libraries = Object.entries(versions).map(([library, version]) => `${library} ${version}`);
  const lines = devices.map((device, index) => {
    const number = devices.length > 1 ? `:${index}` : "";
    const memory = `${(device.totalBytes / 2 ** 30).toFixed(1)} GiB`;
    return `  ${name}${number}: ${device.name}, ${memory}${device.nativeBf16 ? ", bf16" : ""}, ${codeText(name, device)}`;
  });
  const state = available ? libraries.join(", ") : `not available: ${problem}`;
  return [`${name}: ${state}`, ...lines].join("\n");
}

function codeText(backend: BackendName, device: DeviceReport): string {
  if (device.code === null) return "not supported: the package has no code that it can run";
  if (backend === "simt") return `runs ${device.code}`;
  const measured = measuredOn(backend, device);
  return `runs ${device.code} (${measured === null ? "the project has not measured it" : `measured: ${measured}`})`;
}
