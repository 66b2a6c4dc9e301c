/** Encodes a stream of documents, in threads, in order. */
import { ThreadPool } from "../thread_pool.js";
import { cannotEncode, nativeTokenizers, type Tokenizer } from "../tokenizer.js";
import { type EncodePiece, Encoder } from "./encoder.js";
import type { Frame } from "./frame.js";
import { cutDocuments, type DocumentPiece, type SourceText } from "./pieces.js";

/** UTF-16 units of text that are encoded at a time, about. */
const BATCH = 1 << 19;

/** A piece of a document and its tokens, with those around the document. */
export interface EncodedPiece {
  readonly piece: DocumentPiece;
  readonly ids: Uint32Array;
  /** A byte a token, 1: it counts in the loss; null: all count. */
  readonly mask: Uint8Array | null;
}

/**
 * Yields the documents' pieces with their tokens, in order. The tokens of all pieces of a document, one after another,
 * are those that the tokenizer, its post-processor included, gives the whole document, behind the end-of-text token
 * unless they begin with it. They do not depend on the number of threads. A text of less than a batch is encoded on this
 * one, as starting others would take longer.
 */
export async function* encodeDocuments(
  texts: AsyncIterable<SourceText>,
  tokenizer: Tokenizer,
  threads: number,
): AsyncGenerator<EncodedPiece[]> {
  const frame = await tokenizer.frame();
  const separator = tokenizer.endOfTextId;
  const encoder = new Encoder(tokenizer.json, await nativeTokenizers());
  const script = new URL("./encode_worker", import.meta.url);
  const pool = new ThreadPool<readonly EncodePiece[], Uint32Array[]>(script, tokenizer.json, threads);
  const running: { pieces: DocumentPiece[]; ids: Promise<Uint32Array[]> }[] = [];
  const oldest = async (): Promise<EncodedPiece[]> => {
    const { pieces, ids } = running.shift()!;
    const encoded = await ids.catch((cause) => {
      throw cannotEncode(tokenizer.name, cause);
    });
    return encoded.map((tokens, i) => {
      const piece = pieces[i]!;
      const ids = framed(piece, tokens, frame, separator);
      return { piece, ids, mask: piece.prompt ? promptMask(piece, ids, separator) : null };
    });
  };
  try {
    let started = false;
    for await (const { pieces, isLast } of batches(cutDocuments(texts, encoder))) {
      const ids: Promise<Uint32Array[]> = isLast && !started ? encoder.encode(pieces) : pool.run(pieces);
      ids.catch(() => undefined); // awaited below, unless reading fails first
      started = true;
      running.push({ pieces, ids });
      if (running.length > threads + 1) yield await oldest();
    }
    while (running.length > 0) yield await oldest();
  } finally {
    await pool.close();
  }
}

function framed(piece: DocumentPiece, ids: Uint32Array, { before, after }: Frame, separator: number): Uint32Array {
  const first = piece.continues ? [] : before;
  const last = piece.ends ? after : [];
  const separated = !piece.continues && (first[0] ?? ids[0]) !== separator;
  const lead = separated ? [separator, ...first] : first;
  const whole = new Uint32Array(lead.length + ids.length + last.length);
  whole.set(lead);
  whole.set(ids, lead.length);
  whole.set(last, lead.length + ids.length);
  return whole;
}

/** Of a prompt only the end-of-text token before it counts: it ends the document before. */
function promptMask({ continues }: DocumentPiece, ids: Uint32Array, separator: number): Uint8Array {
  const mask = new Uint8Array(ids.length);
  if (!continues && ids[0] === separator) mask[0] = 1;
  return mask;
}

async function* batches(
  pieces: AsyncIterable<DocumentPiece>,
): AsyncGenerator<{ pieces: DocumentPiece[]; isLast: boolean }> {
  let batch: DocumentPiece[] = [];
  let length = 0;
  for await (const piece of pieces) {
    if (length >= BATCH) {
      yield { pieces: batch, isLast: false };
      [batch, length] = [[], 0];
    }
    batch.push(piece);
    length += piece.text.length;
  }
  if (batch.length > 0) yield { pieces: batch, isLast: true };
}
