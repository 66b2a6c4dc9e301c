/**
 * `nextpatch tune` and runs that use its file, on a simulated device whose products have several algorithms: the first is
 * the slowest, the second is fast, the third is the fastest and gives other bits every time, the fourth is refused.
 */
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { type ProductTable, readTable, tableText } from "../../lib/train/product_table.js";
import { builtCommand } from "../support/built.js";
import { writeMadeData } from "../support/made_run.js";

process.env.NEXTPATCH_SIMT_ALGORITHMS = "several";
const nextpatch = builtCommand();
const { path } = nextpatch;
const available = native.backends().some((backend) => backend.name === "simt" && backend.available);

const bytes = (file: string) => readFileSync(path(file));
const master = (run: string) => bytes(`${run}/checkpoints/step-00000004/trainer/master.safetensors`).toString("hex");
const stateOf = (run: string) => JSON.parse(bytes(`${run}/checkpoints/step-00000004/trainer/state.json`).toString());

/** Runs a command that must succeed. */
async function succeed(...args: string[]) {
  const finished = await nextpatch(...args);
  expect([finished.code, finished.code === 0 ? "" : finished.stderr]).toEqual([0, ""]);
  return finished;
}

/** The one line of a command that must end with 2. */
async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await nextpatch(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  return /^nextpatch: (.*)\n$/m.exec(stderr)![1]!;
}

/** Writes a copy of the tuned table with changes. */
async function writeTable(file: string, change: (table: ProductTable) => ProductTable): Promise<void> {
  writeFileSync(path(file), tableText(change((await readTable(path("tuned.json"))).table)));
}

beforeAll(async () => {
  await writeMadeData(path("."));
  const config = {
    name: "made",
    model: { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 96 },
    data: { train: "train.bin", val: "val.bin" },
    stages: [{ patchSize: 4, fraction: 0.5 }, { patchSize: 1 }],
    batch: { tokensPerStep: 128, sequenceLength: 16, microBatch: 2 },
    train: { steps: 4 },
    optimizer: { lr: 3e-3 },
    schedule: { warmupSteps: 1 },
    eval: { everySteps: 2, sequences: 2 },
    checkpoint: { everySteps: 2, keep: 2 },
    device: "simt",
    precision: "fp32",
  };
  writeFileSync(path("config.json"), JSON.stringify(config));
});

const train = (out: string, ...more: string[]) => ["train", "config.json", "--set", `out=${out}`, ...more];
const withTable = (file: string) => ["--set", `productTable=${file}`];

(available ? describe : describe.skip)("nextpatch tune", () => {
  beforeAll(async () => {
    const { stdout } = await succeed("tune", "config.json", "--out", "tuned.json", "--json");
    writeFileSync(path("result.json"), stdout);
    await succeed(...train("whole", ...withTable("tuned.json")));
  });

  it("writes the fastest algorithm that gives the same bits every time", async () => {
    const result = JSON.parse(bytes("result.json").toString());
    const { table } = await readTable(path("tuned.json"));
    expect(table).toMatchObject({ computeCapability: "9.0", library: "imitated products 1.0" });
    expect(result).toMatchObject({ file: "tuned.json", device: table.device, library: table.library });
    expect(result.products).toHaveLength(table.products.length);
    expect(result.seconds).toBeLessThan(result.firstSeconds);
    for (const { algorithm, candidates, writes, adds } of table.products) {
      expect(writes + adds).toBeGreaterThan(0);
      expect(candidates.map(({ seconds }) => seconds !== null)).toEqual([true, true, false, false]);
      expect(algorithm).toBe(candidates[1]!.algorithm);
    }
    // The products of both stages, and of both ways to leave a gradient.
    expect(table.products.some(({ adds }) => adds > 0)).toBe(true);
    expect(table.products.some(({ writes }) => writes > 0)).toBe(true);
  });

  it("is used by train, to bits of its own, which are the same every time", async () => {
    await succeed(...train("again", ...withTable("tuned.json")));
    const { stderr } = await succeed(...train("without"));
    expect(stderr).not.toContain("matrix products");
    expect(master("again")).toBe(master("whole"));
    expect(master("without")).not.toBe(master("whole"));
    expect(bytes("whole/product_table.json").equals(bytes("tuned.json"))).toBe(true);
    expect(existsSync(path("without/product_table.json"))).toBe(false);
    expect(stateOf("whole").productTable).toBe((await readTable(path("tuned.json"))).sha256);
    expect(stateOf("without").productTable).toBeNull();
  });

  it("says how many products are in the table", async () => {
    await writeTable("part.json", (table) => ({ ...table, products: table.products.slice(0, 3) }));
    const { stderr } = await succeed(...train("part", ...withTable("part.json")));
    expect(stderr).toMatch(
      /^3 of \d+ matrix products have their algorithm from part\.json; the others have the first choice of imitated/m,
    );
    const all = await succeed(...train("all", ...withTable("tuned.json"), "--set", "seed=2"));
    const { length } = (await readTable(path("tuned.json"))).table.products;
    expect(all.stderr).toContain(`\n${length} of ${length} matrix products have their algorithm from tuned.json\n`);
  });

  it("gives the bits of the whole run to a resumed one, by the run's copy", async () => {
    copyFileSync(path("tuned.json"), path("gone.json"));
    await succeed(...train("broken", ...withTable("gone.json")));
    rmSync(path("gone.json"));
    expect(master("broken")).toBe(master("whole"));
    // As after a kill in step 4.
    rmSync(path("broken/checkpoints/step-00000004"), { recursive: true });
    rmSync(path("broken/model"), { recursive: true });
    writeFileSync(path("broken/latest"), "step-00000002\n");
    cpSync(path("broken"), path("half"), { recursive: true });
    const { stderr } = await succeed(...train("broken", ...withTable("gone.json"), "--resume"));
    expect(stderr).toMatch(/matrix products have their algorithm from broken\/product_table\.json$/m);
    expect(master("broken")).toBe(master("whole"));
  });

  it("must not change half-way", async () => {
    const resume = (...more: string[]) => refused(...train("half", ...more, "--resume"));
    const { sha256 } = await readTable(path("tuned.json"));
    expect(await resume()).toBe(
      "--resume: productTable: expected the table that the run has in half/product_table.json but received null",
    );
    await writeTable("other.json", (table) => ({ ...table, products: table.products.slice(1) }));
    const other = (await readTable(path("other.json"))).sha256;
    const words = (file: string) =>
      `--resume: ${file}: expected the table with the SHA-256 ${sha256}, as when the run was begun, but received the ` +
      `table with the SHA-256 ${other}; restore it, or start a new run in another folder`;
    expect(await resume(...withTable("other.json"))).toBe(words("other.json"));
    copyFileSync(path("other.json"), path("half/product_table.json"));
    expect(await resume(...withTable("gone.json"))).toBe(words("half/product_table.json"));
    rmSync(path("half/product_table.json"));
    expect(await resume(...withTable("tuned.json"))).toBe(
      '--resume: productTable: expected null, as the run has no half/product_table.json, but received "tuned.json"',
    );
    expect(await resume()).toContain("half/product_table.json: expected the table with the SHA-256");
  });

  it("is refused where it is damaged, for another device, or holds what the library refuses", async () => {
    const run = (file: string) => refused(...train("refused", ...withTable(file)));
    expect(await run("none.json")).toBe("none.json: expected a product table but received a file that does not exist");
    writeFileSync(path("damaged.json"), bytes("tuned.json").toString().replace('"m": ', '"m": 1'));
    expect(await run("damaged.json")).toMatch(
      /^damaged\.json: expected content with the SHA-256 .*: the file is damaged$/,
    );
    await writeTable("foreign.json", (table) => ({ ...table, library: "imitated products 0.9" }));
    expect(await run("foreign.json")).toMatch(
      /^foreign\.json: expected a product table for host .* 1\.0 but received one for host .* 0\.9$/,
    );
    expect(existsSync(path("refused"))).toBe(false);
    await writeTable("wrong.json", ({ products: [first, ...rest], ...table }) => {
      const { algorithm } = first!.candidates[3]!;
      return { ...table, products: [{ ...first!, algorithm }, ...rest] };
    });
    expect(await run("wrong.json")).toMatch(
      /^wrong\.json: expected algorithms that run on this device but received one that does not: imitated products 1\.0 /,
    );
    // Nothing was trained: the folder is free.
    await succeed(...train("refused"));
    expect(master("refused")).toBe(master("without"));
  });

  it("is used by bench train and compare", async () => {
    const model = JSON.stringify(JSON.parse(bytes("config.json").toString()).model);
    const step = ["--sequence-length", "16", "--tokens-per-step", "64", "--steps", "1", "--device", "simt"];
    const bench = await succeed("bench", "train", "--model", model, ...step, "--product-table", "tuned.json");
    expect(bench.stderr).toMatch(/^\d+ of \d+ matrix products have their algorithm from tuned\.json/m);
    const compare = ["compare", "config.json", "--set", "out=compared"];
    await succeed(...compare, ...withTable("tuned.json"));
    for (const arm of ["baseline", "patch"]) {
      expect(bytes(`compared/${arm}/seed-1/product_table.json`).equals(bytes("tuned.json"))).toBe(true);
    }
    // Finished runs are read as they are, whatever table is given now.
    const { stderr } = await succeed(...compare, ...withTable("part.json"));
    expect(stderr).toContain("compared/patch/seed-1 holds the finished run");
    expect(bytes("compared/patch/seed-1/product_table.json").equals(bytes("tuned.json"))).toBe(true);
  });

  it("has nothing to do where a product has one algorithm", async () => {
    for (const [device, several] of [
      ["cpu", "several"],
      ["simt", "one"],
    ] as const) {
      process.env.NEXTPATCH_SIMT_ALGORITHMS = several;
      const args = ["tune", "config.json", "--out", "nothing.json", "--device", device];
      const { stdout } = await succeed(...args);
      expect(stdout).toBe(`${device} has one algorithm for each matrix product: there is nothing to tune\n`);
      expect(JSON.parse((await succeed(...args, "--json")).stdout)).toMatchObject({ file: null, products: [] });
      expect(existsSync(path("nothing.json"))).toBe(false);
      expect(await refused(...train("no", ...withTable("tuned.json"), "--device", device))).toBe(
        `productTable: expected null on ${device}, which has one algorithm for each matrix product, but received ` +
          '"tuned.json"',
      );
    }
    process.env.NEXTPATCH_SIMT_ALGORITHMS = "several";
  });
});
