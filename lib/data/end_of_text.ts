/** Which token of a vocabulary ends a text. */
import { either } from "../arguments.js";
import { DataError } from "../errors.js";

/** Names of an end-of-text token, in the order they are looked for. */
export const END_OF_TEXT_NAMES: readonly string[] = ["<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>"];

/** What is known of a tokenizer when its end-of-text token is looked for. */
export interface EndOfTextSources {
  /** The tokenizer's name in errors. */
  readonly name: string;
  /** The token that was asked for. */
  readonly chosen: string | undefined;
  /** `eos_token` of its tokenizer_config.json. */
  readonly configured: string | undefined;
  /** The id of a token, or null. */
  readonly idOf: (token: string) => number | null;
}

/**
 * The end-of-text token: the one that was asked for; else the `eos_token` of tokenizer_config.json if it is one of the
 * usual names; else the first usual name in the vocabulary, as the `eos_token` of a tokenizer for chats ends a turn and
 * not a text; else that `eos_token`.
 * @throws DataError if the token that was asked for is not in the vocabulary, or there is none
 */
export function endOfText({ name, chosen, configured, idOf }: EndOfTextSources): { token: string; id: number } {
  if (chosen !== undefined) {
    const id = idOf(chosen);
    if (id !== null) return { token: chosen, id };
    throw new DataError(`${name}: expected the end-of-text token ${chosen} but received a vocabulary without it`);
  }
  const usual = configured !== undefined && END_OF_TEXT_NAMES.includes(configured);
  const names = usual
    ? [configured, ...END_OF_TEXT_NAMES]
    : [...END_OF_TEXT_NAMES, ...(configured ? [configured] : [])];
  for (const token of names) {
    const id = idOf(token);
    if (id !== null) return { token, id };
  }
  throw new DataError(
    `${name}: expected an end-of-text token, ${either(END_OF_TEXT_NAMES)}, ` +
      "but received a vocabulary without one, and no other was named",
  );
}
