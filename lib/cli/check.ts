/** `nextpatch info --check`: which devices, and what came of it in words. */
import { show } from "../arguments.js";
import { checkDevice, type DeviceCheck } from "../check/run.js";
import { Device, type DeviceSpec } from "../device.js";
import { deviceNames } from "../device_names.js";
import { ConfigError } from "../errors.js";
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

export async function checkDevices(specs: readonly DeviceSpec[], io: CliIo): Promise<DeviceCheck[]> {
  const cpu = Device.open("cpu");
  const checks: DeviceCheck[] = [];
  for (const spec of specs) {
    const device = Device.open(spec);
    io.log(`checking ${spec} (${device.name}) against cpu (${cpu.name})`);
    const progress = io.progress(`check ${spec}`);
    const onOperation = (done: number, of: number, name: string) => progress.update(done, of, name);
    checks.push(await checkDevice(device, cpu, { onOperation }).finally(() => progress.stop()));
  }
  return checks;
}

/** A line for each operation, and a last one that says whether the device can be used. */
export function checkText(checks: readonly DeviceCheck[], found: readonly BackendReport[]): string {
  if (checks.length === 0) {
    const problem = found.find(({ name }) => name === "cuda")?.problem ?? "no GPU is supported";
    return `check: there is nothing to check against cpu: cuda is not available: ${problem}`;
  }
  return checks.flatMap(lines).join("\n");
}

function lines({ device, name, agrees, seconds, operations }: DeviceCheck): string[] {
  const width = Math.max(...operations.map((operation) => operation.name.length));
  const rows = operations.map((operation) => `  ${operation.name.padEnd(width)}  ${outcome(operation)}`);
  const head = `check of ${device} (${name}) against cpu, in ${seconds.toFixed(1)} s:`;
  if (!agrees) return [head, ...rows];
  return [
    head,
    ...rows,
    `All ${operations.length} operations of ${device} agree with the CPU, within what rounding in fp32 and bf16 explains.`,
  ];
}

function outcome({ agrees, calls, failed, worst, problem }: DeviceCheck["operations"][number]): string {
  const apart = worst === 0 ? "equal" : `up to ${(100 * (worst ?? 0)).toFixed(0)} % of the difference that is allowed`;
  if (agrees) return `ok: ${calls} calls, ${apart}`;
  if (calls === 0) return problem!.message;
  return `WRONG in ${failed} of ${calls} calls; ${problem!.call}: ${problem!.message}`;
}

/** What is wrong and what to do, in a sentence; null if all devices agree. */
export function verdict(checks: readonly DeviceCheck[]): string | null {
  const wrong = checks.flatMap(({ device, operations }) => {
    const names = operations.filter(({ agrees }) => !agrees).map(({ name }) => name);
    if (names.length === 0) return [];
    return [
      `${names.length} of ${operations.length} operations of ${device} do not agree with the CPU (${names.join(", ")})`,
    ];
  });
  if (wrong.length === 0) return null;
  return (
    `${wrong.join("; ")}. Do not train there, and please report it with the output of ` +
    "`npx nextpatch info --check --json` and of `nvidia-smi`"
  );
}
