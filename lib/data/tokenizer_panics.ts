/** What the tokenizers package ends the whole process on, instead of refusing it. */

interface BpeModel {
  readonly continuing_subword_prefix?: unknown;
  readonly merges?: unknown;
}

/** @throws Error that names what is wrong in a tokenizer.json */
export function checkPanics(tokenizer: { readonly model?: unknown }): void {
  const { model } = tokenizer;
  if (typeof model !== "object" || model === null) return;
  const { continuing_subword_prefix: prefix, merges } = model as BpeModel;
  if (typeof prefix !== "string" || prefix === "" || !Array.isArray(merges)) return;
  // It cuts as many bytes as the prefix has off the second part of every merge.
  const bytes = Buffer.byteLength(prefix);
  for (const [index, merge] of (merges as unknown[]).entries()) {
    const parts: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    const second: unknown = Array.isArray(parts) ? parts[1] : undefined;
    if (typeof second === "string" && !canCut(Buffer.from(second), bytes)) {
      const name = `model.merges[${index}]`;
      throw new Error(
        `${name}: expected a second part that begins with ${quoted(prefix)} but received ${quoted(second)}`,
      );
    }
  }
}

/** Whether the first bytes are whole characters of a text. */
function canCut(text: Uint8Array, bytes: number): boolean {
  return bytes === text.length || (bytes < text.length && (text[bytes]! & 0xc0) !== 0x80);
}

const quoted = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
