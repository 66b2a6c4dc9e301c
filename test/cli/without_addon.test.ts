/** The command where there is no addon: what needs none works, and the rest says in one message what to type. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { beforeAll, expect, it } from "@jest/globals";
import { builtCommand, type Finished } from "../support/built.js";
import { version } from "../support/package_tree.js";

const nextpatch = builtCommand({ addon: false });
const install = `npm install @nextpatch/${process.platform}-${process.arch}@${version}`;

/** Runs the command as if this process were on another machine. */
function on(processProperties: object, ...args: string[]): Finished {
  const preload = nextpatch.path("preload.cjs");
  const lines = Object.entries(processProperties).map(
    ([name, value]) => `Object.defineProperty(process, "${name}", { value: ${JSON.stringify(value)} });`,
  );
  writeFileSync(preload, lines.join("\n"));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const main = nextpatch.path("dist/cli/main.js");
  const child = spawnSync(process.execPath, ["--require", preload, main, ...args], { env, encoding: "utf8" });
  return { code: child.status, stdout: child.stdout, stderr: child.stderr };
}

beforeAll(() => {
  process.env.npm_config_user_agent = "npm/11.0.0";
  const documents = Array.from({ length: 40 }, (_, d) => `The cat saw ${d} stars, and ${d * 7} more. `.repeat(9));
  writeFileSync(nextpatch.path("text.jsonl"), documents.map((text) => JSON.stringify({ text })).join("\n"));
});

it.each([["--help"], ["--version"], ["prepare", "--help"], ["train", "--help"], ["bench", "train", "--help"]])(
  "%s %s %s works",
  async (...args) => {
    const words = args.filter((word) => word !== undefined);
    expect(await nextpatch(...words)).toMatchObject({ code: 0, stderr: "" });
    expect(on({ platform: "win32", arch: "x64" }, ...words)).toMatchObject({ code: 0, stderr: "" });
  },
);

it("prepare works", async () => {
  const args = ["prepare", nextpatch.path("text.jsonl"), "--train-tokenizer", "300", "--val-fraction", "0.2", "--json"];
  const { code, stdout } = await nextpatch(...args, "--out", nextpatch.path("data"));
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ vocabSize: 300 });
});

it("info says what is missing and what to type", async () => {
  const { code, stdout, stderr } = await nextpatch("info");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [machine, problem, ...rest] = stdout.trimEnd().split("\n");
  expect(machine).toMatch(/^linux-\w+(, glibc \d\.\d+)?, Node v\d+/);
  expect(problem).toMatch(/^nextpatch's addon is missing: the package @nextpatch\/linux-\w+ is not installed\.$/);
  expect(rest.length).toBeLessThan(6);
  expect(rest.at(-1)).toBe(`  ${install}`);
});

it("info --json has its keys", async () => {
  const { code, stdout, stderr } = await nextpatch("info", "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { addon, backends, platform, node, plan, check } = JSON.parse(stdout) as Record<string, unknown>;
  expect({ platform, node, plan, check }).toEqual({
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    plan: null,
    check: null,
  });
  expect(addon).toEqual({ path: null, package: null, version: null, problem: expect.stringContaining(install) });
  const missing = {
    available: false,
    problem: expect.stringMatching(/is not installed\.$/),
    versions: {},
    devices: [],
  };
  expect(backends).toEqual(["cpu", "cuda", "simt"].map((name) => ({ name, ...missing })));
});

it("info works on macOS, and says that what computes does not", () => {
  const { code, stdout, stderr } = on({ platform: "darwin", arch: "arm64" }, "info");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^darwin-arm64, Node v.*\nnextpatch computes on Linux or WSL 2, and this is macOS/);
});

it.each([
  ["info", "--check"],
  ["bench", "kernels"],
  ["bench", "train", "--model", "tiny"],
])("%s %s ends with 1 and one message", async (...args) => {
  const { code, stdout, stderr } = await nextpatch(...args.filter((word) => word !== undefined));
  expect({ code, stdout: args.includes("--check") ? "" : stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^nextpatch.*the package @nextpatch\/linux-\w+ is not installed/);
  expect(stderr).not.toMatch(/^ {4}at /m);
  expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(6);
});

it("an old Node is named, whatever is asked", () => {
  const { code, stdout, stderr } = on({ version: "v18.20.0" }, "--help");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^nextpatch needs Node 20 or later, and this is v18\.20\.0 .*\n.*\n.*node@24\n$/);
});

it("the library is imported, and reads configs, without it", () => {
  const index = pathToFileURL(nextpatch.path("dist/index.mjs")).href;
  const kernels = pathToFileURL(nextpatch.path("dist/kernels.mjs")).href;
  const program = `
    const { Device, Tensor, backends, parseRunConfig, presets } = await import("${index}");
    await import("${kernels}");
    class Mine extends Device {}
    const told = (body) => { try { body(); return "nothing"; } catch (error) { return error.name; } };
    console.log(JSON.stringify({
      instances: [{} instanceof Tensor, {} instanceof Device, {} instanceof Mine],
      config: typeof parseRunConfig,
      errors: [() => new Tensor(), () => Device.open("cpu"), () => backends(), () => new Mine("cpu", 0, 0)].map(told),
    }));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  expect({ status: child.status, errors: child.stderr }).toEqual({ status: 0, errors: "" });
  expect(JSON.parse(child.stdout)).toEqual({
    instances: [false, false, false],
    config: expect.anything(),
    errors: ["DeviceError", "DeviceError", "DeviceError", "DeviceError"],
  });
});
