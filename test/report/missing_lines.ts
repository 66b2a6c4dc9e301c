/// <reference lib="dom" />
import type { Chart } from "../../lib/report/page.js";

/**
 * Finds chart lines that were not drawn or have another colour in the legend, and whether the page is wider than its
 * window. Runs in the browser from its source text, so it must be self-contained.
 *
 * A line counts as drawn if its colour is in at least a third of the plot's columns between its first and its last
 * point; other lines may cover the rest. For a line that leaves the chart at the top, a few columns are enough.
 */
export function missingLines(): string[] {
  const charts = JSON.parse(document.getElementById("charts")!.textContent!) as Chart[];
  const problems: string[] = [];
  charts.forEach(({ title, x, series, top }, index) => {
    const canvas = document.querySelector<HTMLCanvasElement>(`[data-chart="${index}"] canvas`);
    const plot = document.querySelector(`[data-chart="${index}"] .u-over`);
    if (!canvas || !plot) return problems.push(`${title}: no plot`);
    const [outer, inner] = [canvas.getBoundingClientRect(), plot.getBoundingClientRect()];
    const scale = canvas.width / outer.width;
    const [left, up] = [Math.round((inner.x - outer.x) * scale), Math.round((inner.y - outer.y) * scale)];
    const [width, height] = [Math.round(inner.width * scale), Math.round(inner.height * scale)];
    const { data } = canvas.getContext("2d")!.getImageData(left, up, width, height);
    const markers = document.querySelectorAll(`[data-chart="${index}"] .u-series .u-marker`);
    for (const [i, { label, color, values }] of series.entries()) {
      const points = x.filter((_, at) => values[at] !== null);
      if (points.length === 0) continue;
      const wanted = getComputedStyle(document.documentElement).getPropertyValue(`--${color}`).trim();
      const rgb = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
      let columns = 0;
      for (let column = 0; column < width; column++) {
        for (let row = 0; row < height; row++) {
          const at = 4 * (row * width + column);
          const away = rgb.reduce((sum, value, channel) => sum + Math.abs(value - data[at + channel]!), 0);
          if (data[at + 3]! < 100 || away > 24) continue;
          columns++;
          break;
        }
      }
      // The first entry of the legend is that of x.
      const marker = getComputedStyle(markers[i + 1]!).backgroundColor;
      if (marker !== `rgb(${rgb.join(", ")})`) problems.push(`${title}: ${label}: is ${marker} in the legend`);
      const share = (points.at(-1)! - points[0]!) / (x.at(-1)! - x[0]! || 1);
      const least = top === undefined ? Math.max(1, Math.floor((share * width) / 3)) : 1;
      if (columns < least) problems.push(`${title}: ${label} (${wanted}): ${columns} columns, expected ${least}`);
    }
  });
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) problems.push(`the page is ${scrollWidth} pixels wide in ${clientWidth}`);
  return problems;
}
