/** What Open MPI's launcher says among the messages of its ranks: framed in lines of dashes. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const frame = /^-{40,}$/;
const killed = /process rank (\d+) with PID \d+ on node (\S+) exited on signal (\d+) \(([^)]+)\)/;
const forwarding = /^mpirun\S*: Forwarding signal \d+ to job$/;
/** What a rank says that misses another, while the launcher may know more of its end. */
const missed = /^nextpatch: .*; so all ranks end$/;
/** Milliseconds that such a line waits for the launcher's. */
const PATIENCE = 3000;
/** What it says of a rank that ended with an exit code: the rank has said why. */
const ended = /exited with non-zero status|returned\s+a non-zero exit code/;

/**
 * Passes on the lines of a launcher's standard error. A rank that was killed becomes one line, instead of that of the rank
 * that misses it; what is said of ranks that have told their error is left out; anything else comes as it is. Resolves at
 * the end.
 */
export async function passMessages(from: Readable, log: (message: string) => void): Promise<void> {
  let framed: string[] | null = null;
  let held: string | null = null;
  let known = false;
  const tell = (): void => {
    if (held !== null && !known) log(held);
    held = null;
  };
  for await (const line of createInterface({ input: from })) {
    if (forwarding.test(line)) continue;
    if (!frame.test(line)) {
      if (missed.test(line)) {
        tell();
        held = line;
        setTimeout(tell, PATIENCE).unref();
      } else if (framed === null) log(line);
      else framed.push(line);
      continue;
    }
    if (framed === null) {
      framed = [];
      continue;
    }
    const text = framed.join("\n");
    framed = null;
    const [, rank, host, signal, name] = killed.exec(text.replaceAll("\n", " ")) ?? [];
    if (rank !== undefined) {
      known = true;
      log(`nextpatch: rank ${rank} on ${host} was ended by signal ${signal} (${name}); so all have ended`);
    } else if (text.trim() !== "" && !ended.test(text)) log(text);
  }
  for (const each of framed ?? []) log(each);
  tell();
}
