/** `nextpatch info --check` on the simulated device: when it works, when a kernel is wrong, and when it fails. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "@jest/globals";
import { backends } from "../../lib/device.js";
import { launchesByKernel, neverLaunched } from "../simt/reports.js";
import { builtCommand, type Finished } from "../support/built.js";

const nextpatch = builtCommand();

const found = backends();
const simt = found.some(({ name, available }) => name === "simt" && available);
const gpu = found.some(({ name, available }) => name === "cuda" && available);

interface Json {
  check: {
    device: string;
    agrees: boolean;
    operations: { name: string; outcome: string; calls: number; wrongCalls: number; worst: number | null }[];
  }[];
}

const variables = ["REPORT", "CAPABILITY", "LOST_BLOCK", "FAULT"] as const;
type Settings = Partial<Record<(typeof variables)[number], string>>;
afterEach(() => {
  for (const name of variables) delete process.env[`NEXTPATCH_SIMT_${name}`];
});

/** Runs the check with NEXTPATCH_SIMT_… in the environment. */
function check(settings: Settings, ...args: string[]): Promise<Finished> {
  for (const [name, value] of Object.entries(settings)) process.env[`NEXTPATCH_SIMT_${name}`] = value;
  return nextpatch("info", "--check", ...args);
}

(simt ? describe : describe.skip)("on the simulated device", () => {
  it("all operations agree", async () => {
    const REPORT = nextpatch.path("launches");
    const { code, stdout, stderr } = await check({ REPORT }, "--device", "simt");
    expect(stderr).toMatch(/^checking simt \(.+\) against cpu \(.+\)\n/);
    expect(stdout).toMatch(/^ {2}simt: .*, runs the CUDA sources, compiled for the host$/m);
    expect(stdout).toMatch(/^ {2}fill {2,}6 {2}none$/m);
    expect(stdout).toMatch(/^ {2}attentionForward +\d+ {2}\d+ % of the allowed$/m);
    expect(stdout).toMatch(/^check of simt: all \d+ operations agree with cpu\n$/m);
    expect(code).toBe(0);

    // Attention takes other kernels with less shared memory.
    const json = await check({ REPORT, CAPABILITY: "8.6" }, "--device", "simt", "--json");
    expect(json.code).toBe(0);
    const [simulated] = (JSON.parse(json.stdout) as Json).check;
    expect(simulated).toMatchObject({ device: "simt", agrees: true });
    expect(simulated!.operations[0]).toEqual({
      name: "fill",
      outcome: "agrees",
      calls: 6,
      wrongCalls: 0,
      worst: 0,
      problem: null,
    });
  });

  it("a wrong kernel is found, and by now every kernel has run", async () => {
    const REPORT = nextpatch.path("launches");
    // A GPU without wgmma, for which attention has other kernels.
    const settings = { REPORT, CAPABILITY: "10.0", LOST_BLOCK: "glu_forward_kernel" };
    const { code, stdout, stderr } = await check(settings, "--device", "simt");
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^ {2}swigluForward +8 {2}WRONG in 8 of 8 calls, as with f32 N=7 I=33: out: \[0, 0\] is NaN/m,
    );
    expect(stdout).toMatch(/^ {2}gegluForward +8 {2}WRONG in 8 of 8 calls/m);
    expect(stdout.match(/WRONG|FAILED/g)).toHaveLength(2);
    expect(stdout).toMatch(/^check of simt: \d+ of \d+ operations agree with cpu\n$/m);
    expect(stderr).toMatch(
      /^nextpatch: simt computes swigluForward, gegluForward otherwise than cpu\. Do not train there\./m,
    );
    expect(neverLaunched(launchesByKernel(readFileSync(REPORT, "utf8")))).toEqual([]);
  });

  it("a kernel that fails ends the check of its device", async () => {
    const { code, stdout, stderr } = await check({ FAULT: "300" }, "--device", "simt", "--json");
    expect(code).toBe(1);
    const { operations } = (JSON.parse(stdout) as Json).check[0]!;
    const at = operations.findIndex(({ outcome }) => outcome !== "agrees");
    expect(operations[at]).toMatchObject({ outcome: "fails", wrongCalls: 1, worst: null });
    expect(operations.slice(at + 1).map(({ outcome }) => outcome)).toEqual(
      operations.slice(at + 1).map(() => "not checked"),
    );
    const left = operations.length - at - 1;
    expect(left).toBeGreaterThan(0);
    expect(stderr).toContain(`nextpatch: simt fails in ${operations[at]!.name}; ${left} operations of simt were not`);
  });
});

describe("without a device to check", () => {
  (gpu ? it.skip : it)("says why there is no GPU, and fails", async () => {
    const { code, stdout, stderr } = await check({});
    expect(code).toBe(1);
    expect(stdout).toMatch(/^cuda: not available: /m);
    expect(stderr).toMatch(/^nextpatch: --check: expected a GPU to check against cpu but received none: \S/);
  });

  it.each(["cpu", "gpu", "cuda:x"])("refuses --device %s", async (device) => {
    const { code, stdout, stderr } = await check({}, "--device", device);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^nextpatch: --device: expected cuda, cuda:N or simt, to check against cpu, but received "/);
  });
});
