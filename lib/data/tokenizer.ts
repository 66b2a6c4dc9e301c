/** Runs a `tokenizer.json`: text to token ids and back, with Hugging Face's `tokenizers`. */
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { Arguments } from "../arguments.js";
import { inputLimits } from "../disk/input_limits.js";
import { checkJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import { optionalLine } from "../native/package_manager.js";
import { thisPackage } from "../native.js";
import { type Frame, frameOf } from "./encode/frame.js";
import { largestId, type TokenizerJson, tokensOf } from "./encode/tokenizer_json.js";
import { endOfText } from "./end_of_text.js";
import { configuredTokens, sentencePieceBeside, tokenizerPath } from "./tokenizer_files.js";
import { checkNormalizedTokens, checkPanics } from "./tokenizer_panics.js";

/** What a tokenizer.json does not say. */
export interface TokenizerOptions {
  /**
   * The token that ends a text. Default: the `eos_token` of the `tokenizer_config.json` beside it if that is
   * `<|endoftext|>`, `</s>`, `<|end_of_text|>` or `<eos>`, else the first of these in the vocabulary, else that
   * `eos_token`.
   */
  readonly endOfText?: string;
}

/** Loads the native package on first use, so that commands without text start at once and do not need its binary. */
async function loadTokenizers(): Promise<typeof import("tokenizers")> {
  try {
    return await import("tokenizers");
  } catch (cause) {
    throw new DataError(
      `tokenizers: expected its library for ${process.platform}-${process.arch} but received none that loads: ` +
        `${firstLine(cause)}\nIt comes with nextpatch if optional packages are installed:\n` +
        `  ${optionalLine(thisPackage().root)}`,
      { cause },
    );
  }
}

/**
 * Makes the package's tokenizers of tokenizer.json texts. Truncation and padding, of a tokenizer saved for inference,
 * are off: training data must stay whole.
 * @internal
 */
export async function nativeTokenizers(): Promise<(json: string) => NativeTokenizer> {
  const { Tokenizer: Native } = await loadTokenizers();
  return (json) => {
    const native = Native.fromString(json);
    native.disableTruncation();
    native.disablePadding();
    return native;
  };
}

/** The most rows that a tokenizer can ask an embedding to have: as many as a model can. */
const MOST_ROWS = 2 ** 24;

/**
 * Text to token ids and back, as a `tokenizer.json` defines.
 *
 * @example
 * ```ts
 * import { Tokenizer } from "nextpatch";
 *
 * const tokenizer = await Tokenizer.fromFile("runs/mine/model/tokenizer.json");
 * const ids = await tokenizer.encode("The river is wide.");
 * console.log(await tokenizer.decode(ids));
 * ```
 */
export class Tokenizer {
  /** One more than the largest token id: the rows an embedding needs. */
  readonly vocabSize: number;
  /** SHA-256 of the tokenizer.json, in hex. */
  readonly hash: string;
  /** The tokenizer.json itself. */
  readonly json: string;
  readonly #native: NativeTokenizer;
  readonly #name: string;
  readonly #file: string | null;
  /** The end-of-text token that was asked for, and the one that tokenizer_config.json names. */
  readonly #ends: { readonly chosen: string | undefined; readonly configured: string | undefined };

  private constructor(
    name: string,
    file: string | null,
    json: string,
    native: NativeTokenizer,
    ends: { readonly chosen: string | undefined; readonly configured: string | undefined },
  ) {
    this.#name = name;
    this.#file = file;
    this.#ends = ends;
    this.json = json;
    this.#native = native;
    this.hash = createHash("sha256").update(json).digest("hex");
    this.vocabSize = rowsOf(JSON.parse(json) as TokenizerJson, native);
    if (this.vocabSize > MOST_ROWS) {
      throw new DataError(`${name}: expected token ids below ${MOST_ROWS} but received ${this.vocabSize - 1}`);
    }
  }

  /**
   * Reads a tokenizer.json, or that of a folder.
   * @throws TypeError for a wrong argument; DataError if the file, or the tokenizer_config.json beside it, is missing or
   *   not one, or the vocabulary has no token `options.endOfText`
   */
  static async fromFile(path: string, options: TokenizerOptions = {}): Promise<Tokenizer> {
    const check = new Arguments("Tokenizer.fromFile");
    check.path("path", path);
    checkTokenizerOptions(check, options);
    const file = await tokenizerPath(path);
    const json = await readText(file, inputLimits.tokenizer).catch(async (cause: unknown) => {
      const hint = (await sentencePieceBeside(file))
        ? "; beside it is a tokenizer.model, which transformers' AutoTokenizer saves as tokenizer.json"
        : "";
      throw new DataError(`${file}: expected a tokenizer.json but received ${unusable(cause)}${hint}`, { cause });
    });
    const { eos_token: configured } = await configuredTokens(file);
    return Tokenizer.#make(json, file, file, { chosen: options.endOfText, configured });
  }

  /**
   * Makes a tokenizer from the text of a tokenizer.json; `name` is its name in errors.
   * @throws TypeError for a wrong argument; DataError if the text is not a tokenizer.json, or the vocabulary has no token
   *   `options.endOfText`
   */
  static async fromJson(json: string, name = "tokenizer", options: TokenizerOptions = {}): Promise<Tokenizer> {
    const check = new Arguments("Tokenizer.fromJson");
    check.string("json", json);
    check.string("name", name);
    checkTokenizerOptions(check, options);
    return Tokenizer.#make(json, name, null, { chosen: options.endOfText, configured: undefined });
  }

  static async #make(
    json: string,
    name: string,
    file: string | null,
    ends: { readonly chosen: string | undefined; readonly configured: string | undefined },
  ): Promise<Tokenizer> {
    const make = await nativeTokenizers();
    let native: NativeTokenizer;
    try {
      checkJson(json);
      const parts = JSON.parse(json) as TokenizerJson;
      checkPanics(parts as Readonly<Record<string, unknown>>);
      native = make(json);
      const normalizer = native.getNormalizer();
      if (normalizer) checkNormalizedTokens(parts.added_tokens ?? [], (text) => normalizer.normalizeString(text));
    } catch (cause) {
      throw new DataError(`${name}: expected a tokenizer.json but received other text: ${firstLine(cause)}`, { cause });
    }
    const tokenizer = new Tokenizer(name, file, json, native, ends);
    if (ends.chosen !== undefined) tokenizer.#end();
    return tokenizer;
  }

  /** Id of the token that ends a text (`TokenizerOptions.endOfText`). @throws DataError if there is none */
  get endOfTextId(): number {
    return this.#end().id;
  }

  /**
   * Its name in errors.
   * @internal
   */
  get name(): string {
    return this.#name;
  }

  /**
   * The file that it was read from; null: it was made of a text.
   * @internal
   */
  get file(): string | null {
    return this.#file;
  }

  /**
   * What console.log shows.
   * @internal
   */
  [inspect.custom](): string {
    return `Tokenizer ${this.#name}, vocabulary ${this.vocabSize}`;
  }

  /** The token that ends a text. @throws DataError if there is none */
  get endOfText(): string {
    return this.#end().token;
  }

  #end(): { token: string; id: number } {
    return endOfText({ name: this.#name, ...this.#ends, idOf: (token) => this.#native.tokenToId(token) });
  }

  /**
   * What the post-processor puts around a text.
   * @throws DataError if it does something else to a text
   * @internal
   */
  async frame(): Promise<Frame> {
    const { model } = JSON.parse(this.json) as TokenizerJson;
    const frame = await frameOf(this.#native, tokensOf(model!));
    if (frame !== undefined) return frame;
    throw new DataError(
      `${this.#name}: post_processor: expected one that puts the same tokens around every text but received another`,
    );
  }

  /**
   * Token ids of a text. Names of special tokens inside the text become those tokens.
   * @param options.specialTokens add those that the post-processor puts around a text. Default false.
   * @throws TypeError for a wrong argument; DataError for a text that the tokenizer cannot encode
   */
  async encode(text: string, options: { readonly specialTokens?: boolean } = {}): Promise<Uint32Array> {
    const check = new Arguments("Tokenizer.encode");
    check.string("text", text);
    const { specialTokens = false } = check.options("options", options, ["specialTokens"]);
    check.boolean("options.specialTokens", specialTokens);
    return (await this.#encode([text], specialTokens))[0]!;
  }

  /**
   * Encodes texts in parallel, on the package's threads, without special tokens; the event loop stays free.
   * @throws TypeError for a wrong argument; DataError for a text that the tokenizer cannot encode
   */
  async encodeBatch(texts: readonly string[]): Promise<Uint32Array[]> {
    return this.#encode(new Arguments("Tokenizer.encodeBatch").strings("texts", texts, 0));
  }

  async #encode(texts: string[], addSpecialTokens = false): Promise<Uint32Array[]> {
    const encodings = await this.#native.encodeBatch(texts, { addSpecialTokens }).catch((cause) => {
      throw cannotEncode(this.#name, cause);
    });
    return encodings.map((encoding) => Uint32Array.from(encoding.getIds()));
  }

  /**
   * Text of token ids; an id without a token adds nothing.
   * @param options.keepSpecialTokens keep special tokens such as end-of-text. Default false.
   * @throws TypeError or RangeError if `ids` are not token ids
   */
  async decode(
    ids: readonly number[] | Int32Array | Uint32Array,
    options: { readonly keepSpecialTokens?: boolean } = {},
  ): Promise<string> {
    const check = new Arguments("Tokenizer.decode");
    const { keepSpecialTokens = false } = check.options("options", options, ["keepSpecialTokens"]);
    check.boolean("keepSpecialTokens", keepSpecialTokens);
    const whole = check.numbers("ids", ids, "a token id", (id) => Number.isInteger(id) && id >= 0 && id < 2 ** 32);
    return this.#native.decode(whole, !keepSpecialTokens);
  }
}

/** What the library refuses of a text, such as one whose unknown token is not in the vocabulary. */
export function cannotEncode(tokenizer: string, cause: unknown): DataError {
  return new DataError(`${tokenizer}: a text cannot be encoded: ${shortened(firstLine(cause))}`, { cause });
}

/**
 * One more than the largest id. The library's own list of the vocabulary cannot be had if a token holds a NUL
 * character.
 */
function rowsOf({ model, added_tokens }: TokenizerJson, native: NativeTokenizer): number {
  let largest = largestId(model!);
  for (const { content } of added_tokens ?? []) largest = Math.max(largest, native.tokenToId(content) ?? -1);
  return largest + 1;
}

function checkTokenizerOptions(check: Arguments, options: TokenizerOptions): void {
  const { endOfText: token } = check.options("options", options, ["endOfText"]);
  if (token !== undefined) check.string("options.endOfText", token);
}

const shortened = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text);

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]!;
}
