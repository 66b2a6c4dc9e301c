/**
 * SIGUSR1 and SIGUSR2, by which schedulers warn a job. Without a listener the first opens Node's debugger and the second
 * ends the process, so `hold` gives them one for as long as the process lives; who wants to hear of them adds another.
 */
export const userSignals = ["SIGUSR1", "SIGUSR2"] as const;
export type UserSignal = (typeof userSignals)[number];

/**
 * Milliseconds, once the event loop turns, after which it is looked again whether Node has opened its debugger: a thread of
 * its own asks for that, in its own time.
 */
const LOOKED_AGAIN = [50, 500, 5000];

const seen = new Set<UserSignal>();

/** The signals that came so far. */
export const seenUserSignals: ReadonlySet<UserSignal> = seen;

/** To be called once, first of all. */
export async function holdUserSignals(): Promise<void> {
  for (const signal of userSignals) process.on(signal, () => seen.add(signal));
  if (mayHaveOpenedDebugger()) return;
  // A signal may have come while Node itself was starting.
  const inspector = await import("node:inspector").catch(() => null); // Node may be built without it
  const closeDebugger = () => {
    if (inspector?.url() === undefined) return;
    inspector.close();
    process.emit("SIGUSR1", "SIGUSR1");
  };
  closeDebugger();
  // One signal asks twice, of the running code and of the loop: what is closed is opened again as the loop first turns.
  setImmediate(() => {
    closeDebugger();
    for (const delay of LOOKED_AGAIN) setTimeout(closeDebugger, delay).unref();
  });
}

/** Whether the user's options, or a module that they load first, may have opened it. */
function mayHaveOpenedDebugger(): boolean {
  if (!process.features.inspector) return true;
  const options = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? "").split(/\s+/)];
  return options.some((option) => /^(--inspect|--require|-r|--import)/.test(option));
}
