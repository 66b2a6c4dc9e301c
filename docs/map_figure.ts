/** The map as a picture: docs/images/map.svg, drawn by `npm run docs`. */
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { formatCount } from "../lib/report/format.js";
import { mapPoints, publishedPoints } from "./map.js";

interface Mark {
  readonly series: string;
  readonly tokensPerParameter: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}

function marks(): Mark[] {
  const own = mapPoints().map(({ parameters, recipe, tokensPerParameter, difference, paired }) => ({
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
  const spec: TopLevelSpec = {
    width: 560,
    height: 320,
    background: "white",
    data: { values: marks() },
    layer: [
      { mark: { type: "rule", color: "#888", strokeDash: [4, 3] }, encoding: { y: { datum: 0 } } },
      {
        mark: { type: "rule", strokeWidth: 1.5 },
        encoding: { x, y: { field: "low", type: "quantitative" }, y2: { field: "high" }, color },
      },
      {
        mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: {
          x,
          y: { field: "difference", type: "quantitative", title: "nats a token from token-level, equal cost" },
          color,
          shape: color,
        },
      },
    ],
    config: {
      font: "system-ui, sans-serif",
      legend: { orient: "bottom", columns: 1, labelLimit: 520, labelFontSize: 12 },
      axis: { labelFontSize: 12, titleFontSize: 12, gridColor: "#eee" },
    },
  };
  return new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}
