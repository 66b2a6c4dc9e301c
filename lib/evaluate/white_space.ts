/** White space as Python has it, which is not JavaScript's: the harness is written in Python. */
const member = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

const ahead = new RegExp(`^${member}+`, "u");

/** White space at the end of a text. */
export const spacesBehind = new RegExp(`${member}+$`, "u");

/** Runs of white space. */
export const spaces = new RegExp(`${member}+`, "gu");

/** A text without white space around it. */
export function strip(text: string): string {
  return text.replace(ahead, "").replace(spacesBehind, "");
}
