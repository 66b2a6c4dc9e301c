import { isatty } from "node:tty";
import cliProgress from "cli-progress";
import { Messages, Results } from "./output.js";

/** A command's output: the result on stdout, everything else on stderr. Nothing of it throws. */
export interface CliIo {
  /** A line on stderr; dropped if it cannot be written. */
  log(message: string): void;
  /** The result: with --json the object on stdout, else the text. */
  result(human: string, json: object): void;
  /** A part of the result as it comes, for people at a terminal; null if it is for others. */
  readonly stream: ((text: string) => void) | null;
  /** A bar if stderr is a terminal, else a plain line now and then. */
  progress(label: string): Progress;
  /** Whether --json was given. */
  readonly json: boolean;
}

export interface Progress {
  update(done: number, total: number, note?: string): void;
  stop(): void;
}

/** The output of a rank that another one speaks for. */
export const silent: CliIo = {
  log: () => undefined,
  result: () => undefined,
  stream: null,
  progress: () => ({ update: () => undefined, stop: () => undefined }),
  json: false,
};

/** Seconds between plain progress lines. */
const lineInterval = 5;

/** The output of a process. */
export interface ProcessIo extends CliIo {
  /** Text on stderr. */
  message(text: string): void;
  /** Text on stdout. */
  output(text: string): void;
  /** Waits until the result is written. @throws Error if it could not be */
  finish(): Promise<void>;
  /** Waits a little for who reads the messages. */
  close(): Promise<void>;
}

/** @param json whether --json was given; called when needed, since flags are parsed later */
export function createIo(json: () => boolean): ProcessIo {
  const messages = new Messages(process.stderr.fd);
  process.stderr.on("error", (error) => messages.dropped(error)); // of a bar, on a terminal that was closed
  const results = new Results(process.stdout.fd);
  const output = (text: string): void => results.print(text);
  const message = (text: string): void => messages.print(text);
  return {
    get json() {
      return json();
    },
    log: (text) => message(`${text}\n`),
    result: (human, object) => output(`${json() ? JSON.stringify(object) : human}\n`),
    get stream() {
      return json() || !isatty(process.stdout.fd) ? null : output;
    },
    progress: (label) => (isatty(process.stderr.fd) ? bar(label) : lines(label, message)),
    message,
    output,
    finish: () => results.finish(),
    close: () => messages.finish(),
  };
}

function bar(label: string): Progress {
  const view = new cliProgress.SingleBar(
    {
      format: `${label} {bar} {percentage}% {note}`,
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
      clearOnComplete: false,
    },
    cliProgress.Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total, note = "") {
      if (!started) view.start(total, done, { note });
      else view.update(done, { note });
      started = true;
      view.setTotal(total);
    },
    stop() {
      if (started) view.stop();
      started = false;
    },
  };
}

function lines(label: string, print: (text: string) => void): Progress {
  let last = performance.now();
  let latest = "";
  let shown = "";
  const show = (): void => {
    if (latest !== shown) print(`${latest}\n`);
    shown = latest;
  };
  return {
    update(done, total, note = "") {
      latest = `${label}: ${Math.floor((100 * done) / total)}%${note ? `, ${note}` : ""}`;
      const now = performance.now();
      if (now - last < lineInterval * 1000) return;
      last = now;
      show();
    },
    stop: show,
  };
}
