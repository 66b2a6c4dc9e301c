/** The map as a picture: docs/images/map.svg, drawn by `npm run docs`. */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { formatCount } from "../lib/report/format.js";
import { type MapPoint, mapPoints, publishedPoints } from "./map.js";

/** How far apart points of one cell stand. */
const sideways = 1.05;

/** What is beyond the points by more, of intervals, is cut off. */
const margin = 0.2;

interface Mark {
  readonly series: string;
  readonly tokensPerParameter: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}

/** Of a recipe with fresh seeds these alone, and the points of a cell side by side: their own places coincide. */
function ownPoints(): MapPoint[] {
  const all = mapPoints();
  const shown = all.filter(
    (point) =>
      point.fresh || !all.some((other) => other.fresh && other.cell === point.cell && other.recipe === point.recipe),
  );
  return shown.map((point) => {
    const place = shown.filter(({ cell }) => cell === point.cell).indexOf(point);
    return { ...point, tokensPerParameter: point.tokensPerParameter * sideways ** place };
  });
}

function marks(): Mark[] {
  const own = ownPoints().map(({ parameters, recipe, tokensPerParameter, difference, paired }) => ({
    series: `${formatCount(parameters)} parameters, ${recipe}`,
    tokensPerParameter,
    difference,
    low: paired?.low ?? difference,
    high: paired?.high ?? difference,
  }));
  const published = publishedPoints.map(({ tokensPerParameter, difference }) => ({
    series: "370 M parameters, the paper's own figures (K = 4)",
    tokensPerParameter,
    difference,
    low: difference,
    high: difference,
  }));
  return [...own, ...published];
}

export function mapFigure(): Promise<string> {
  const x = {
    field: "tokensPerParameter",
    type: "quantitative" as const,
    scale: { type: "log" as const, nice: true },
    title: "tokens a parameter (of the token-level run)",
  };
  const color = { field: "series", type: "nominal" as const, title: null, sort: null };
  const values = marks();
  const differences = values.map(({ difference }) => difference);
  const scale = { domain: [Math.min(...differences) - margin, Math.max(...differences, 0) + margin] };
  const title = "nats a token from token-level, equal cost";
  const spec: TopLevelSpec = {
    width: 560,
    height: 320,
    background: "white",
    data: { values },
    layer: [
      { mark: { type: "rule", color: "#888", strokeDash: [4, 3] }, encoding: { y: { datum: 0 } } },
      {
        mark: { type: "rule", strokeWidth: 1.5, clip: true },
        encoding: { x, y: { field: "low", type: "quantitative", scale, title }, y2: { field: "high" }, color },
      },
      {
        mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: {
          x,
          y: { field: "difference", type: "quantitative", scale, title },
          color,
          shape: color,
        },
      },
    ],
    config: {
      font: "system-ui, sans-serif",
      legend: { orient: "bottom", columns: 1, labelLimit: 640, labelFontSize: 12 },
      axis: { labelFontSize: 12, titleFontSize: 12, gridColor: "#eee" },
    },
  };
  return new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}
