/**
 * Makes docs/images/report.png, the README's picture, of the report of a quickstart that has been run:
 * `npm run quickstart && npm run report-picture [-- REPORT.html]`.
 *
 * The top of the report, in headless Chromium: its figures and the loss.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { findChromium } from "../test/support/chromium.js";
import { withPalette } from "./palette_png.js";

const [, , report = "runs/sotu-tiny/report.html"] = process.argv;
const executablePath = findChromium();
if (executablePath === undefined) throw new Error("expected chromium on the PATH (apt-get install chromium)");

const browser = await chromium.launch({ executablePath });
try {
  const page = await browser.newPage({ colorScheme: "light", viewport: { width: 1120, height: 900 } });
  await page.goto(pathToFileURL(resolve(report)).href);
  // The charts are drawn in a frame of their own.
  await page.evaluate(async () => {
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  });
  const note = await page.locator("figure .note").first().boundingBox();
  if (note === null) throw new Error(`${report}: expected a page with a chart and a note on it`);
  const height = Math.floor(note.y);
  const picture = await page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width: 1120, height } });
  const file = fileURLToPath(new URL("../docs/images/report.png", import.meta.url));
  const small = withPalette(picture, 24);
  writeFileSync(file, small);
  process.stdout.write(`${file}: ${picture.length} bytes, ${small.length} with a palette\n`);
} finally {
  await browser.close();
}
