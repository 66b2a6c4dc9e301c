/** What a tokenizer's post-processor puts around a text, such as Llama's `<s>` before it. */
import type { Tokenizer as NativeTokenizer } from "tokenizers";

/** Token ids around a text. */
export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Tokens of the vocabulary that are tried as texts, for a vocabulary that has no Latin letters. */
const MAX_PROBES = 500;

/**
 * The frame, the same for all texts; undefined if the post-processor does something else to them.
 * @param vocabulary tokens to find it with
 */
export async function frameOf(native: NativeTokenizer, vocabulary: readonly string[]): Promise<Frame | undefined> {
  const texts = ["a", "Z9", ...vocabulary.slice(0, MAX_PROBES)];
  const encode = async (addSpecialTokens: boolean): Promise<number[][]> => {
    const idsOf = async (batch: string[]) =>
      (await native.encodeBatch(batch, { addSpecialTokens })).map((encoding) => encoding.getIds());
    // A text that the tokenizer refuses, for want of an unknown token, takes its batch with it.
    const one = (text: string) =>
      idsOf([text]).then(
        ([ids]) => ids!,
        () => [],
      );
    return idsOf(texts).catch(() => Promise.all(texts.map(one)));
  };
  const [plain, framed] = await Promise.all([encode(false), encode(true)]);
  // Two texts: a token of the frame may also be that of a text.
  const probes = plain.flatMap((ids, i) => (ids.length > 0 ? [{ ids, framed: framed[i]! }] : [])).slice(0, 2);
  const [first] = probes;
  if (first === undefined) return undefined;
  const added = first.framed.length - first.ids.length;
  for (let before = 0; before <= added; before++) {
    const frame = {
      before: first.framed.slice(0, before),
      after: first.framed.slice(first.ids.length + before),
    };
    if (probes.every((probe) => probe.framed.join() === [...frame.before, ...probe.ids, ...frame.after].join())) {
      return frame;
    }
  }
  return undefined;
}
