/** Standard streams that are lost or full. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import type { Fault } from "../fault.js";
import type { Place } from "../place.js";

/** Commands that print messages and a result; with what they need, in the order in which they are run. */
const commands = [
  ["prepare", "lines.txt", "--out", "data", "--train-tokenizer", "270", "--val-fraction", "0.1"],
  ["train", "config.json", "--set", "out=run", "--set", "train.steps=12"],
  ["eval", "--model", "run/model", "--data", "val.bin"],
  ["export", "--model", "run/model", "--format", "hf", "--out", "exported"],
  ["compare", "config.json", "--set", "out=compared", "--set", "train.steps=12"],
  ["info"],
] as const;

async function tryAll(place: Place, redirection: string, expected: number): Promise<string> {
  await place.bash('for i in $(seq 200); do echo "Line $i of a small text."; done >lines.txt').ended;
  let said = "";
  for (const command of commands) {
    const { stdout, stderr } = await place.bash(`nextpatch ${command.join(" ")} --json ${redirection}; echo $?`).ended;
    match(stdout, new RegExp(`(^|\\n)${expected}\\n$`), `${command[0]}: ${stdout}${stderr}`);
    said += stderr;
  }
  return said;
}

export const streams: readonly Fault[] = [
  {
    name: "messages-full",
    fault: "standard error on a full disk",
    tried: "every command with `2>/dev/full`",
    happens: "messages are dropped, the work is done, exit code 0",
    run: async (place) => {
      await tryAll(place, "2>/dev/full", 0);
      await place.bash("nextpatch train config.json --set out=whole 2>/dev/full").ended;
      await place.checkFinished("whole");
      return undefined;
    },
  },
  {
    name: "messages-unread",
    fault: "the reader of the messages has ended (`2>&1 | head`)",
    tried: "every command with a pipe as standard error whose reader ends at once",
    happens: "the same",
    run: async (place) => {
      await tryAll(place, "2> >(true)", 0);
      const { stdout } = await place.bash(
        "{ nextpatch train config.json --set out=whole; echo $? >code; } 2>&1 | head -n 1; cat code",
      ).ended;
      // Its result went to the lost pipe as well.
      match(stdout, /\n1\n$/);
      await place.checkFinished("whole");
      return undefined;
    },
  },
  {
    name: "messages-stalled",
    fault: "the reader of the messages stands still",
    tried: "training with a full pipe as standard error, which is read at the end",
    happens: "training does not wait; 64 KiB of messages are kept until they are read, of more the number",
    run: async (place) => {
      execFileSync("mkfifo", [place.path("pipe")]);
      const pipe = openSync(place.path("pipe"), constants.O_RDWR | constants.O_NONBLOCK);
      try {
        for (;;) writeSync(pipe, "x".repeat(4096));
      } catch {} // it is full
      const writer = openSync(place.path("pipe"), "w");
      const { child, ended } = place.start(["train", "config.json", "--set", "out=run"], ["ignore", "pipe", writer]);
      await place.steps("run", 200);
      const bytes = Buffer.alloc(2 ** 20);
      readSync(pipe, bytes);
      child.kill("SIGUSR1"); // has it say something
      const { code, stdout } = await ended;
      closeSync(writer);
      const text = bytes.toString("utf8", 0, readSync(pipe, bytes));
      closeSync(pipe);
      ok(code === 0 && stdout !== "");
      match(text, /M parameters; K = 4 for [\s\S]*\nSIGUSR1: saving a checkpoint after this step\n[\s\S]*train: 100%/);
      await place.checkFinished("run");
      return undefined;
    },
  },
  {
    name: "log-full",
    fault: "the disk of the log is full, and has room again",
    tried: "training with a log on a full file system in memory, from which something is deleted later",
    happens: "training goes on, and the log too, with what was kept meanwhile",
    run: async (place) => {
      // A namespace of its own may mount one.
      const { child, ended } = place.bash(
        "exec unshare -rm bash -c 'mount -t tmpfs -o size=64k none /mnt && head -c 64k /dev/zero >/mnt/filler && " +
          `{ "${process.execPath}" "${place.built.main}" train config.json --set out=run --json 2>/mnt/log & pid=$!; ` +
          "until [ -s run/latest ]; do sleep 0.02; done; cat /mnt/log; rm /mnt/filler; kill -USR1 $pid; wait $pid; " +
          "echo $?; cat /mnt/log; }'",
      );
      const { stdout, stderr } = await ended;
      ok(child.exitCode === 0, stderr);
      match(
        stdout,
        /^\{"run":"run".*\n0\n[\s\S]*M parameters; K = 4 for [\s\S]*\nSIGUSR1: saving a checkpoint after this step\n/,
      );
      await place.checkFinished("run");
      return undefined;
    },
  },
  {
    name: "result-full",
    fault: "standard output on a full disk",
    tried: "every command with `>/dev/full`",
    happens: "the work is done, the failure is named, exit code 1",
    run: async (place) => {
      const said = await tryAll(place, ">/dev/full", 1);
      const full =
        "nextpatch: the result could not be written to standard output: ENOSPC: no space left on device, write";
      deepStrictEqual(said.split("\n").filter((line) => line === full).length, commands.length);
      return undefined;
    },
  },
  {
    name: "result-unread",
    fault: "the reader of the result has ended",
    tried: "every command with a pipe as standard output whose reader ends at once",
    happens: "the same",
    run: async (place) => {
      await tryAll(place, "> >(true)", 1);
      return undefined;
    },
  },
  {
    name: "out-full",
    fault: "`--out` on a full disk",
    tried: "`eval --tasks --out /dev/full`",
    happens: "the file is named, exit code 1",
    run: async (place) => {
      await tryAll(place, "", 0);
      const item = JSON.stringify({ query: "Line", choices: [" 1 of", " 2 of"], gold: 0 });
      const data =
        "--set data.train=data/train_000000.bin --set data.val=data/val_000000.bin --set model.vocab_size=270";
      const { code, stderr } = await place.bash(
        `nextpatch train config.json --set out=text --set train.steps=2 ${data} && echo '${item}' >items.jsonl && ` +
          "nextpatch eval --model text/model --tasks items.jsonl --out /dev/full",
      ).ended;
      match(stderr, /\nnextpatch: \/dev\/full: ENOSPC: no space left on device, write\n$/);
      deepStrictEqual(code, 1);
      return undefined;
    },
  },
];
