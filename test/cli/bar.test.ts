/** The progress bar: what it shows at any width, and that other text leaves no trace of it. */
import { describe, expect, it } from "@jest/globals";
import { Bar, type BarState, barLine } from "../../lib/cli/bar.js";

const state: BarState = {
  label: "train",
  done: 30,
  total: 120,
  note: ["step 30/120", "K 4", "loss 4.512", "12,345 tokens/s", "ETA 1 min 20 s"],
  extra: ["lr 3.00e-4", "norm 0.512", "0.41 GiB", "MFU 47%"],
};
const note = state.note.join(" | ");

describe("the line of a bar", () => {
  it.each([
    [160, `train ██████░░░░░░░░░░░░░░░░░░ 25% ${note} | lr 3.00e-4 | norm 0.512 | 0.41 GiB | MFU 47%`],
    [130, `train ██████░░░░░░░░░░░░░░░░░░ 25% ${note} | lr 3.00e-4 | norm 0.512`],
    [101, `train ██████░░░░░░░░░░░░░░░░ 25% ${note}`],
    [84, `train █░░░░ 25% ${note}`],
    [78, `train 25% ${note}`],
    [61, "train 25% step 30/120 | K 4 | loss 4.512 | 12,345 tokens/s"],
    [40, "train 25% step 30/120 | K 4"],
    [12, "train 25%"],
  ])("of %i columns: the bar shrinks before a text is left out", (columns, line) => {
    expect(barLine(state, columns, false)).toBe(line);
  });

  it("leaves three columns free, and is nowhere longer", () => {
    for (let columns = 4; columns < 200; columns++) {
      for (const done of [0, 1, 60, 120, 500]) {
        expect(barLine({ ...state, done }, columns, false).length).toBeLessThanOrEqual(columns - 3);
      }
    }
  });

  it("is coloured where that is wanted, by codes that take no room", () => {
    const coloured = barLine(state, 160, true);
    expect(coloured).toContain("\u001b[36m██████\u001b[0m");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    expect(coloured.replace(/\u001b\[\d+m/g, "")).toBe(barLine(state, 160, false));
  });
});

describe("a bar", () => {
  it("is cleared before other text and drawn again below it", () => {
    let written = "";
    const draw = (text: string) => {
      written += text;
    };
    const screen = { columns: 60, coloured: false, draw };
    const bar = new Bar(screen);
    const line = barLine(state, 60, false);
    bar.above(() => screen.draw("before\n"));
    expect(written).toBe("before\n");
    bar.update(state);
    bar.above(() => screen.draw("SIGINT: stopping\n"));
    bar.stop();
    bar.above(() => screen.draw("after\n"));
    const drawn = `\r\u001b[K${line}`;
    expect(written).toBe(`before\n${drawn}\r\u001b[KSIGINT: stopping\n${drawn}${drawn}\nafter\n`);
    bar.stop();
    expect(written).toMatch(/after\n$/);
  });
});
