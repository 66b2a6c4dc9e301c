/** Which field of a record is its text. */
import { show } from "../../arguments.js";
import { DataError } from "../../errors.js";

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

/** Finds the text of the records of one file. */
export class TextField {
  #path: string | undefined;

  /**
   * @param path the field's name, or its path with dots; without it `text`, else the only usual name that is there
   * @param onFound called with the usual name that is taken instead of `text`
   */
  constructor(
    path: string | undefined,
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

  /** The text of a parsed JSON value; null where it is null. Throws DataError for anything else. */
  of(value: unknown, where: string): string | null {
    if (!isObject(value)) throw new DataError(`${where}: expected an object but received ${show(value)}`);
    const path = this.choose(Object.keys(value), where, "an object with the keys");
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
        "name the text's field with --text-field",
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
