/**
 * Compares cpu backends that are linked with different versions of oneDNN, by the matrix products of training steps:
 *
 *   tsx bench/onednn/versions.ts SETTINGS.json > RESULT.json
 *
 * SETTINGS: { "program": "path of products.cpp's", "rounds": 5, "libraries": [{ "name", "facts": {…}, "avx512_bf16":
 * "path", "avx2": "path", "run": ["what", "starts", "it"] }] }. The first library is what the others are compared with.
 * A round runs all libraries one after another; a product's time is the fastest of all rounds.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { presets } from "../../lib/hf/presets.js";

interface Compared {
  readonly name: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly avx512_bf16: string;
  readonly avx2: string;
  readonly run?: readonly string[];
}

interface Settings {
  readonly program: string;
  readonly rounds: number;
  readonly libraries: readonly Compared[];
}

/** A product, and how often a training step of the model has it. */
interface Product {
  readonly of: string;
  readonly call: string;
  readonly flops: number;
  readonly times: number;
}

const settings = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Settings;

/** The products of a step: forward, gradient of the input, gradient of the weight. */
function productsOf(preset: keyof typeof presets, positions: number): Product[] {
  const model = presets[preset];
  const [hidden, wide, layers] = [model.hidden_size, model.intermediate_size, model.num_hidden_layers];
  const linears: [string, number, number, number][] = [
    ["q, k, v", 3 * hidden, hidden, layers],
    ["attention out", hidden, hidden, layers],
    ["gate, up", 2 * wide, hidden, layers],
    ["down", hidden, wide, layers],
    ["head", model.vocab_size, hidden, 1],
  ];
  return linears.flatMap(([of, outputs, inputs, times]) => {
    const calls = {
      forward: [positions, outputs, inputs, 0, 1, 0],
      "input gradient": [positions, inputs, outputs, 0, 0, 0],
      "weight gradient": [outputs, inputs, positions, 1, 0, 1],
    };
    const flops = 2 * positions * outputs * inputs;
    return Object.entries(calls).map(([way, call]) => ({ of: `${of}: ${way}`, call: call.join(), flops, times }));
  });
}

/** Arithmetic, the library that has it, and the instructions that oneDNN may use. */
const arithmetics = [
  { name: "bf16, AVX-512 BF16", dtype: "bf16", library: "avx512_bf16", environment: {} },
  { name: "f32, AVX-512", dtype: "f32", library: "avx512_bf16", environment: {} },
  { name: "f32, AVX2", dtype: "f32", library: "avx2", environment: { ONEDNN_MAX_CPU_ISA: "AVX2" } },
] as const;
const steps = [
  { model: "tiny", positions: 1024 },
  { model: "llama-370m", positions: 256 },
] as const;

const rows = arithmetics.flatMap((arithmetic) =>
  steps.map((step) => {
    const products = productsOf(step.model, step.positions);
    const best = settings.libraries.map(() => products.map(() => Number.POSITIVE_INFINITY));
    for (let round = 0; round < settings.rounds; round++) {
      settings.libraries.forEach((library, at) => {
        const [program, ...before] = [...(library.run ?? []), settings.program];
        const calls = products.map(({ call }) => call);
        const output = execFileSync(program!, [...before, library[arithmetic.library], arithmetic.dtype, ...calls], {
          encoding: "utf8",
          env: { ...process.env, GOMP_SPINCOUNT: "1000", ...arithmetic.environment },
        });
        output
          .trim()
          .split("\n")
          .forEach((seconds, i) => {
            best[at]![i] = Math.min(best[at]![i]!, Number(seconds));
          });
      });
    }
    const total = (times: readonly number[]) => products.reduce((sum, { times: n }, i) => sum + n * times[i]!, 0);
    const flops = products.reduce((sum, product) => sum + product.times * product.flops, 0);
    return {
      arithmetic: arithmetic.name,
      ...step,
      libraries: settings.libraries.map(({ name }, at) => ({
        name,
        secondsPerStep: Number(total(best[at]!).toPrecision(4)),
        gflops: Number((flops / total(best[at]!) / 1e9).toPrecision(4)),
        speedup: Number((total(best[0]!) / total(best[at]!)).toFixed(3)),
        products: Object.fromEntries(products.map(({ of }, i) => [of, Number(best[at]![i]!.toPrecision(4))])),
      })),
    };
  }),
);
const libraries = settings.libraries.map(({ name, facts }) => ({ name, ...facts }));
const processor = cpus();
const result = { processor: processor[0]!.model, cores: processor.length, rounds: settings.rounds, libraries, rows };
console.log(JSON.stringify(result, null, 2));
