/** `nextpatch watch`: a page that follows all runs below a folder. */
import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { ConfigError } from "../errors.js";
import { WatchServer } from "../watch/server.js";
import { wholeNumber } from "./arguments.js";
import type { CliIo } from "./io.js";
import { manualPage } from "./manual.js";
import { onSignals } from "./signals.js";

export function registerWatch(program: Command, io: CliIo): void {
  program
    .command("watch")
    .description(
      "serve a page that follows all runs below a folder, for this machine alone, until Ctrl-C; " +
        `${manualPage("watching.md")} says how to see it from another one`,
    )
    .argument("[folder]", "folder that holds runs, at any depth", "runs")
    .option("--port <port>", "port of the page; 0: one that is free", wholeNumber(0, 65_535), 0)
    .action(async (folder: string, { port }: { readonly port: number }) => watch(folder, port, io));
}

async function watch(folder: string, port: number, io: CliIo): Promise<void> {
  const facts = await stat(folder).catch(() => null);
  if (!facts?.isDirectory()) {
    throw new ConfigError(
      `folder: expected a folder that holds runs but received ${folder}, which ${facts ? "is none" : "does not exist"}`,
    );
  }
  const server = await WatchServer.open(folder, port).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "EADDRINUSE" ? "which is in use" : cause.message;
    throw new ConfigError(`--port: expected a port that is free but received ${port}, ${reason}`, { cause });
  });
  io.result(`watching ${folder}: ${server.url}`, { folder, url: server.url });
  await new Promise<void>((resolve) => onSignals({ end: () => resolve() }));
  await server.close();
}
