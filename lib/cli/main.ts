#!/usr/bin/env node
/**
 * The `nextpatch` command. Exit code 0: done; 1: failed; 2: wrong usage or configuration. It imports nothing of today's
 * JavaScript before it knows that this Node has it.
 */
import { isTooOld, thisMachine } from "../native/machine.js";
import { nodeProblem } from "../native/problems.js";

async function main(): Promise<void> {
  const machine = thisMachine();
  if (isTooOld(machine.node)) {
    process.stderr.write(`${nodeProblem(machine)}\n`);
    process.exitCode = 1;
    return;
  }
  if (!hasCurrentFolder()) {
    process.stderr.write(
      "nextpatch: expected a current folder but received one that was deleted; go to another (cd)\n",
    );
    process.exitCode = 1;
    return;
  }
  const { holdUserSignals } = await import("./user_signals.js");
  await holdUserSignals();
  await import("./program.js");
}

function hasCurrentFolder(): boolean {
  try {
    process.cwd();
    return true;
  } catch {
    return false;
  }
}

main();
