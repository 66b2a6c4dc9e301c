/**
 * Every kind of wrong value for every argument and option of every public function. The error has the class that
 * lib/errors.ts says, and its message names the called function and the argument: it never comes from deeper inside.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import * as api from "../../lib/index.js";
import * as kernels from "../../lib/kernels.js";
import { publicCalls } from "../support/public_calls.js";
import { junk, type Kind, kinds, type PublicCall, publicFunctions, type Spec } from "../support/wrong_arguments.js";

const folder = mkdtempSync(join(tmpdir(), "nextpatch-wrong-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const calls = await publicCalls(folder);

/** Public functions that take no arguments. */
const withoutArguments = [
  "AdamW.dispose",
  "AdamW.reset",
  "AdamW.zeroGradient",
  "BlockLoader.close",
  "Decoder.dispose",
  "Device.beginCapture",
  "Device.endCapture",
  "Device.energy",
  "Device.memory",
  "Device.products",
  "Device.synchronize",
  "Device.trim",
  "Llama.dispose",
  "Muon.applyStep",
  "Muon.dispose",
  "Muon.reset",
  "Muon.zeroGradient",
  "Tensor.dispose",
  "Tensor.free",
  "Tensor.read",
  "Tensor.readBits",
  "TokenDataset.close",
  "Trainer.close",
  "Trainer.finish",
  "Trainer.requestCheckpoint",
  "Trainer.requestStop",
  "Trainer.run",
  "TrainingPass.dispose",
  "backends",
  "engines",
];

/** What TypeScript keeps private, and the constructors of the errors, which take whatever an Error does. */
const notCalled = [
  "Llama",
  "Llama.place",
  // A CPU has none: test/binding/products.test.ts.
  "Device.productAlgorithms",
  "Device.useProductTable",
  // A process can be a rank once: test/ranks.
  "Ranks",
  "Ranks.allGather",
  "Ranks.allReduce",
  "Ranks.join",
  "Ranks.leave",
  "Ranks.reduceScatter",
  "TokenDataset",
  "Tokenizer",
  // Not public.
  "Tokenizer.frame",
  "Trainer",
  "CheckpointError",
  "ComparisonInterrupted",
  "ConfigError",
  "DataError",
  "DeviceError",
  "OutOfMemoryError",
];

interface Case {
  readonly call: PublicCall;
  readonly argument: string;
  readonly spec: Spec;
  /** Calls the function with another value for this argument. */
  readonly replaced: (value: unknown) => unknown;
}

const values = (specs: Readonly<Record<string, Spec>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(specs).map(([name, { value }]) => [name, value]));

function invoke({ call }: PublicCall, positional: Record<string, unknown>, last: readonly unknown[]): unknown {
  return (call as (...args: unknown[]) => unknown)(...Object.values(positional), ...last);
}

function right(call: PublicCall): unknown {
  return invoke(call, values(call.arguments), call.options ? [values(call.options.of)] : []);
}

function casesOf(call: PublicCall): Case[] {
  const positional = values(call.arguments);
  const { options } = call;
  const last = options ? [values(options.of)] : [];
  const ownArguments = Object.entries(call.arguments).map(([argument, spec]): Case => {
    return { call, argument, spec, replaced: (value) => invoke(call, { ...positional, [argument]: value }, last) };
  });
  if (options === undefined) return ownArguments;
  const takes: Kind[] = [
    "object",
    "array",
    "proxy",
    "disposed tensor",
    ...(options.optional ? ["undefined" as const] : []),
  ];
  const whole: Case = {
    call,
    argument: options.name,
    spec: { value: last[0], takes },
    replaced: (value) => invoke(call, positional, [value]),
  };
  const each = Object.entries(options.of).map(([argument, spec]): Case => {
    return { call, argument, spec, replaced: (value) => invoke(call, positional, [{ ...last[0], [argument]: value }]) };
  });
  return [...ownArguments, whole, ...each];
}

/** The error of a call, thrown or rejected with. */
async function failure(body: () => unknown): Promise<Error> {
  try {
    await body();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

async function expectArgumentError({ call, argument, replaced }: Case, value: unknown, name: string): Promise<void> {
  const error = await failure(() => replaced(value));
  const operation = (call.operation ?? call.name).replace(".", "\\.");
  expect(error.message).toMatch(
    new RegExp(`^${operation}: ${argument}(\\.\\w+|\\[\\d+\\])*: expected [^\\n]+ but received [^\\n]+$`),
  );
  expect(error.name).toBe(name);
}

const cases = calls.flatMap(casesOf).map((each) => ({ ...each, title: `${each.call.name}: ${each.argument}` }));

describe("the public functions", () => {
  it("all stand in the list", () => {
    const listed = [...calls.map(({ name }) => name), ...withoutArguments, ...notCalled];
    expect(publicFunctions([api, kernels])).toEqual([...new Set(listed)].sort());
  });

  it.each(calls)("$name takes what is right", async (call) => {
    await right(call);
  });
});

describe("a wrong argument", () => {
  for (const each of cases) {
    const { title, spec } = each;
    it(title, async () => {
      for (const kind of kinds) {
        if (!spec.takes.includes(kind)) await expectArgumentError(each, junk[kind], "TypeError");
      }
      for (const value of spec.kinds ?? []) await expectArgumentError(each, value, "TypeError");
      for (const value of spec.range ?? []) await expectArgumentError(each, value, "RangeError");
      for (const kind of spec.config ?? []) await expectConfigError(each, junk[kind]);
    });
  }
});

/** Functions whose object must have all its keys, so that of a misspelt one the right one is missing. */
const whole = ["stepFlops", "AdamW.prepareStep", "Muon.prepareStep"];

describe("an option that is misspelt", () => {
  for (const call of calls.filter(({ name, options }) => options !== undefined && !whole.includes(name))) {
    it(call.name, async () => {
      const { name, of } = call.options!;
      const [known, spec] = Object.entries(of)[0]!;
      const misspelt = `${known.slice(0, -1)}_${known.slice(-1)}s`;
      const others = values(of);
      const error = await failure(() => {
        return invoke(call, values(call.arguments), [{ ...others, [misspelt]: spec.value }]);
      });
      const operation = call.operation ?? call.name;
      expect(error.message).toBe(
        `${operation}: ${name}: expected known keys but received "${misspelt}"; did you mean ${known}?`,
      );
      expect(error.name).toBe("TypeError");
    });
  }
});

describe("a misspelt key", () => {
  it.each([
    [
      "of what an option holds",
      () => api.prepareDataset({ files: ["a"], out: "b", trainTokenizer: { vocab: 300, byteFallbak: true } as never }),
      'TypeError: prepareDataset: trainTokenizer: expected known keys but received "byteFallbak"; did you mean byteFallback?',
    ],
    [
      "of a model that is new",
      () => api.Llama.create({ ...api.presets.tiny, rope_thetta: 5e5 } as never),
      "ConfigError: model: rope_thetta: unknown key; did you mean rope_theta?",
    ],
    [
      "that is like none",
      () => api.Device.open("cpu", { cores: 2 } as never),
      'TypeError: Device.open: options: expected no keys but threads but received "cores"',
    ],
  ])("%s", async (_, body, expected) => {
    const error = await failure(body);
    expect(`${error.name}: ${error.message}`).toBe(expected);
  });
});

async function expectConfigError({ replaced }: Case, value: unknown): Promise<void> {
  const error = await failure(() => replaced(value));
  expect(error).toBeInstanceOf(api.ConfigError);
  for (const problem of (error as api.ConfigError).problems) {
    expect(problem).toMatch(/^[^\n]+: (expected [^\n]+ but received [^\n]+|unknown key[^\n]+)$/);
  }
}
