import { Arguments } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import { bytesOf } from "../device.js";
import { BatchDecoder } from "../nn/batch_decoder.js";
import type { Llama } from "../nn/llama.js";
import { batches } from "./batches.js";
import { Continuation, type Generation } from "./continuation.js";
import { checkSettings, type GenerateOptions, type Settings } from "./settings.js";

/** Options of `generateTexts`. */
export interface GenerateTextsOptions extends Omit<GenerateOptions, "onText"> {
  /** Called with the number of texts that have ended, and of all. */
  readonly onProgress?: (done: number, of: number) => void;
}

/** Positions of a pass over prompts, which bounds the memory for activations; a decoding step needs far fewer. */
const PASS_POSITIONS = 2048;

/**
 * Continues several texts, many at once, each as `generate` does. The tokens of `prompts[i]` are drawn from random stream
 * i of the seed: they depend on the prompt, the settings and i, not on the other prompts, and those of `prompts[0]` are
 * the ones that `generate` draws. But logits of several sequences are rounded other than those of one, so where two
 * tokens are as likely to the last bits, the choice may differ.
 * @returns the results, in the order of the prompts
 * @throws as `generate`
 *
 * @example
 * ```ts
 * import { generateTexts, Llama, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const prompts = ["The river", "The sea", "A bird"];
 * const results = await generateTexts(model, tokenizer, prompts, { maxTokens: 32 });
 * for (const [i, { text }] of results.entries()) console.log(prompts[i] + text);
 * ```
 */
export async function generateTexts(
  model: Llama,
  tokenizer: Tokenizer,
  prompts: readonly string[],
  options: GenerateTextsOptions = {},
): Promise<Generation[]> {
  const check = new Arguments("generateTexts");
  const settings = checkSettings(check, model, tokenizer, options, ["onProgress"]);
  check.strings("prompts", prompts, 1);
  check.callback("onProgress", options.onProgress);
  const texts: Continuation[] = [];
  const watched = settings.stop.length > 0;
  for (const [index, prompt] of prompts.entries()) {
    const name = `prompts[${index}]`;
    texts.push(await Continuation.begin(check, name, model, tokenizer, prompt, settings, watched));
  }
  let done = 0;
  const onEnd = () => options.onProgress?.(++done, texts.length);
  const limits = {
    context: model.config.max_position_embeddings,
    maxTokens: settings.maxTokens,
    tokenBytes: tokenBytes(model),
  };
  const lengths = texts.map(({ prompt }) => prompt.length);
  for (const batch of batches(lengths, limits)) await decode(model, texts, batch, settings, onEnd);
  return Promise.all(texts.map(async (text) => (await text.finish()).result));
}

/** Decodes the texts of a batch until all have ended. */
async function decode(
  model: Llama,
  texts: readonly Continuation[],
  batch: readonly number[],
  { sampling, signal }: Settings,
  onEnd: () => void,
): Promise<void> {
  // What the decoder has not seen of each text: what is left of its prompt, or its last token.
  let rows = batch.map((index) => ({ text: texts[index]!, unseen: texts[index]!.prompt }));
  const capacity = Math.max(...rows.map(({ text }) => text.prompt.length + text.limit));
  const positions = Math.min(PASS_POSITIONS, rows.length * capacity);
  using decoder = new BatchDecoder(model, Int32Array.from(batch), { capacity, positions });
  while (rows.length > 0) {
    signal?.throwIfAborted();
    // All have the same length at any time: so many tokens of each.
    const room = Math.floor(positions / rows.length);
    const count = Math.min(room, ...rows.map(({ unseen }) => unseen.length));
    const input = new Int32Array(rows.length * count);
    for (const [index, { unseen }] of rows.entries()) input.set(unseen.subarray(0, count), index * count);
    decoder.append(input);
    for (const row of rows) row.unseen = row.unseen.subarray(count);
    if (rows.every(({ unseen }) => unseen.length > 0)) continue;
    const drawn = await decoder.sample(sampling);
    for (const [index, row] of rows.entries()) {
      if (row.unseen.length > 0) continue;
      row.unseen = drawn.subarray(index, index + 1);
      await row.text.take(drawn[index]!);
      if (row.text.ended) onEnd();
    }
    if (!rows.some(({ text }) => text.ended)) continue;
    const former = rows;
    rows = decoder.keep((index) => !former[index]!.text.ended).map((index) => former[index]!);
  }
}

/** Bytes of the keys and values of one token, in all layers. */
function tokenBytes({ config, parameters }: Llama): number {
  const { num_hidden_layers: layers, num_key_value_heads: heads, head_dim: headDim } = config;
  return 2 * layers * heads * headDim * bytesOf(parameters.dtype);
}
