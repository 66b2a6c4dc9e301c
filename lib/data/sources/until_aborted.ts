/**
 * What an iterable gives, until a signal is aborted: then by the signal's reason, without waiting for what is to come. The
 * iterable is told that no more is wanted, as by a loop that is left.
 */
export async function* untilAborted<T>(items: Iterable<T> | AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T> {
  const iterate = (items as Partial<AsyncIterable<T>>)[Symbol.asyncIterator];
  if (iterate === undefined || iterate === null) {
    for (const item of items as Iterable<T>) {
      signal?.throwIfAborted();
      yield item;
    }
    return;
  }
  const iterator = iterate.call(items);
  let fail: (reason: unknown) => void = () => undefined;
  const abort = () => fail(signal!.reason);
  signal?.addEventListener("abort", abort);
  let [ended, pending] = [false, false];
  // Not Promise.race, which would keep a reaction for every item until the signal is aborted.
  const next = () =>
    new Promise<IteratorResult<T>>((resolve, reject) => {
      fail = reject;
      signal?.throwIfAborted();
      const coming = Promise.resolve(iterator.next());
      pending = true;
      const settled = (settle: () => void) => {
        pending = false;
        settle();
      };
      coming.then(
        (result) => settled(() => resolve(result)),
        (error: unknown) => settled(() => reject(error)),
      );
    });
  try {
    for (;;) {
      const { done, value } = await next().catch((error: unknown) => {
        ended = !pending && !signal?.aborted; // by itself
        throw error;
      });
      if (done) {
        ended = true;
        return;
      }
      yield value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // One that has not answered may never do so.
    const closing = Promise.resolve(ended ? undefined : iterator.return?.());
    if (pending) closing.catch(() => undefined);
    else await closing;
  }
}
