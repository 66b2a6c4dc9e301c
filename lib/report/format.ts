/** Text for display: escaping, and numbers of readable length. */

/** `text` escaped for use between tags or in a quoted attribute. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

/** `value` as JSON that is safe inside a script element: no `<` that could end it. NaN and infinities become null. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll("<", "\\u003c")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

/** "document", or "documents" for any other number of them than one. */
export function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}

/** A count with three significant digits and its unit prefix: `8.00 M`, `1.25 T`; whole below a thousand. */
export function formatCount(value: number): string {
  const prefixes = ["", "k", "M", "G", "T", "P", "E", "Z"];
  const power = value < 1000 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(value) / 3));
  return power === 0 ? String(Math.round(value)) : `${(value / 1000 ** power).toPrecision(3)} ${prefixes[power]}`;
}

/** Seconds as `39.8 ms`, `41.2 s`, `3 min 20 s` or `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  if (seconds > 0 && seconds < 0.9995) return `${(1000 * seconds).toPrecision(3)} ms`;
  if (seconds < 60) return `${seconds.toPrecision(3)} s`;
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** A loss in nats with four decimals; `diverged` if it is NaN, a dash if there is none. */
export function formatLoss(loss: number | undefined): string {
  if (loss === undefined) return "–";
  return Number.isFinite(loss) ? loss.toFixed(4) : "diverged";
}

/** A loss in nats with three digits, for a headline. */
export function formatShortLoss(loss: number | undefined): string {
  return loss !== undefined && Number.isFinite(loss) ? loss.toPrecision(3) : formatLoss(loss);
}

/** Bytes with three digits: `1.50 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toPrecision(3)} ${units[power]}`;
}

/** `1536.0 MiB`. */
export function formatMebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
