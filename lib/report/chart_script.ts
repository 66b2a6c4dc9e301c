/**
 * Scripts that draw charts with uPlot. They run in the reader's browser, so here they are strings.
 *
 * `chartLibrary` defines `drawChart(element, chart)` for a chart as in page.ts, and `redrawCharts()` for a change of
 * colours. What `drawChart` returns has `update(chart)`, for a chart of the same series with other values.
 */
export const chartLibrary = `
const { drawChart, redrawCharts, short } = (() => {
  const root = document.documentElement;
  // Read when drawn, so that a change of the colour scheme needs a redraw and nothing else.
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const font = "12px system-ui, sans-serif";
  const plots = new Set();

  const short = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 1e-3) return value.toExponential(1).replace(".0e", "e");
    if (size < 1000) return String(+value.toPrecision(4));
    const power = Math.min(7, Math.floor(Math.log10(size) / 3));
    return +(value / 1000 ** power).toPrecision(4) + " " + " kMGTPEZ"[power];
  };
  const exact = (value) => {
    if (value == null) return "";
    return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(3) : short(value);
  };
  const padded = (low, high) => low === null ? [0, 1] : uPlot.rangeNum(low, high, 0.12, true);
  // What the reader zooms into may lie above the top altogether.
  const range = (top) => (_, low, high) =>
    top === undefined || !(low < top) ? padded(low, high) : [padded(low, top)[0], top];

  // Every label is drawn: where its stage is too short for it, it stands lower, so that it covers no other.
  const drawMarks = (state) => (u) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    const end = bbox.left + bbox.width;
    const line = 16 * ratio;
    const labels = [];
    const rowEnds = [];
    ctx.save();
    ctx.font = 12 * ratio + "px system-ui, sans-serif";
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    state.chart.marks.forEach(({ x, label, color: name = "muted" }, index, marks) => {
      // What begins left of the plot, or of what is zoomed into, is labelled at the plot's edge, unless it has ended.
      const left = Math.max(bbox.left, u.valToPos(x, "x", true));
      const next = marks.slice(index + 1).find((mark) => mark.color === marks[index].color);
      if (left > end || (next && u.valToPos(next.x, "x", true) <= bbox.left)) return;
      ctx.strokeStyle = color(name);
      if (left > bbox.left) {
        ctx.beginPath();
        ctx.moveTo(left, bbox.top);
        ctx.lineTo(left, bbox.top + bbox.height);
        ctx.stroke();
      }
      if (label) labels.push({ left, label, name });
    });
    for (const { left, label, name } of labels) {
      const width = ctx.measureText(label).width;
      const at = Math.min(left + 6 * ratio, end - width - 2 * ratio);
      let row = rowEnds.findIndex((rowEnd) => rowEnd < at);
      if (row === -1) row = rowEnds.length;
      rowEnds[row] = at + width + 8 * ratio;
      const top = bbox.top + 4 * ratio + row * line;
      ctx.globalAlpha = 0.8;
      ctx.fillStyle = color("background");
      ctx.fillRect(at - 2 * ratio, top - ratio, width + 4 * ratio, line - ratio);
      ctx.globalAlpha = 1;
      ctx.fillStyle = color(name);
      ctx.fillText(label, at, top);
    }
    ctx.restore();
  };

  const axis = (label, values) => ({
    label, font, labelFont: font, labelSize: label === undefined ? 0 : 22, values,
    stroke: () => color("muted"),
    grid: { stroke: () => color("grid"), width: 1 },
    ticks: { stroke: () => color("grid"), width: 1 },
  });
  const dataOf = ({ x, series }) => [x, ...series.map(({ values }) => values)];

  const drawChart = (element, chart) => {
    const state = { chart };
    const line = (series) => ({
      label: series.label,
      stroke: () => color(series.color),
      width: series.dots ? 2 : 1.25,
      dash: series.dashed ? [6, 4] : undefined,
      spanGaps: true,
      points: { show: series.dots === true, size: 6, fill: () => color(series.color) },
      value: (_, value) => exact(value),
    });
    const options = {
      width: element.clientWidth,
      height: chart.height,
      scales: { x: { time: false }, y: { range: range(chart.top) } },
      axes: [
        {
          ...axis(chart.xLabel, (_, ticks) => ticks.map(short)),
          size: 32,
          ...(chart.wholeX ? { incrs: [1, 2, 5, 10, 20, 50, 100] } : {}),
        },
        { ...axis(chart.yLabel, (_, ticks) => ticks.map(short)), size: 64 },
      ],
      series: [{ label: chart.xLabel, value: (_, value) => exact(value) }, ...chart.series.map(line)],
      // Charts over the same quantity share the cursor.
      cursor: { sync: { key: chart.xLabel, scales: ["x", null] }, drag: { x: true, y: false } },
      // By the colour's name: the legend is made once, in whatever colour scheme.
      legend: { live: true, markers: { width: 0, fill: (_, i) => "var(--" + chart.series[i - 1].color + ")" } },
      hooks: { draw: [drawMarks(state)] },
    };
    const plot = new uPlot(options, dataOf(chart), element);
    plots.add(plot);
    const observer = new ResizeObserver(() => {
      if (element.clientWidth !== plot.width) plot.setSize({ width: element.clientWidth, height: chart.height });
    });
    observer.observe(element);
    return {
      update(next) {
        const { min, max } = plot.scales.x;
        const [x] = plot.data;
        const zoomed = min > x[0] || max < x.at(-1);
        state.chart = next;
        plot.batch(() => {
          plot.setData(dataOf(next), !zoomed);
          if (zoomed) plot.setScale("x", { min, max });
        });
      },
      destroy() {
        observer.disconnect();
        plots.delete(plot);
        plot.destroy();
      },
    };
  };

  const redrawCharts = () => plots.forEach((plot) => plot.redraw(false));
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", redrawCharts);
  }
  return { drawChart, redrawCharts, short };
})();
`;

/** The script of a page: draws each chart of `#charts` (JSON, see page.ts) into its element. */
export const chartScript = `${chartLibrary}
JSON.parse(document.getElementById("charts").textContent).forEach((chart, index) => {
  drawChart(document.querySelector('[data-chart="' + index + '"]'), chart);
});
`;
