/** What the tokenizers package ends the whole process on, at once or at some text, instead of refusing it. */
import { precompiledProblem } from "./precompiled.js";

type Fields = Readonly<Record<string, unknown>>;

interface AddedToken {
  readonly content: string;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
}

/** @throws Error that names what is wrong in a tokenizer.json */
export function checkPanics(tokenizer: Fields): void {
  const { model, normalizer, pre_tokenizer, post_processor, decoder, added_tokens } = tokenizer;
  if (isObject(model)) checkMerges(model);
  for (const [name, part] of partsOf(normalizer, "normalizer", "normalizers")) checkNormalizer(name, part);
  for (const [name, { type, length }] of partsOf(pre_tokenizer, "pre_tokenizer", "pretokenizers")) {
    if (type === "FixedLength" && length === 0) refuse(`${name}.length`, "at least 1", 0);
  }
  for (const [name, part] of partsOf(post_processor, "post_processor", "processors")) checkTemplate(name, part);
  for (const [name, { type, stop }] of partsOf(decoder, "decoder", "decoders")) {
    // It looks for characters at the end of tokens that have none.
    if (type === "Strip" && typeof stop === "number" && stop > 0) refuse(`${name}.stop`, "0", stop);
  }
  if (Array.isArray(added_tokens)) checkAddedTokens(added_tokens as AddedToken[]);
}

/**
 * Checks the added tokens that are looked for in normalized text: one of which nothing is left is found everywhere, in
 * the midst of characters too.
 * @param normalize what the tokenizer makes of a text before that
 * @throws Error that names the token
 */
export function checkNormalizedTokens(added: readonly AddedToken[], normalize: (text: string) => string): void {
  for (const [index, { content, normalized }] of added.entries()) {
    if (normalized !== true || content === "" || normalize(content) !== "") continue;
    refuse(`added_tokens[${index}].content`, "text that the normalizer leaves something of", content);
  }
}

/** It cuts as many bytes as the prefix has off the second part of every merge. */
function checkMerges({ continuing_subword_prefix: prefix, merges }: Fields): void {
  if (typeof prefix !== "string" || prefix === "" || !Array.isArray(merges)) return;
  const bytes = Buffer.byteLength(prefix);
  for (const [index, merge] of (merges as unknown[]).entries()) {
    const parts: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    const second: unknown = Array.isArray(parts) ? parts[1] : undefined;
    if (typeof second === "string" && !canCut(Buffer.from(second), bytes)) {
      refuse(`model.merges[${index}]`, `a second part that begins with ${quoted(prefix)}`, second);
    }
  }
}

/** Whether the first bytes are whole characters of a text. */
function canCut(text: Uint8Array, bytes: number): boolean {
  return bytes === text.length || (bytes < text.length && (text[bytes]! & 0xc0) !== 0x80);
}

function checkNormalizer(name: string, { type, precompiled_charsmap: map }: Fields): void {
  if (type !== "Precompiled" || typeof map !== "string") return;
  const problem = precompiledProblem(Buffer.from(map, "base64"));
  if (problem !== null)
    throw new Error(`${name}.precompiled_charsmap: expected a table of SentencePiece but received ${problem}`);
}

/** It looks up what a template names, without asking whether it is there. */
function checkTemplate(name: string, { type, single, special_tokens: tokens }: Fields): void {
  if (type !== "TemplateProcessing" || !Array.isArray(single)) return;
  for (const [index, piece] of (single as unknown[]).entries()) {
    const { SpecialToken: special, Sequence: sequence } = isObject(piece) ? piece : {};
    const place = `${name}.single[${index}]`;
    if (
      isObject(special) &&
      typeof special.id === "string" &&
      !(isObject(tokens) && Object.hasOwn(tokens, special.id))
    ) {
      refuse(place, "one of special_tokens", special.id);
    }
    if (isObject(sequence) && sequence.id !== "A") refuse(place, 'sequence "A"', sequence.id);
  }
}

/**
 * White space that a token may take as its own (rstrip) may also be a token, which takes what is before it (lstrip): the
 * second then ends before it begins. Both are looked for in the text as it is, or both in the normalized one.
 */
function checkAddedTokens(added: readonly AddedToken[]): void {
  for (const [index, { content, lstrip, normalized = false }] of added.entries()) {
    if (lstrip !== true || typeof content !== "string" || content === "" || content.trim() !== "") continue;
    const taker = added.find((other) => other.rstrip === true && (other.normalized ?? false) === normalized);
    if (taker === undefined) continue;
    refuse(`added_tokens[${index}]`, `no white space with lstrip beside ${quoted(taker.content)} with rstrip`, content);
  }
}

/** The parts of a sequence, at any depth, with their names. */
function* partsOf(value: unknown, name: string, list: string): Generator<[name: string, part: Fields]> {
  if (!isObject(value)) return;
  yield [name, value];
  const inner = value[list];
  if (value.type !== "Sequence" || !Array.isArray(inner)) return;
  for (const [index, part] of inner.entries()) yield* partsOf(part, `${name}.${list}[${index}]`, list);
}

function refuse(name: string, expected: string, received: unknown): never {
  throw new Error(`${name}: expected ${expected} but received ${quoted(received)}`);
}

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 44 ? `${text.slice(0, 41)}…"` : text;
}
