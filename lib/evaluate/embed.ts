import { Arguments } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import { DataError } from "../errors.js";
import { forwardPositions } from "../nn/forward_pass.js";
import { checkModel, checkTokenizerFits, type Llama } from "../nn/llama.js";
import { PooledPass, type Pooling, poolings } from "../nn/pooled_pass.js";
import { passesOf } from "./passes.js";
import { TextEncoder } from "./text_encoder.js";

/** Options of `embed`. */
export interface EmbedOptions {
  /** Of a text's tokens, which hidden state is taken: the mean over all, or that of the last. Default `mean`. */
  readonly pooling?: Pooling;
  /** Called with the number of texts embedded so far, and of all. */
  readonly onProgress?: (done: number, of: number) => void;
}

/**
 * Embeddings of texts: the model's last hidden state, after the final norm. A text has the tokens that the tokenizer's
 * post-processor makes of it; an empty one is the token that begins a text.
 * @returns for each text f32 [hidden_size]
 * @throws TypeError or RangeError for a wrong argument; DataError for a text longer than the model's context;
 *   DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { embed, Llama, Tokenizer } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const [river, stream] = await embed(model, tokenizer, ["a river", "a stream"], { pooling: "mean" });
 * console.log(river!.length, stream!.length);
 * ```
 */
export async function embed(
  model: Llama,
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: EmbedOptions = {},
): Promise<Float32Array[]> {
  const check = new Arguments("embed");
  checkModel(check, model);
  checkTokenizerFits(check, model, tokenizer);
  const all = check.strings("texts", texts, 0);
  const { pooling = "mean", onProgress } = check.options("options", options, ["pooling", "onProgress"]);
  check.oneOf("pooling", pooling, poolings);
  check.callback("onProgress", onProgress);
  const encoder = await TextEncoder.of(tokenizer, model.folder);
  const context = model.config.max_position_embeddings;
  const sequences = (await encoder.encode(all)).map((ids, index) => {
    if (ids.length > context) {
      const expected = `at most ${context} tokens, the model's context,`;
      throw new DataError(`embed: texts[${index}]: expected ${expected} but received ${ids.length}`);
    }
    const tokens = Int32Array.from(ids.length === 0 ? [encoder.start] : ids);
    return { index, tokens, past: 0, length: tokens.length };
  });
  if (sequences.length === 0) return [];
  const passes = passesOf(sequences, forwardPositions[model.device.backend]);
  const most = (of: (pass: (typeof passes)[number]) => number) => Math.max(...passes.map(of));
  const pooled = new PooledPass(model, {
    sequences: most((pass) => pass.length),
    positions: most((pass) => pass.length * pass[0]!.length),
    length: passes[0]![0]!.length,
  });
  const embeddings = new Array<Float32Array>(all.length);
  const width = model.config.hidden_size;
  let done = 0;
  try {
    for (const pass of passes) {
      const vectors = await pooled.run(
        pass.map(({ tokens }) => tokens),
        pooling,
      );
      for (const [place, { index }] of pass.entries()) {
        embeddings[index] = vectors.slice(place * width, (place + 1) * width);
      }
      done += pass.length;
      onProgress?.(done, all.length);
    }
  } finally {
    await model.device.synchronize();
    pooled.dispose();
  }
  return embeddings;
}
