/** Cuts JSON into its outermost values. */
import { inputLimits } from "../../disk/input_limits.js";
import { DataError } from "../../errors.js";
import { checkSize, MAX_RECORD } from "./document.js";
import { type Position, place } from "./position.js";

/** The bytes of a value, not parsed yet. */
export interface JsonValue {
  readonly bytes: Buffer;
  readonly where: Position & { readonly line: number };
  /** Whether it is an element of the array that is the file. */
  readonly isElement: boolean;
}

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/**
 * Finds where values begin and end, by brackets and strings alone: whether what is between is JSON, the parser tells.
 * A file is an array, whose elements are the values, or a sequence of values.
 */
export class ValueSplitter {
  #mode: "start" | "array" | "sequence" | "end" = "start";
  /** Whether the array's first element has not come yet. */
  #isFirst = true;
  #inValue = false;
  #inString = false;
  #isEscaped = false;
  #depth = 0;
  #parts: Buffer[] = [];
  #length = 0;
  #line = 1;
  #byte = 0;
  #where = { line: 1, byte: 0 };

  constructor(private readonly file: string) {}

  /** The values that end in this chunk. */
  push(chunk: Buffer): JsonValue[] {
    const values: JsonValue[] = [];
    const base = this.#byte;
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const character = chunk[at]!;
      if (character === LINE_FEED) this.#line++;
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (character === BACKSLASH) this.#isEscaped = true;
        else if (character === QUOTE) this.#inString = false;
        continue;
      }
      if (!this.#inValue) {
        this.#byte = base + at;
        if (!this.#begins(character)) continue;
        from = at;
      }
      const end = this.#advance(character, at);
      if (end >= 0) values.push(this.#take(chunk.subarray(from, end)));
    }
    this.#byte = base + chunk.length;
    if (this.#inValue) {
      this.#parts.push(chunk.subarray(from));
      this.#length += chunk.length - from;
      checkSize(MAX_RECORD, MAX_RECORD, "a JSON value", this.#where, this.file, this.#length > MAX_RECORD);
    }
    return values;
  }

  /** The value that ends with the file. Throws DataError if the file ends too early. */
  finish(): JsonValue[] {
    if (this.#mode === "start") throw this.#unexpected("an empty file");
    const isWhole = this.#mode === "end" || (this.#mode === "sequence" && this.#depth === 0 && !this.#inString);
    if (!isWhole) throw this.#unexpected("a file that is cut short");
    return this.#inValue ? [this.#take(Buffer.alloc(0))] : [];
  }

  /** Whether a value begins with this character, which follows none. */
  #begins(character: number): boolean {
    if (isSpace(character) || (this.#byte < 3 && character === BYTE_ORDER_MARK[this.#byte])) return false;
    if (this.#mode === "start") {
      this.#mode = character === OPEN_ARRAY ? "array" : "sequence";
      if (this.#mode === "array") return false;
    }
    if (this.#mode === "end") throw this.#unexpected("more after the array's end");
    if (this.#mode === "array") {
      if (character === CLOSE_ARRAY && this.#isFirst) {
        this.#mode = "end";
        return false;
      }
      if (character === COMMA || character === CLOSE_ARRAY)
        throw this.#unexpected("no value before a comma or bracket");
    }
    this.#inValue = true;
    this.#isFirst = false;
    this.#where = { line: this.#line, byte: this.#byte };
    return true;
  }

  /** Takes a character outside strings; returns where the value ends, or -1. */
  #advance(character: number, at: number): number {
    if (character === QUOTE) this.#inString = true;
    else if (character === OPEN_OBJECT || character === OPEN_ARRAY) {
      if (++this.#depth > inputLimits.jsonDepth) throw this.#tooDeep();
    } else if (this.#depth > 0) {
      if (character !== CLOSE_OBJECT && character !== CLOSE_ARRAY) return -1;
      this.#depth--;
      if (this.#depth === 0 && this.#mode === "sequence") return at + 1;
    } else if (this.#mode === "sequence") return isSpace(character) ? at : -1;
    else if (character === COMMA) return at;
    else if (character === CLOSE_ARRAY) {
      this.#mode = "end";
      return at;
    }
    return -1;
  }

  #take(part: Buffer): JsonValue {
    const bytes = this.#parts.length === 0 ? part : Buffer.concat([...this.#parts, part]);
    checkSize(bytes.length, MAX_RECORD, "a JSON value", this.#where, this.file);
    this.#parts = [];
    this.#length = 0;
    this.#inValue = false;
    return { bytes, where: this.#where, isElement: this.#mode !== "sequence" };
  }

  #tooDeep(): DataError {
    const where = place(this.file, this.#where);
    return new DataError(
      `${where}: expected JSON but received objects and lists nested more than ${inputLimits.jsonDepth} deep`,
    );
  }

  #unexpected(received: string): DataError {
    const where = place(this.file, { line: this.#line });
    return new DataError(`${where}: expected JSON but received ${received} at byte ${this.#byte}`);
  }
}

function isSpace(character: number): boolean {
  return character === 0x20 || (character >= 0x09 && character <= 0x0d);
}
