/**
 * The script of the watch page, which runs in the reader's browser after `chartLibrary`. It keeps what the events say
 * (feed.ts) and shows it. Every text of a run gets into the page as text, never as HTML.
 */
export const pageScript = `
(() => {
  const at = Object.fromEntries(columns.map((name, index) => [name, index]));
  const find = (id) => document.getElementById(id);
  const colors = ["blue", "orange", "green", "purple", "red", "teal", "pink", "grey"];
  const runs = new Map(); // by id: { id, color, summary, rows, shown }
  let order = []; // ids, the newest first
  let taken = 0;

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const own = (element, color) => {
    element.style.setProperty("--own", "var(--" + color + ")");
    return element;
  };
  const duration = (seconds) => {
    if (!(seconds >= 0) || seconds > 1e9) return "";
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds % 60)];
    return h > 0 ? h + " h " + m + " min" : m > 0 ? m + " min " + s + " s" : s + " s";
  };

  // What the charts are drawn against.
  const axes = [
    { name: "tokens", label: "tokens", column: at.tokens },
    { name: "steps", label: "steps", column: at.step },
    { name: "FLOP", label: "FLOP", column: at.flops },
    { name: "time", label: "seconds of training", column: at.seconds },
  ];
  let axis = axes[0];
  for (const each of axes) {
    const input = make("input", { type: "radio", name: "axis", checked: each === axis });
    input.addEventListener("change", () => {
      axis = each;
      show();
    });
    find("against").append(make("label", {}, input, each.name));
  }

  const dimension = (name, title, more = {}) => ({ title, lines: [{ column: at[name] }], size: "small", height: 190, ...more });
  const charts = [
    dimension("valLoss", "Validation loss, nats per token", { size: "half", height: 300, dots: true }),
    dimension("loss", "Training loss, nats per token", { size: "half", height: 300 }),
    dimension("lr", "Learning rate"),
    dimension("tokensPerSecond", "Tokens per second"),
    dimension("gradNorm", "Gradient norm"),
    dimension("mfu", "MFU"),
    {
      title: "Memory, GiB",
      size: "wide",
      height: 190,
      lines: [
        { column: at.deviceBytes, of: "of the device", unit: 2 ** 30 },
        { column: at.processBytes, of: "of the process", unit: 2 ** 30, dashed: true },
      ],
    },
  ];
  for (const chart of charts) {
    chart.element = make("div", { className: "chart" });
    chart.figure = make("figure", { className: chart.size, hidden: true },
      make("figcaption", {}, make("h2", { textContent: chart.title })), chart.element);
    find("charts").append(chart.figure);
  }

  const shownRuns = () => order.map((id) => runs.get(id)).filter((run) => run?.shown);

  // One line of a run: its points in ascending order, each x once.
  const points = (run, column, unit = 1) => {
    const [x, y] = [[], []];
    for (const row of run.rows) {
      if (row[column] === null || row[axis.column] === null) continue;
      if (x.length > 0 && row[axis.column] <= x.at(-1)) continue;
      x.push(row[axis.column]);
      y.push(row[column] / unit);
    }
    return [x, y];
  };

  // Where each stage of a run begins.
  const boundaries = (run) => run.rows.flatMap((row, index) => {
    const before = run.rows[index - 1];
    if (before && before[at.stage] === row[at.stage]) return [];
    return [{ x: before ? before[axis.column] ?? 0 : 0, label: "K = " + row[at.patchSize], color: run.color }];
  });

  const chartOf = ({ lines, dots, height, size }, shown, marks) => {
    const drawn = shown.flatMap((run) => lines.map((line) => ({ run, line, table: points(run, line.column, line.unit) })))
      .filter(({ table: [x] }) => x.length > 0);
    if (drawn.length === 0) return null;
    const [x, ...values] = uPlot.join(drawn.map(({ table }) => table));
    const series = drawn.map(({ run, line }, index) => ({
      label: line.of ? run.name + ", " + line.of : run.name,
      color: run.color,
      values: values[index],
      dots: dots && drawn[index].table[0].length <= 60,
      dashed: line.dashed,
    }));
    return { xLabel: axis.label, x, series, height, marks: size === "half" ? marks
      : marks.map(({ x, color }) => ({ x, color, label: "" })) };
  };

  const draw = (shown) => {
    const marks = shown.flatMap((run) => {
      const own = boundaries(run);
      return own.length > 1 ? own : [];
    }).sort((a, b) => a.x - b.x);
    for (const chart of charts) {
      const next = chartOf(chart, shown, marks);
      const key = next && JSON.stringify([next.xLabel, next.series.map((each) => [each.label, each.color, each.dots])]);
      chart.figure.hidden = next === null;
      if (chart.drawn && key === chart.key) chart.drawn.update(next);
      else {
        chart.drawn?.destroy();
        chart.drawn = next && drawChart(chart.element, next);
        chart.key = key;
      }
    }
  };

  const words = ({ summary, rows }) => {
    const last = rows.at(-1);
    const { steps, damaged, state, evaluatedTokens } = summary;
    const damage = damaged > 0 ? damaged + (damaged === 1 ? " damaged line" : " damaged lines") : "";
    if (!last) return ["no step yet", damage].filter(Boolean).join(" · ");
    const evaluated = rows.findLast((row) => row[at.valLoss] !== null);
    const left = steps && state === "training" && last[at.step] > 0
      ? duration(last[at.seconds] / last[at.step] * (steps - last[at.step])) : "";
    const on = evaluatedTokens ? " on " + short(evaluatedTokens) + " tokens" : "";
    return [
      "step " + last[at.step] + (steps ? " of " + steps : ""),
      last[at.loss] === null ? "diverged" : "loss " + last[at.loss].toPrecision(3),
      evaluated ? "validation " + evaluated[at.valLoss].toPrecision(3) + on : "",
      last[at.tokensPerSecond] === null ? "" : short(+last[at.tokensPerSecond].toPrecision(3)) + " tokens/s",
      left && "about " + left + " left",
      damage,
    ].filter(Boolean).join(" · ");
  };

  const card = (run) => {
    const input = make("input", { type: "checkbox", checked: run.shown });
    input.addEventListener("change", () => {
      run.shown = input.checked;
      show();
    });
    run.parts = { name: make("b"), state: make("span"), bar: make("progress"), text: make("small") };
    const { name, state, bar, text } = run.parts;
    return own(make("label", { className: "run" }, input, name, state, bar, text), run.color);
  };

  const showCards = () => {
    for (const id of order) {
      const run = runs.get(id);
      run.card ??= card(run);
      const { name, state, bar, text } = run.parts;
      const { summary, rows } = run;
      name.textContent = run.name;
      run.card.title = [run.name, summary.device,
        summary.parameters && short(summary.parameters) + " parameters"].filter(Boolean).join("\\n");
      state.textContent = summary.state;
      state.className = "state " + summary.state;
      bar.max = summary.steps || 1;
      bar.value = summary.steps ? rows.at(-1)?.[at.step] ?? 0 : 0;
      text.textContent = words(run);
    }
    const cards = order.map((id) => runs.get(id).card);
    const box = find("runs");
    if (cards.some((each, index) => box.children[index] !== each) || box.children.length !== cards.length) {
      box.replaceChildren(...cards);
    }
    find("none").hidden = order.length > 0;
  };

  const partColors = { data: "orange", embedding: "teal", transformer: "blue", head: "purple", optimizer: "green",
    communication: "pink", idle: "grey" };
  const partColor = (part) => Object.hasOwn(partColors, part) ? partColors[part] : "red";
  const showTimes = (shown) => {
    const timed = shown.filter(({ summary }) => summary.time);
    const parts = [...new Set(timed.flatMap(({ summary }) => Object.keys(summary.time)))];
    const swatch = (color) => {
      const element = make("span", { className: "swatch" });
      element.style.background = "var(--" + color + ")";
      return element;
    };
    find("times").hidden = timed.length === 0;
    find("parts").replaceChildren(...parts.map((part) => make("span", {}, swatch(partColor(part)), part)));
    find("bars").replaceChildren(...timed.map(({ name, color, summary: { time } }) => {
      const whole = Object.values(time).reduce((sum, seconds) => sum + seconds, 0);
      const pieces = Object.entries(time).filter(([, seconds]) => seconds > 0).map(([part, seconds]) => {
        const percent = 100 * seconds / whole;
        const text = percent.toFixed(percent < 10 ? 1 : 0) + " %";
        const piece = make("i", { textContent: percent < 6 ? "" : text, title: part + ": " + text });
        piece.style.width = percent + "%";
        piece.style.background = "var(--" + partColor(part) + ")";
        return piece;
      });
      return make("div", { className: "bar" }, make("span", { title: name }, swatch(color), name), make("div", {}, ...pieces));
    }));
  };

  const showSamples = (shown) => {
    const texts = shown.flatMap((run) => run.summary.samples.toReversed().map((sample) => ({ run, ...sample })));
    const key = JSON.stringify(texts.map(({ run, step, prompt, text }) => [run.id, step, prompt, text]));
    if (key === showSamples.key) return; // what the reader has selected or scrolled stays
    showSamples.key = key;
    find("texts").hidden = texts.length === 0;
    find("samples").replaceChildren(...texts.flatMap(({ run, step, prompt, text }) => [
      make("h3", { textContent: run.name + ", after step " + step }),
      make("pre", {}, make("b", { textContent: prompt }), text),
    ]));
  };

  let waiting = false;
  const show = () => {
    if (waiting) return;
    waiting = true;
    // A page in the background gets no frames, and so draws nothing.
    requestAnimationFrame(() => {
      waiting = false;
      const shown = shownRuns();
      showCards();
      draw(shown);
      showTimes(shown);
      showSamples(shown);
    });
  };

  const forget = () => {
    for (const run of runs.values()) run.rows = [];
  };

  const take = ({ folder, ids, leftOut, runs: updates }) => {
    for (const { id, summary, keep, rows } of updates) {
      let run = runs.get(id);
      if (!run) {
        const color = colors[taken++ % colors.length];
        run = { id, color, rows: [], shown: [...runs.values()].filter((each) => each.shown).length < 6 };
        runs.set(id, run);
      }
      if (summary) run.summary = summary;
      run.rows.length = Math.min(run.rows.length, keep);
      run.rows.push(...rows);
      run.name = id === "." ? run.summary.name ?? "this folder" : id;
    }
    for (const id of runs.keys()) if (!ids.includes(id)) runs.delete(id);
    // A run stays where it is; new ones come first.
    order = [...ids.filter((id) => !order.includes(id)), ...order.filter((id) => runs.has(id))];
    find("folder").textContent = folder + (leftOut > 0 ? ": the latest " + ids.length + " of " + (ids.length + leftOut) : "");
    show();
  };

  const state = (className, text) => Object.assign(find("connection"), { className, textContent: text });
  const events = new EventSource("events");
  events.onopen = () => {
    forget(); // a new stream begins with everything
    state("live", "live");
  };
  events.onerror = () => state("lost", "no connection: nextpatch watch has ended");
  events.onmessage = ({ data }) => take(JSON.parse(data));
})();
`;
