/** `nextpatch info --check`: which devices, and what came of it in words. */
import { show } from "../arguments.js";
import { checkKernels, type DeviceCheck, type OperationCheck } from "../check/run.js";
import { Device, type DeviceSpec } from "../device.js";
import { deviceNames } from "../device_names.js";
import { ConfigError, DeviceError } from "../errors.js";
import type { BackendReport } from "../native.js";
import type { CliIo } from "./io.js";

/**
 * The device that `--device` names; without it every GPU that there is code for. The simulated device is for tests of
 * the CUDA sources, so it is checked only if it is named.
 * @throws ConfigError for any other name
 */
export function devicesToCheck(named: string | undefined, found: readonly BackendReport[]): DeviceSpec[] {
  if (named === undefined || named === "auto") {
    const gpus = found.find(({ name }) => name === "cuda")?.devices ?? [];
    return [...gpus.entries()].flatMap(([index, { code }]) => (code === null ? [] : [`cuda:${index}` as const]));
  }
  if (named === "cpu" || !deviceNames.test(named)) {
    throw new ConfigError(`--device: expected cuda, cuda:N or simt, to check against cpu, but received ${show(named)}`);
  }
  return [named as DeviceSpec];
}

/** @throws DeviceError if a device cannot be opened */
export async function checkDevices(specs: readonly DeviceSpec[], io: CliIo): Promise<DeviceCheck[]> {
  if (specs.length === 0) return [];
  const cpu = Device.open("cpu");
  const checks: DeviceCheck[] = [];
  for (const spec of specs) {
    const device = Device.open(spec);
    io.log(`checking ${spec} (${device.name}) against cpu (${cpu.name})`);
    const progress = io.progress(`check ${spec}`);
    const onOperation = (done: number, of: number, name: string) => progress.update(done, of, name);
    checks.push(await checkKernels(device, cpu, { onOperation }).finally(() => progress.stop()));
  }
  return checks;
}

/** For each device: what was checked, a line for each operation, and what it comes to. */
export function checkText(checks: readonly DeviceCheck[]): string {
  return checks.flatMap(lines).join("\n");
}

function lines({ device, name, agrees, seconds, operations }: DeviceCheck): string[] {
  const header = ["operation", "calls", "largest difference"] as const;
  const rows = operations.map(
    (operation) => [operation.name, String(operation.calls), outcomeText(operation)] as const,
  );
  const [names, calls] = [0, 1].map((column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const good = operations.filter(({ outcome }) => outcome === "agrees").length;
  const sum = agrees ? `all ${good} operations agree` : `${good} of ${operations.length} operations agree`;
  return [
    `check of ${device} (${name}) against cpu, in ${seconds.toFixed(1)} s:`,
    ...[header, ...rows].map((row) => `  ${row[0].padEnd(names!)}  ${row[1].padStart(calls!)}  ${row[2]}`),
    "  Calls are in fp32 and bf16, on aligned and unaligned memory, each made twice. Allowed is what rounding explains;",
    "  neighbouring numbers of bf16 are 50 to 100 % of that apart.",
    `check of ${device}: ${sum} with cpu`,
  ];
}

function outcomeText({ outcome, calls, wrongCalls, worst, problem }: OperationCheck): string {
  if (outcome === "agrees") return worst === 0 ? "none" : `${Math.ceil(100 * worst!)} % of the allowed`;
  if (outcome === "not checked") return `not checked: ${problem!.message}`;
  const what = outcome === "fails" ? "FAILED" : "WRONG";
  return `${what} in ${wrongCalls} of ${calls} calls, as with ${problem!.call}: ${problem!.message}`;
}

/**
 * Passes if devices were checked and all agree.
 * @throws DeviceError which says what is wrong and what to do
 */
export function judge(checks: readonly DeviceCheck[], found: readonly BackendReport[]): void {
  if (checks.length === 0) {
    const problem = found.find(({ name }) => name === "cuda")?.problem ?? "no GPU is supported";
    throw new DeviceError(
      `--check: expected a GPU to check against cpu but received none: ${problem}. ` +
        "--device simt checks the CUDA sources on this machine's CPU",
    );
  }
  const wrong = checks.flatMap(complaints);
  if (wrong.length === 0) return;
  throw new DeviceError(
    `${wrong.join("; ")}. Do not train there. Check again: if the result is another, the hardware or its driver is at ` +
      "fault (dmesg may say more). If it is the same, please report it, with the output of " +
      "`npx nextpatch info --check --json`",
  );
}

function complaints({ device, operations }: DeviceCheck): string[] {
  const named = (which: OperationCheck["outcome"]) =>
    operations.flatMap(({ name, outcome }) => (outcome === which ? [name] : []));
  const [differ, fail, left] = [named("differs"), named("fails"), named("not checked").length];
  return [
    ...(differ.length > 0 ? [`${device} computes ${differ.join(", ")} otherwise than cpu`] : []),
    ...(fail.length > 0 ? [`${device} fails in ${fail.join(", ")}`] : []),
    ...(left > 0 ? [`${left} operations of ${device} were not checked`] : []),
  ];
}
