import { isatty } from "node:tty";
import { Bar, type Screen } from "./bar.js";
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
  /**
   * @param note parts with " | " between them, the most important first
   * @param extra more parts, shown where there is room
   */
  update(done: number, total: number, note?: string, extra?: readonly string[]): void;
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
  const bar = new Bar(screen(messages));
  const message = (text: string): void => bar.above(() => messages.print(text));
  return {
    get json() {
      return json();
    },
    log: (text) => message(`${text}\n`),
    result: (human, object) => output(`${json() ? JSON.stringify(object) : human}\n`),
    get stream() {
      return json() || !isatty(process.stdout.fd) ? null : output;
    },
    progress: (label) => (isatty(process.stderr.fd) ? barProgress(label, bar) : lines(label, message)),
    message,
    output,
    finish: () => results.finish(),
    close: () => messages.finish(),
  };
}

/** The terminal's width and colours: Node heeds NO_COLOR, FORCE_COLOR and TERM. */
function screen(messages: Messages): Screen {
  const { stderr } = process;
  return {
    get columns() {
      return stderr.columns || 80;
    },
    coloured: isatty(stderr.fd) && stderr.hasColors(),
    draw: (text) => messages.draw(text),
  };
}

function barProgress(label: string, bar: Bar): Progress {
  return {
    update: (done, total, note = "", extra = []) =>
      bar.update({ label, done, total, note: note === "" ? [] : note.split(" | "), extra }),
    stop: () => bar.stop(),
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
    update(done, total, note = "", extra = []) {
      const said = note === "" ? "" : `, ${[note, ...extra].join(" | ")}`;
      latest = `${label}: ${Math.floor((100 * done) / total)}%${said}`;
      const now = performance.now();
      if (now - last < lineInterval * 1000) return;
      last = now;
      show();
    },
    stop: show,
  };
}
