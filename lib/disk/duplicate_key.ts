/** Keys that an object of a JSON text has twice. */
import { endOfString } from "./json.js";

const COLON = /\s*:/y;

/**
 * The first key that an object in `json` (valid JSON) has twice. `JSON.parse` silently keeps the last of them, and two
 * readers that keep different ones would load different models from one file.
 */
export function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === "{") open.push(new Set());
    else if (character === "}") open.pop();
    else if (character === '"') {
      const end = endOfString(json, at);
      COLON.lastIndex = end + 1;
      if (COLON.test(json)) {
        const key = JSON.parse(json.slice(at, end + 1)) as string;
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
      }
      at = end;
    }
  }
  return undefined;
}
