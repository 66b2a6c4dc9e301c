import cliProgress from "cli-progress";

/** A command's output: the result on stdout, everything else on stderr. */
export interface CliIo {
  /** A line on stderr. */
  log(message: string): void;
  /** The result: with --json the object on stdout, else the text. */
  result(human: string, json: object): void;
  /** A bar if stderr is a terminal, else a plain line now and then. */
  progress(label: string): Progress;
  /** Whether --json was given. */
  readonly json: boolean;
}

export interface Progress {
  update(done: number, total: number, note?: string): void;
  stop(): void;
}

/** Seconds between plain progress lines. */
const lineInterval = 5;

/** @param json whether --json was given; called when needed, since flags are parsed later */
export function createIo(json: () => boolean): CliIo {
  return {
    get json() {
      return json();
    },
    log: (message) => void process.stderr.write(`${message}\n`),
    result: (human, object) => void process.stdout.write(`${json() ? JSON.stringify(object) : human}\n`),
    progress: (label) => (process.stderr.isTTY ? bar(label) : lines(label)),
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

function lines(label: string): Progress {
  let last = performance.now();
  let latest = "";
  let shown = "";
  const show = (): void => {
    if (latest !== shown) process.stderr.write(`${latest}\n`);
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
