/** Two queues of a GPU, one that computes and one that communicates, each in its order. */

/** A part of a pass's arithmetic. */
export interface Segment {
  /** Seconds, if nothing is communicated meanwhile. */
  readonly seconds: number;
  /** How many transfers must be done before it may begin. */
  readonly needs: number;
}

export interface Transfer {
  readonly seconds: number;
  /** How many segments must be done before it may begin. */
  readonly needs: number;
}

/**
 * Seconds until both queues are empty.
 * @param slowdown the share of its speed that arithmetic loses while a transfer is under way
 */
export function overlappedSeconds(
  segments: readonly Segment[],
  transfers: readonly Transfer[],
  slowdown: number,
): number {
  const [left, leftOver] = [segments.map(({ seconds }) => seconds), transfers.map(({ seconds }) => seconds)];
  let [time, computed, sent] = [0, 0, 0];
  while (computed < segments.length || sent < transfers.length) {
    const computes = computed < segments.length && segments[computed]!.needs <= sent;
    const sends = sent < transfers.length && transfers[sent]!.needs <= computed;
    if (!computes && !sends) throw new RangeError("overlappedSeconds: each queue waits for the other");
    const speed = sends ? 1 - slowdown : 1;
    const untilComputed = computes ? left[computed]! / speed : Number.POSITIVE_INFINITY;
    const untilSent = sends ? leftOver[sent]! : Number.POSITIVE_INFINITY;
    const passed = Math.min(untilComputed, untilSent);
    time += passed;
    if (computes) left[computed]! -= passed * speed;
    if (sends) leftOver[sent]! -= passed;
    if (untilComputed <= untilSent) computed++;
    else sent++;
  }
  return time;
}
