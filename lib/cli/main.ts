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
  const { holdUserSignals } = await import("./user_signals.js");
  await holdUserSignals();
  await import("./program.js");
}

main();
