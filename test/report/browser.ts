/**
 * Opens the pages of a small comparison in headless Chromium, as a reader would: `npm run test:browser`.
 *
 *     npm run test:browser [-- --screenshots DIR]
 *
 * comparison.html and a run's report.html are opened from their files, light, dark, on a narrow screen and for print.
 * Fails on an exception or a console error, on any request except for the page, on a chart line that was not drawn, and
 * on a page that is wider than its window. Skipped if there is no Chromium.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Browser, chromium } from "playwright-core";
import { compare } from "../../lib/compare/compare.js";
import { findChromium } from "../support/chromium.js";
import { tinyConfig, tinyModel, writeTinyData } from "../support/made_comparison.js";
import { missingLines } from "./missing_lines.js";

const { screenshots } = parseArgs({ options: { screenshots: { type: "string" } } }).values;

/** The ways a page is looked at. Print starts from a dark screen, whose colours must not stay. */
const views = [
  { name: "light", media: "screen", colorScheme: "light", width: 1280 },
  { name: "dark", media: "screen", colorScheme: "dark", width: 1280 },
  { name: "narrow", media: "screen", colorScheme: "light", width: 400 },
  { name: "print", media: "print", colorScheme: "dark", width: 760 },
] as const;

/** Everything that is wrong with a page in a view. */
async function look(browser: Browser, file: string, view: (typeof views)[number]): Promise<string[]> {
  const url = pathToFileURL(file).href;
  const problems: string[] = [];
  const page = await browser.newPage({
    colorScheme: view.colorScheme,
    viewport: { width: view.width, height: 900 },
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.stack ?? error.message}`));
  page.on("console", (message) => problems.push(`console: ${message.type()}: ${message.text()}`));
  page.on("crash", () => problems.push("the page crashed"));
  // Requests for data: URLs are not reported.
  page.on("request", (request) => {
    if (request.url() !== url) problems.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  // Print comes after the page was drawn for the screen, as when a reader prints it.
  await page.emulateMedia({ media: view.media });
  await page.evaluate(async () => {
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  });
  problems.push(...(await page.evaluate(missingLines)));
  if (screenshots !== undefined) {
    const name = file.endsWith("comparison.html") ? "comparison" : "report";
    await page.screenshot({ path: join(screenshots, `${name}-${view.name}.png`), fullPage: true });
  }
  await page.close();
  return problems;
}

async function main(): Promise<number> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    process.stdout.write("browser: skipped: chromium is not on the PATH (apt-get install chromium)\n");
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-browser-"));
  if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });
  const limit = setTimeout(() => {
    process.stderr.write("browser: FAILED: not done in 5 minutes\n");
    process.exit(1);
  }, 300_000);
  let browser: Browser | undefined;
  let failed = 0;
  try {
    browser = await chromium.launch({ executablePath });
    await writeTinyData(folder);
    const sweep = { patchSize: [2, 4], fraction: [0.5, 0.6667] };
    const recipes = ["paper", "superposition"] as const;
    const options = { recipes, seeds: [1, 2], tune: { lr: [0.05, 0.1] }, sweep };
    // Layers enough for a line, and steps long enough that some neurons are active and the runs' lines lie apart.
    const changes = { model: { ...tinyModel, num_hidden_layers: 3 }, optimizer: { lr: 0.1 } };
    const { files, report } = await compare(tinyConfig(folder, "cpu", changes), options);
    for (const file of [files.html, join(report.plan.patch.config.out, "report.html")]) {
      for (const view of views) {
        const problems = await look(browser, file, view);
        if (problems.length > 0) failed++;
        process.stdout.write(
          `${problems.length > 0 ? "FAIL" : "ok  "} ${file.slice(folder.length + 1)}, ${view.name}\n`,
        );
        for (const problem of problems) process.stdout.write(`     ${problem}\n`);
      }
    }
  } finally {
    await browser?.close();
    clearTimeout(limit);
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`browser: ${failed > 0 ? `FAILED: ${failed} views` : "passed"}\n`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
