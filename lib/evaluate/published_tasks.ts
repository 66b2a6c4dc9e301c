/** Published data sets as items, with the prompts that lm-evaluation-harness gives them. */
import { Arguments, show } from "../arguments.js";
import { DataError } from "../errors.js";
import type { ScoreItem } from "./items.js";
import { readRecords } from "./records.js";
import { strip } from "./white_space.js";

/** Data sets that `convertTask` knows. */
export const publishedTasks = ["hellaswag", "arc", "piqa", "winogrande", "mmlu", "lambada"] as const;

/** The name of a published data set. */
export type PublishedTask = (typeof publishedTasks)[number];

/** Options of `convertTask`. */
export interface ConvertOptions {
  /** The items' task. Default: the data set's name; for `mmlu`, that with the subject. */
  readonly task?: string;
  /**
   * Only for `mmlu`: which questions the harness's sentence about the subject goes before. `each`, the default, is for
   * scoring without examples; with them, `first` is for the file that the examples are taken from, and `none` for the other.
   */
  readonly describe?: "each" | "first" | "none";
}

/** A record whose fields are read with checks. */
class Fields {
  constructor(
    private readonly value: unknown,
    private readonly where: string,
  ) {}

  get(...path: readonly string[]): unknown {
    let value = this.value;
    for (const key of path) value = (value as Record<string, unknown> | null | undefined)?.[key];
    return value;
  }

  has(...path: readonly string[]): boolean {
    return this.get(...path) !== undefined;
  }

  text(...path: readonly string[]): string {
    const value = this.get(...path);
    return typeof value === "string" ? value : this.fail(path, "a string", value);
  }

  list(...path: readonly string[]): unknown[] {
    const value = this.get(...path);
    return Array.isArray(value) ? value : this.fail(path, "an array", value);
  }

  texts(...path: readonly string[]): string[] {
    const value = this.list(...path);
    return value.every((text) => typeof text === "string") ? value : this.fail(path, "an array of strings", value);
  }

  /** The place of a label among `labels`; whole numbers may be written as text, or be 64 bits wide. */
  index(labels: readonly string[], ...path: readonly string[]): number {
    const value = this.get(...path);
    const index = labels.indexOf(typeof value === "object" ? "" : String(value));
    return index >= 0 ? index : this.fail(path, `one of ${labels.join(", ")}`, value);
  }

  fail(path: readonly string[], expected: string, value: unknown): never {
    const received = typeof value === "bigint" ? String(value) : show(value);
    throw new DataError(`${this.where}: ${path.join(".")}: expected ${expected} but received ${received}`);
  }
}

const spaced = (texts: readonly string[]) => texts.map((text) => ` ${text}`);

const converters: Readonly<Record<PublishedTask, (fields: Fields) => ScoreItem>> = {
  hellaswag(fields) {
    const [first = "", ...rest] = fields.text("ctx_b");
    const context = `${fields.text("ctx_a")} ${first.toUpperCase()}${rest.join("").toLowerCase()}`;
    const endings = fields.texts("endings");
    return {
      query: withoutMarks(`${fields.text("activity_label")}: ${context}`),
      choices: spaced(endings.map(withoutMarks)),
      gold: fields.index([...endings.keys()].map(String), "label"),
    };
  },

  arc(fields) {
    const nested = fields.has("question", "stem");
    const choices = nested
      ? fields.list("question", "choices").map((choice) => choice as { text: string; label: string })
      : fields.texts("choices", "text").map((text, i) => ({ text, label: fields.texts("choices", "label")[i]! }));
    return {
      query: `Question: ${nested ? fields.text("question", "stem") : fields.text("question")}\nAnswer:`,
      choices: spaced(choices.map(({ text }) => text)),
      gold: fields.index(
        choices.map(({ label }) => label),
        "answerKey",
      ),
    };
  },

  piqa(fields) {
    return {
      query: `Question: ${fields.text("goal")}\nAnswer:`,
      choices: spaced([fields.text("sol1"), fields.text("sol2")]),
      gold: fields.index(["0", "1"], "label"),
    };
  },

  winogrande(fields) {
    const sentence = fields.text("sentence");
    const gap = sentence.indexOf("_");
    if (gap < 0) fields.fail(["sentence"], "one with _", sentence);
    return {
      contexts: [fields.text("option1"), fields.text("option2")].map((option) => sentence.slice(0, gap) + option),
      continuation: ` ${strip(sentence.slice(gap + 1))}`,
      gold: fields.index(["1", "2"], "answer"),
    };
  },

  mmlu(fields) {
    const letters = ["A", "B", "C", "D"];
    const choices = fields.texts("choices");
    if (choices.length !== letters.length) fields.fail(["choices"], "four", choices);
    const lines = choices.map((text, i) => `${letters[i]}. ${text}\n`);
    return {
      query: `${strip(fields.text("question"))}\n${lines.join("")}Answer:`,
      choices: spaced(letters),
      gold: fields.index(["0", "1", "2", "3"], "answer"),
      task: `mmlu_${fields.text("subject")}`,
    };
  },

  lambada(fields) {
    const text = fields.text("text");
    const gap = text.lastIndexOf(" ");
    if (gap < 0) fields.fail(["text"], "one of several words", text);
    return { query: text.slice(0, gap), continuation: text.slice(gap) };
  },
};

/** HellaSwag's own marks, of the pages that its text is from. */
function withoutMarks(text: string): string {
  return strip(text)
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");
}

/**
 * Items of a published file, JSONL or Parquet (docs/evaluation.md says which).
 * @throws TypeError or RangeError for a wrong argument; DataError naming the file, the line or row, and the field of what
 *   is not as published
 *
 * @example
 * ```ts
 * import { convertTask, Llama, type ScoreItem, score, Tokenizer } from "nextpatch";
 *
 * const items: ScoreItem[] = [];
 * for await (const item of convertTask("hellaswag", "hellaswag_val.jsonl")) items.push(item);
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * console.log((await score(model, tokenizer, items)).tasks);
 * ```
 */
export function convertTask(
  name: PublishedTask,
  file: string,
  options: ConvertOptions = {},
): AsyncGenerator<ScoreItem, void> {
  const check = new Arguments("convertTask");
  check.oneOf("name", name, publishedTasks);
  check.path("file", file);
  const { task, describe = "each" } = check.options("options", options, ["task", "describe"]);
  if (task !== undefined) check.string("task", task);
  check.oneOf("describe", describe, ["each", "first", "none"]);
  return items(name, file, task, describe);
}

async function* items(
  name: PublishedTask,
  file: string,
  task: string | undefined,
  describe: "each" | "first" | "none",
): AsyncGenerator<ScoreItem, void> {
  const described = new Set<string>();
  for await (const { value, where } of readRecords(file)) {
    const fields = new Fields(value, where);
    const item: ScoreItem = { task: name, ...converters[name](fields), ...(task !== undefined && { task }) };
    if (name !== "mmlu" || !("choices" in item)) {
      yield item;
      continue;
    }
    const subject = fields.text("subject");
    const isDescribed = describe === "each" || (describe === "first" && !described.has(subject));
    described.add(subject);
    yield isDescribed ? { ...item, query: description(subject) + item.query } : item;
  }
}

function description(subject: string): string {
  const words = subject.replaceAll("_", " ");
  return `The following are multiple choice questions (with answers) about ${words}.\n\n`;
}
