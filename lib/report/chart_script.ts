/**
 * The script of a page: draws each chart of `#charts` (JSON, see page.ts) into its element with uPlot. It runs in the
 * reader's browser, so here it is a string.
 */
export const chartScript = `
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const root = document.documentElement;
  // Read when drawn, so that a change of the colour scheme needs a redraw and nothing else.
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const font = "12px system-ui, sans-serif";

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
  const range = ({ top }) => (_, low, high) =>
    top === undefined || !(low < top) ? padded(low, high) : [padded(low, top)[0], top];

  const drawMarks = (marks) => (u) => {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = 12 * ratio + "px system-ui, sans-serif";
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    marks.forEach(({ x, label, color: name = "muted" }, index) => {
      ctx.fillStyle = ctx.strokeStyle = color(name);
      // What begins left of the plot, or of what is zoomed into, is labelled at the plot's edge.
      const left = Math.max(bbox.left, u.valToPos(x, "x", true));
      const end = bbox.left + bbox.width;
      const next = index + 1 < marks.length ? Math.min(end, u.valToPos(marks[index + 1].x, "x", true)) : end;
      if (left > end) return;
      if (left > bbox.left) {
        ctx.beginPath();
        ctx.moveTo(left, bbox.top);
        ctx.lineTo(left, bbox.top + bbox.height);
        ctx.stroke();
      }
      const fits = ctx.measureText(label).width + 10 * ratio < next - left;
      if (fits) ctx.fillText(label, left + 6 * ratio, bbox.top + 4 * ratio);
    });
    ctx.restore();
  };

  const axis = (label, values) => ({
    label, font, labelFont: font, labelSize: 22, values,
    stroke: () => color("muted"),
    grid: { stroke: () => color("grid"), width: 1 },
    ticks: { stroke: () => color("grid"), width: 1 },
  });

  const plots = charts.map((chart, index) => {
    const element = document.querySelector('[data-chart="' + index + '"]');
    const line = (series) => ({
      label: series.label,
      stroke: () => color(series.color),
      width: series.dots ? 2 : 1.25,
      spanGaps: true,
      points: { show: series.dots === true, size: 6, fill: () => color(series.color) },
      value: (_, value) => exact(value),
    });
    const options = {
      width: element.clientWidth,
      height: chart.height,
      scales: { x: { time: false }, y: { range: range(chart) } },
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
      hooks: { draw: [drawMarks(chart.marks)] },
    };
    const plot = new uPlot(options, [chart.x, ...chart.series.map(({ values }) => values)], element);
    new ResizeObserver(() => {
      if (element.clientWidth !== plot.width) plot.setSize({ width: element.clientWidth, height: chart.height });
    }).observe(element);
    return plot;
  });

  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", () => plots.forEach((plot) => plot.redraw(false)));
  }
})();
`;
