/** What is shown of a text that grows. */
import { describe, expect, it } from "@jest/globals";
import { ShownText } from "../../lib/generate/shown_text.js";

/** The pieces that are shown as the text grows through these states. */
function pieces(
  stop: readonly string[],
  ...states: readonly string[]
): { pieces: string[]; text: string; stopped: boolean } {
  const shown = new ShownText(stop);
  const found: string[] = [];
  for (const state of states) {
    found.push(shown.grow(state));
    if (shown.stopped) break;
  }
  found.push(shown.finish());
  return { pieces: found.filter((piece) => piece !== ""), text: shown.text, stopped: shown.stopped };
}

describe("a text that grows", () => {
  it("is shown in whole characters, and all of it at the end", () => {
    expect(pieces([], "a", "a\ufffd", "aé", "aé b")).toEqual({
      pieces: ["a", "é", " b"],
      text: "aé b",
      stopped: false,
    });
    expect(pieces([], "a", "a\ufffd")).toEqual({ pieces: ["a", "\ufffd"], text: "a\ufffd", stopped: false });
  });

  it("ends before the first stop text", () => {
    expect(pieces(["END"], "a b", "a b EN", "a b END", "never")).toEqual({
      pieces: ["a b", " "],
      text: "a b ",
      stopped: true,
    });
    expect(pieces(["cd", "b"], "abcd")).toEqual({ pieces: ["a"], text: "a", stopped: true });
    expect(pieces(["a"], "a")).toEqual({ pieces: [], text: "", stopped: true });
    expect(pieces(["é\ufffd"], "é\ufffd")).toEqual({ pieces: [], text: "", stopped: true });
  });

  it("keeps back what may be the beginning of one, and shows it when it is not", () => {
    const { pieces: found, text } = pieces(["aab"], "xa", "xaa", "xaaa", "xaaac");
    expect(found).toEqual(["x", "a", "aac"]);
    expect(text).toBe("xaaac");
    expect(pieces(["\n\n"], "a\n", "a\nb", "a\nb\n").pieces).toEqual(["a", "\nb", "\n"]);
  });

  it("gives the same text however it grows", () => {
    const whole = "one\n\ntwo END three";
    for (const step of [1, 2, 3, 7]) {
      const states = Array.from({ length: Math.ceil(whole.length / step) }, (_, i) => whole.slice(0, (i + 1) * step));
      const result = pieces(["END", "\n\n\n"], ...states);
      expect([result.pieces.join(""), result.text, result.stopped]).toEqual(["one\n\ntwo ", "one\n\ntwo ", true]);
    }
  });
});
