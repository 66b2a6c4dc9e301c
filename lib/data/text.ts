/** A document's text in pieces of bounded length. */

/**
 * Longest piece of a document that is encoded at once, in UTF-16 units. A long text is encoded in pieces so that one
 * huge file keeps every core busy and memory does not grow with it; short ones also encode faster per byte.
 */
const MAX_PIECE = 16_384;

/**
 * Cuts one document into pieces of at most 16384 UTF-16 units. A cut is made where byte-level tokenizers (GPT-2,
 * Llama 3 and similar) split anyway, so that the pieces' tokens are the document's: after a single line break or before
 * a single space, between other characters. Only a run of 8192 characters without one is cut elsewhere. A tokenizer
 * that marks the start of a text (SentencePiece) treats each piece as a text.
 */
export function* splitPieces(text: string): Generator<string> {
  let from = 0;
  while (text.length - from > MAX_PIECE) {
    const end = cutPoint(text, from + MAX_PIECE);
    yield text.slice(from, end);
    from = end;
  }
  if (from < text.length) yield text.slice(from);
}

/** The last good place to cut at or before `limit`, at most half a piece before it; text[limit] exists. */
function cutPoint(text: string, limit: number): number {
  const earliest = limit - MAX_PIECE / 2;
  for (let i = limit; i > earliest; i--) {
    if (text[i - 1] === "\n" && !isSpace(text, i - 2) && !isSpace(text, i)) return i;
  }
  for (let i = limit - 1; i > earliest; i--) {
    if (text[i] === " " && !isSpace(text, i - 1) && !isSpace(text, i + 1)) return i;
  }
  const splitsPair = text.charCodeAt(limit) >> 10 === 0xdc00 >> 10;
  return splitsPair ? limit - 1 : limit;
}

function isSpace(text: string, index: number): boolean {
  return /\s/.test(text[index]!);
}
