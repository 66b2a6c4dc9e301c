/**
 * Follows runs that are going on in headless Chromium, by the command: a part of `npm run test:browser`.
 *
 *     npx tsx test/watch/browser.ts [--screenshots DIR]
 *
 * One page is open while a run ends, another begins, trains and ends, and one with HTML in its name lies there. Fails on an
 * exception or a console error, on a request to elsewhere, on what is not shown, on a page that is wider than its window,
 * and if Ctrl-C does not end the command. Skipped if there is no Chromium.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Browser, chromium, type Page } from "playwright-core";
import { Trainer } from "../../lib/train/trainer.js";
import { findChromium } from "../support/chromium.js";
import { madeText } from "../support/made_lines.js";
import { madeConfig, writeMadeData } from "../support/made_run.js";

const { screenshots } = parseArgs({ options: { screenshots: { type: "string" } } }).values;

const views = [
  { name: "light", colorScheme: "light", width: 1280 },
  { name: "middle", colorScheme: "dark", width: 800 },
  { name: "narrow", colorScheme: "light", width: 400 },
  { name: "dark", colorScheme: "dark", width: 1280 },
] as const;

const evil = "<img src=x onerror=alert(1)>";
const problems: string[] = [];
const expected = (what: string, holds: boolean): void => {
  if (!holds) problems.push(`expected ${what}`);
};

/** Trains a run of thirty steps, each a tenth of a second at least. */
async function train(folder: string, name: string): Promise<void> {
  const config = madeConfig(folder, { name, out: join(folder, "runs", name), train: { steps: 30 } });
  await using trainer = await Trainer.open(config);
  for await (const { step } of trainer.run()) {
    await setTimeout(100);
    if (step === 10) await trainer.writeReport({ prompt: "Once", text: ` upon ${evil}` });
  }
}

/** The address that the command prints. */
async function addressOf(command: ChildProcess): Promise<string> {
  let text = "";
  for await (const part of command.stdout!) {
    text += part;
    const [address] = /http:\S+\/\n/.exec(text) ?? [];
    if (address !== undefined) return address.trim();
  }
  throw new Error("the command printed no address");
}

const cards = (page: Page) =>
  page.locator(".run").evaluateAll((all) => all.map(({ textContent }) => textContent ?? ""));
const until = (page: Page, text: string) => page.getByText(text).first().waitFor({ timeout: 30_000 });

/** Charts that are shown, and how many pixels of each have a run's colour or another. */
const drawn = (page: Page): Promise<number[]> =>
  page.locator("figure:not([hidden]) canvas").evaluateAll((all) =>
    (all as HTMLCanvasElement[]).map((canvas) => {
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      let coloured = 0;
      for (let at = 0; at < data.length; at += 4) {
        const rgb = [data[at]!, data[at + 1]!, data[at + 2]!];
        if (data[at + 3]! > 100 && Math.max(...rgb) - Math.min(...rgb) > 60) coloured++;
      }
      return coloured;
    }),
  );

async function follow(browser: Browser, url: string, folder: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.on("pageerror", (error) => problems.push(`exception: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    // Of this file's own looking at the pixels.
    if (!message.text().startsWith("Canvas2D:")) problems.push(`console: ${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => expected(`no request to ${request.url()}`, request.url().startsWith(url)));
  page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
  await page.goto(url);
  await until(page, "There is no run below this folder yet");

  const first = train(folder, "first");
  await until(page, "training");
  await until(page, "of 30");
  mkdirSync(join(folder, "runs", evil));
  writeFileSync(join(folder, "runs", evil, "metrics.jsonl"), `${madeText(1, 40)}not a line\n`);
  await first;
  await until(page, "finished");
  const second = train(folder, "deep/second");
  await until(page, "1 damaged line");
  await until(page, "deep/second");
  const before = await cards(page);
  expected(`three runs, not ${before}`, before.length === 3 && before.some((card) => card.includes(evil)));
  for (const axis of ["steps", "FLOP", "time", "tokens"]) {
    await page.getByText(axis, { exact: true }).first().click();
    await setTimeout(200);
    expected(
      `lines against ${axis}`,
      (await drawn(page)).every((pixels) => pixels > 30),
    );
  }
  await second;
  const card = page.locator(".run", { hasText: "deep/second" });
  await card.getByText("finished").waitFor({ timeout: 30_000 });
  expected("the texts as text", (await page.locator("#samples pre").first().textContent()) === `Once upon ${evil}`);
  expected("bars of two runs' time", (await page.locator(".bar").count()) === 2);
  await card.locator("input").uncheck();
  await setTimeout(200);
  expected("one bar less", (await page.locator(".bar").count()) === 1);
  await card.locator("input").check();
  for (const { name, colorScheme, width } of views) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await setTimeout(400);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expected(`a page of ${width} pixels, ${name}, not ${wide}`, wide <= width);
    expected(
      `all charts drawn, ${name}`,
      (await drawn(page)).every((pixels) => pixels > 30),
    );
    if (screenshots !== undefined) {
      await page.screenshot({ path: join(screenshots, `watch-${name}.png`), fullPage: true });
    }
  }
  return page;
}

async function main(): Promise<number> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    process.stdout.write("watch: skipped: chromium is not on the PATH (apt-get install chromium)\n");
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-watch-"));
  if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });
  mkdirSync(join(folder, "runs"));
  await writeMadeData(folder);
  const cli = fileURLToPath(new URL("../../lib/cli/main.ts", import.meta.url));
  const command = spawn(process.execPath, ["--import", "tsx", cli, "watch", join(folder, "runs")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let browser: Browser | undefined;
  try {
    browser = await chromium.launch({ executablePath });
    const page = await follow(browser, await addressOf(command), folder);
    const ended = once(command, "exit");
    page.removeAllListeners("console"); // the browser says that the stream is gone
    command.kill("SIGINT");
    const [code] = await ended;
    expected(`Ctrl-C to end the command with 0, not ${code}`, code === 0);
    await until(page, "no connection");
  } finally {
    command.kill("SIGKILL");
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  for (const problem of problems) process.stdout.write(`     ${problem}\n`);
  process.stdout.write(`watch: ${problems.length > 0 ? "FAILED" : "passed"}\n`);
  return problems.length > 0 ? 1 : 0;
}

process.exitCode = await main();
