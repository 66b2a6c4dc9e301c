/**
 * JSON from files. Before it is parsed it is looked through, in one pass and without recursion, so that neither depth nor
 * the number of values can exhaust the stack or the memory of what parses it and of what walks through the result.
 */
import { inputLimits } from "./input_limits.js";

/** Parses JSON within the limits. Throws an Error whose message says what is wrong. */
export function parseJson(text: string): unknown {
  checkJson(text);
  return JSON.parse(text) as unknown;
}

/**
 * The same of a text that has a place.
 * @param where the file, or the part of it, for the message
 * @param Failure what is thrown
 * @param expected what the text should be
 * @throws Failure `where: expected JSON but received other text: why`
 */
export function parseJsonOf(
  text: string,
  where: string,
  Failure: new (message: string, options?: ErrorOptions) => Error,
  expected = "JSON",
): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Failure(`${where}: expected ${expected} but received other text: ${reason}`, { cause });
  }
}

/** Throws an Error for JSON that is nested too deep or has too many values. Other text may pass. */
export function checkJson(text: string): void {
  const { jsonDepth, jsonValues } = inputLimits;
  // It takes more characters than that to exceed a limit.
  if (text.length <= jsonDepth) return;
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_OBJECT:
      case OPEN_LIST:
        if (++depth > jsonDepth) throw new Error(`objects and lists nested more than ${jsonDepth} deep`);
        values++;
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        depth--;
        break;
      case COMMA:
        values++;
        break;
    }
    if (values > jsonValues) throw new Error(`more than ${jsonValues} values`);
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Index of the quote that ends the string that begins at `start`; the text's length if none does. */
export function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}
