/**
 * Opens the pages of a small comparison in headless Chromium, as a reader would: `npm run test:browser`.
 *
 *     npm run test:browser [-- --screenshots DIR]
 *
 * comparison.html and a run's report.html are opened from their files, light, dark, on a narrow screen and for print.
 * Fails on an exception or an error on the console, on any request but for the page itself, on a line of a chart that
 * was not drawn, and on a page that is wider than its window. Skipped where there is no Chromium.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { compare } from "../../lib/compare/compare.js";
import { tinyConfig, writeTinyData } from "../support/made_comparison.js";
import { Chromium } from "./devtools.js";
import { missingLines } from "./missing_lines.js";

const { screenshots } = parseArgs({ options: { screenshots: { type: "string" } } }).values;

/** What a page is looked at in. Print is from a dark screen, whose colours must not come along. */
const views = [
  { name: "light", media: "screen", scheme: "light", width: 1280 },
  { name: "dark", media: "screen", scheme: "dark", width: 1280 },
  { name: "narrow", media: "screen", scheme: "light", width: 400 },
  { name: "print", media: "print", scheme: "dark", width: 760 },
] as const;

/** Everything that is wrong with a page in a view. */
async function look(chromium: Chromium, file: string, view: (typeof views)[number]): Promise<string[]> {
  const url = pathToFileURL(file).href;
  const problems: string[] = [];
  let loaded = () => {};
  const load = new Promise<void>((resolve) => (loaded = resolve));
  const session = await chromium.open((method, params) => {
    if (method === "Page.loadEventFired") loaded();
    if (method === "Runtime.exceptionThrown") problems.push(`exception: ${JSON.stringify(params)}`);
    if (method === "Runtime.consoleAPICalled") problems.push(`console: ${JSON.stringify(params)}`);
    if (method === "Log.entryAdded") problems.push(`log: ${JSON.stringify(params)}`);
    if (method !== "Network.requestWillBeSent") return;
    const { request } = params as { request: { url: string } };
    if (request.url !== url && !request.url.startsWith("data:")) problems.push(`request: ${request.url}`);
  });
  const send = <T>(method: string, params = {}) => chromium.send<T>(method, params, session);
  for (const domain of ["Page", "Runtime", "Log", "Network"]) await send(`${domain}.enable`);
  const size = { width: view.width, height: 900, deviceScaleFactor: 1, mobile: false };
  await send("Emulation.setDeviceMetricsOverride", size);
  const features = [{ name: "prefers-color-scheme", value: view.scheme }];
  await send("Emulation.setEmulatedMedia", { features });
  await send("Page.navigate", { url });
  await load;
  // Print comes after the page was drawn for the screen, as when a reader prints it.
  if (view.media === "print") await send("Emulation.setEmulatedMedia", { media: "print", features });
  const expression = `(async () => {
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    return (${missingLines.toString()})();
  })()`;
  const evaluation = { expression, awaitPromise: true, returnByValue: true };
  const { result } = await send<{ result: { value?: string[] } }>("Runtime.evaluate", evaluation);
  problems.push(...(result.value ?? ["the page could not be looked at"]));
  if (screenshots !== undefined) {
    const { data } = await send<{ data: string }>("Page.captureScreenshot", { captureBeyondViewport: true });
    const name = file.endsWith("comparison.html") ? "comparison" : "report";
    writeFileSync(join(screenshots, `${name}-${view.name}.png`), Buffer.from(data, "base64"));
  }
  return problems;
}

async function main(): Promise<number> {
  try {
    execFileSync("chromium", ["--version"], { stdio: "ignore" });
  } catch {
    process.stdout.write("browser: skipped: chromium is not on the PATH (apt-get install chromium)\n");
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-browser-"));
  if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });
  const limit = setTimeout(() => {
    process.stderr.write("browser: FAILED: not done in 5 minutes\n");
    process.exit(1);
  }, 300_000);
  const chromium = new Chromium();
  let failed = 0;
  try {
    await writeTinyData(folder);
    const options = { equalCost: true, sweep: { patchSize: [2, 4], fraction: [0.5, 0.6667] } };
    const { files } = await compare(tinyConfig(folder, "cpu"), options);
    for (const file of [files.html, join(folder, "run/patch/report.html")]) {
      for (const view of views) {
        const problems = await look(chromium, file, view);
        if (problems.length > 0) failed++;
        process.stdout.write(
          `${problems.length > 0 ? "FAIL" : "ok  "} ${file.slice(folder.length + 1)}, ${view.name}\n`,
        );
        for (const problem of problems) process.stdout.write(`     ${problem}\n`);
      }
    }
  } finally {
    await chromium.close();
    clearTimeout(limit);
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`browser: ${failed > 0 ? `FAILED: ${failed} views` : "passed"}\n`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
