/** What signals ask of a command. */
import { basename } from "node:path";
import { type UserSignal, userSignals } from "./user_signals.js";

/** Ctrl-C, a scheduler or a service manager, a terminal or a connection that was closed. */
const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Milliseconds after the first signal in which a second one is the same: npm passes on a Ctrl-C that the terminal has sent
 * to all, and a shell a hang-up.
 */
const ECHO = 500;

export interface SignalActions {
  /** Called once, to end the work; a later Ctrl-C ends the process at once. */
  readonly end: (signal: string) => void;
  /** What a later Ctrl-C does instead. */
  readonly again?: () => void;
  /** Called for every SIGUSR1 and SIGUSR2. */
  readonly warn?: (signal: UserSignal) => void;
}

/**
 * Does these things on signals.
 * @returns a function that leaves signals to the system again, unless one has ended the work: what is sent twice may come
 *   while the process is ending
 */
export function onSignals({ end, again, warn = () => undefined }: SignalActions): () => void {
  let ended: number | null = null;
  const onEnd = (signal: NodeJS.Signals): void => {
    if (signal === "SIGHUP" && startedByNohup()) return;
    if (ended === null) {
      ended = performance.now();
      end(signal);
    } else if (signal === "SIGINT" && performance.now() - ended > ECHO) {
      if (again !== undefined) {
        again();
        return;
      }
      remove();
      process.kill(process.pid, signal);
    }
  };
  const remove = (): void => {
    for (const signal of endSignals) process.removeListener(signal, onEnd);
    for (const signal of userSignals) process.removeListener(signal, warn);
  };
  for (const signal of endSignals) process.on(signal, onEnd);
  for (const signal of userSignals) process.on(signal, warn);
  return () => {
    if (ended === null) remove();
  };
}

/** nohup has a process ignore SIGHUP, which Node undoes as it starts. Shells name the program in this variable. */
function startedByNohup(): boolean {
  return basename(process.env._ ?? "") === "nohup";
}
