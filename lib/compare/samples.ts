/** What a final model writes: its continuations of held-out texts, beside how those texts go on. */
import { Arguments } from "../arguments.js";
import type { Tokenizer } from "../data/tokenizer.js";
import { heldOutWindows } from "../evaluate/held_out_windows.js";
import { checkDataOptions, type DataOptions } from "../evaluate/open_data.js";
import { generateTexts } from "../generate/texts.js";
import type { Llama } from "../nn/llama.js";

/** A text that a model has continued. */
export interface Sample {
  /** The held-out text before. */
  readonly prompt: string;
  /** How the held-out text goes on. */
  readonly heldOut: string;
  /** How the model goes on. */
  readonly text: string;
}

/** How texts are sampled. With temperature 0, small models soon repeat themselves, and all look alike. */
export const sampling = { temperature: 0.8, topP: 0.95, seed: 1 } as const;

const count = 4;

/** Decides which places of the text are continued. */
const seed = 2;

/** The most tokens of a prompt with its continuation; a third of them are the prompt's. */
const mostTokens = 96;

/** @returns none if the data is too short @throws as `generateTexts` and `evaluate` */
export async function samplesOf(model: Llama, tokenizer: Tokenizer, options: DataOptions): Promise<Sample[]> {
  const { onProgress, ...checked } = checkDataOptions(new Arguments("samples"), model, options, 2);
  const length = Math.min(mostTokens, checked.sequenceLength);
  const promptTokens = Math.floor(length / 3);
  const from = { ...checked, onProgress: undefined };
  const windows = await heldOutWindows(model, from, { length, seed });
  const texts: Omit<Sample, "text">[] = [];
  for (const { tokens } of windows) {
    if (texts.length === count) break;
    const whole = await tokenizer.decode(tokens);
    const cut = cutAtWords(whole, (await tokenizer.decode(tokens.subarray(0, promptTokens))).length);
    const encoded = await tokenizer.encode(cut.prompt, { specialTokens: true });
    // A tokenizer may need more tokens for a text that was cut.
    if (cut.prompt.trim() !== "" && encoded.length < model.config.max_position_embeddings) texts.push(cut);
  }
  if (texts.length === 0) return [];
  const prompts = texts.map(({ prompt }) => prompt);
  const maxTokens = length - promptTokens;
  const written = await generateTexts(model, tokenizer, prompts, {
    ...sampling,
    maxTokens,
    ...(onProgress && { onProgress }),
  });
  return texts.map((each, index) => ({ ...each, text: written[index]!.text }));
}

/** A text in two, near a place: the first part begins and ends with a whole word, if it has more than one. */
function cutAtWords(whole: string, place: number): Omit<Sample, "text"> {
  const before = whole.slice(0, place);
  const end = Math.max(before.search(/\s+\S*$/), 0) || place;
  const first = /^\S+\s+/.exec(whole.slice(0, end))?.[0].length ?? 0;
  const start = first < end ? first : 0;
  return { prompt: whole.slice(start, end), heldOut: whole.slice(end) };
}
