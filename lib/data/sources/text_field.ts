/** Which field of a record is its text. */
import { show } from "../../arguments.js";
import { DataError } from "../../errors.js";

/** The text's field beside a prompt, unless told. */
export const COMPLETION = "completion";

/** Names that data sets give their text, besides `text`. */
const USUAL = [
  "content",
  "contents",
  "document",
  "body",
  "article",
  "passage",
  "story",
  "code",
  "markdown",
  "raw_text",
  "raw_content",
  "page_content",
];

/** The text of a record, and the prompt before it; null where it has none. */
export interface RecordFields {
  readonly text: string | null;
  /** Absent: records have no prompts. */
  readonly prompt?: string | null;
}

/** Finds the text of the records of one file. */
export class TextField {
  #path: string | undefined;

  /**
   * @param path the field's name, or its path with dots; without it `text`, else the only usual name that is there
   * @param prompt path of the prompt's field; without it, records have none
   * @param onFound called with the usual name that is taken instead of `text`
   */
  constructor(
    path: string | undefined,
    private readonly prompt?: string,
    private readonly onFound?: (field: string) => void,
  ) {
    this.#path = path;
  }

  /**
   * The field's path among the names that a file has, or its first record. Throws DataError if it is not there, or if
   * several are.
   */
  choose(names: readonly string[], where: string, what: string): string {
    if (this.#path !== undefined) return this.#path;
    const path = names.includes("text") ? "text" : this.#usual(names, where, what);
    if (path !== "text") this.onFound?.(path);
    this.#path = path;
    return path;
  }

  /** Whether records have a prompt before their text. */
  get hasPrompt(): boolean {
    return this.prompt !== undefined;
  }

  /** What finds the prompt as if it were the text; null: records have none. */
  get ofPrompt(): TextField | null {
    return this.prompt === undefined ? null : new TextField(this.prompt, this.prompt);
  }

  /** The fields of a parsed JSON value. Throws DataError unless they are strings or null. */
  of(value: unknown, where: string): RecordFields {
    if (!isObject(value)) throw new DataError(`${where}: expected an object but received ${show(value)}`);
    const text = this.#string(value, this.choose(Object.keys(value), where, "an object with the keys"), where);
    return this.prompt === undefined ? { text } : { text, prompt: this.#string(value, this.prompt, where) };
  }

  /**
   * The fields' places among a table's columns. Throws DataError if one is not there, or twice.
   * @param what what `names` are, for the error
   */
  columns(names: readonly string[], where: string, what: string): { readonly text: number; readonly prompt?: number } {
    const place = (path: string): number => {
      const column = names.indexOf(path);
      if (column < 0) throw this.missing(path, names, where, what);
      if (names.indexOf(path, column + 1) < 0) return column;
      throw new DataError(`${where}: expected one column ${JSON.stringify(path)} but received two`);
    };
    const text = place(this.choose(names, where, what));
    return this.prompt === undefined ? { text } : { text, prompt: place(this.prompt) };
  }

  #string(value: Record<string, unknown>, path: string, where: string): string | null {
    const text = fieldAt(value, path);
    if (typeof text === "string" || text === null) return text;
    const keys = text === undefined ? Object.keys(value).join(", ") : "";
    const received = text === undefined && keys !== "" ? `one with the keys ${shorten(keys)}` : show(text ?? value);
    throw new DataError(`${where}: expected an object with a ${JSON.stringify(path)} string but received ${received}`);
  }

  /** The error for a field that is not there. */
  missing(path: string, names: readonly string[], where: string, what: string): DataError {
    return new DataError(
      `${where}: expected a field ${JSON.stringify(path)} but received ${what} ${shorten(names.join(", "))}; ` +
        `name the ${path === this.prompt ? "prompt's field with --prompt-field" : "text's field with --text-field"}`,
    );
  }

  #usual(names: readonly string[], where: string, what: string): string {
    const found = names.filter((name) => name.toLowerCase() === "text" || USUAL.includes(name.toLowerCase()));
    if (found.length === 0) throw this.missing("text", names, where, what);
    if (found.length === 1) return found[0]!;
    const several = found.map((name) => JSON.stringify(name)).join(" and ");
    throw new DataError(
      `${where}: expected a field "text" but received several that may be it, ${several}; ` +
        "name the text's field with --text-field",
    );
  }
}

/** The value at a path: of the key that is the whole path, if there is one, else one step a dot. */
function fieldAt(value: Record<string, unknown>, path: string): unknown {
  if (Object.hasOwn(value, path)) return value[path];
  let at: unknown = value;
  for (const step of path.split(".")) {
    if (at === null) return null;
    if (!isObject(at) || !Object.hasOwn(at, step)) return undefined;
    at = at[step];
  }
  return at;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Cuts a list of names to a length that fits a message. */
function shorten(names: string): string {
  return names.length > 200 ? `${names.slice(0, 200)}…` : names;
}
