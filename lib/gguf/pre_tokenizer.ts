/**
 * Finds llama.cpp's pre-tokenizer that splits text as a tokenizer.json does. llama.cpp knows them by name only
 * (ggml-org/llama.cpp, src/llama-vocab.cpp), and the name also decides whether a word that is a token skips the merges.
 */

/** The parts of a `pre_tokenizer` that matter here. */
export interface PreTokenizer {
  readonly type: string;
  readonly pretokenizers?: readonly PreTokenizer[];
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
  readonly individual_digits?: boolean;
  readonly pattern?: { readonly Regex?: string };
  readonly behavior?: string;
  readonly invert?: boolean;
}

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const words = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const rest = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const upToThreeDigits = [contractions, words, String.raw`\p{N}{1,3}`, rest].join("|");
const oneDigit = [contractions, words, String.raw`\p{N}`, rest].join("|");

/** Steps of splitting, and the name if a word that is a token goes through the merges, or if it skips them. */
const known: readonly { steps: readonly string[]; name?: string; ignoringMerges?: string }[] = [
  { steps: ["gpt2"], name: "gpt-2" },
  { steps: ["digits", "gpt2"], name: "smollm" },
  { steps: [upToThreeDigits], name: "dbrx", ignoringMerges: "llama-bpe" },
  { steps: [oneDigit], name: "qwen2" },
];

/** llama.cpp's name for a pre-tokenizer, or null if it has no equal one. */
export function ggufPreTokenizer(preTokenizer: PreTokenizer | null, ignoreMerges: boolean): string | null {
  const steps = preTokenizer && stepsOf(preTokenizer);
  if (!steps) return null;
  const found = known.find((entry) => entry.steps.join("\n") === steps.join("\n"));
  return (ignoreMerges ? found?.ignoringMerges : found?.name) ?? null;
}

/** The steps of a byte-level pre-tokenizer, as in `known`; null if one of them is of another kind. */
function stepsOf(preTokenizer: PreTokenizer): string[] | null {
  const list = preTokenizer.type === "Sequence" ? (preTokenizer.pretokenizers ?? []) : [preTokenizer];
  const last = list.at(-1);
  if (last?.type !== "ByteLevel" || last.add_prefix_space !== false) return null;
  const steps = list.slice(0, -1).map(({ type, individual_digits, pattern, behavior, invert }) => {
    if (type === "Digits" && individual_digits === true) return "digits";
    if (type === "Split" && behavior === "Isolated" && invert === false) return pattern?.Regex ?? null;
    return null;
  });
  // ByteLevel splits by GPT-2's expression unless `use_regex` is false.
  if (last.use_regex !== false) steps.push("gpt2");
  return steps.every((step) => step !== null) ? steps : null;
}
