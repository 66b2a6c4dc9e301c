/** Cuts documents, as they are read, into pieces that can be encoded apart. */
import { checkSize, MAX_DOCUMENT } from "../sources/document.js";
import type { SourcePiece } from "../sources.js";
import type { SplitName } from "../split_name.js";
import type { EncodePiece, Encoder } from "./encoder.js";

/** UTF-16 units of a piece, if its document can be cut in there. */
const PIECE = 1 << 20;

/** A piece, and the split that its document is in. */
export interface DocumentPiece extends EncodePiece {
  /** Whether it is the last of its document. */
  readonly ends: boolean;
  /** Whether it is of the document's prompt, which does not count in the loss. */
  readonly prompt: boolean;
  readonly split: SplitName;
}

/** What is read of a source file. */
export interface SourceText extends SourcePiece {
  /** The position of the file among the sources. */
  readonly source: number;
  readonly file: string;
  readonly split: SplitName;
}

/**
 * The pieces of documents. A prompt and the text after it are pieces of their own; either of them that cannot be cut is
 * one piece.
 * @throws DataError for a document of more than 256 MiB that cannot be cut
 */
export async function* cutDocuments(texts: AsyncIterable<SourceText>, encoder: Encoder): AsyncGenerator<DocumentPiece> {
  let current: SourceText | undefined;
  let rest = "";
  let continues = false;
  let window = PIECE;
  const piece = (text: string, ends: boolean): DocumentPiece => {
    const { prompt, split } = current!;
    return { text, continues, ends, prompt, split };
  };
  for await (const next of texts) {
    if (next.first || next.prompt !== current!.prompt) {
      if (rest !== "") yield piece(rest, next.first);
      [current, rest, continues, window] = [next, "", !next.first, PIECE];
    }
    rest += next.text;
    while (rest.length > window) {
      const cut = encoder.cut(rest.slice(0, window));
      if (cut === 0) {
        window *= 2;
        continue;
      }
      yield piece(rest.slice(0, cut), false);
      [rest, continues, window] = [rest.slice(cut), true, PIECE];
    }
    if (rest.length > MAX_DOCUMENT / 3) {
      const what = "a document that its tokenizer must see whole";
      checkSize(Buffer.byteLength(rest), MAX_DOCUMENT, what, current!.where, current!.file);
    }
  }
  if (rest !== "") yield piece(rest, true);
}
