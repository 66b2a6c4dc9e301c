/** Starts the built server, asks its route once and stops it. */
import { spawn } from "node:child_process";

const args = ["node_modules/next/dist/bin/next", "start", "--port", "0", "--hostname", "127.0.0.1"];
const server = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
let printed = "";
const address = await new Promise((resolve, reject) => {
  server.once("exit", () => reject(new Error(`the server ended: ${printed}`)));
  server.stdout.on("data", (text) => {
    printed += text;
    const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(printed) ?? [];
    if (found && /Ready/.test(printed)) resolve(found);
  });
});
const response = await fetch(`${address}/use`);
console.log(response.status, await response.text());
server.removeAllListeners("exit").kill();
