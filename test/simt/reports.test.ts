import { describe, expect, it } from "@jest/globals";
import { changedBits, changedByWarpgroups, launchesByKernel, neverLaunched } from "./reports.js";

describe("a report of launches", () => {
  it("is added up over processes, in the order of the names", () => {
    const launches = launchesByKernel("b_kernel<128>\t2\na_kernel<T, 1>\t0\nb_kernel<32>\t0\nb_kernel<128>\t3\n");
    expect([...launches]).toEqual([
      ["a_kernel<T, 1>", 0],
      ["b_kernel<32>", 0],
      ["b_kernel<128>", 5],
    ]);
    expect(neverLaunched(launches)).toEqual(["a_kernel<T, 1>", "b_kernel<32>"]);
  });

  it("is refused where it is cut off", () => {
    expect(() => launchesByKernel("a_kernel\t2\nb_ker")).toThrow('"b_ker"');
  });
});

describe("digests of two schedules", () => {
  it("show the tests whose bits changed, and those that only one has", () => {
    const forward = "aa\tone\nbb\ttwo\ncc\tthree\n";
    expect(changedBits(forward, "bb\ttwo\ncc\tthree\naa\tone\n")).toEqual([]);
    expect(changedBits(`${forward}ee\tone\n`, `${forward}ff\tone\n`)).toEqual(["one"]);
    expect(changedBits(`${forward}ee\tone\n`, forward)).toEqual(["one"]);
    expect(changedBits(forward, "aa\tone\nb0\ttwo\ndd\tfour\n")).toEqual(["four", "three", "two"]);
  });

  it("are refused where there are none", () => {
    expect(() => changedBits("aa\tone\n", "")).toThrow("not a line of digests");
  });
});

describe("digests with a warpgroup's products and without", () => {
  const forward = (keys: number, headDim: number) =>
    `attention on simt in bf16 9 x ${keys}, 2 heads over 1 of ${headDim}, x`;
  const backward = forward(99, 128).replace("on simt", "backward on simt");
  const lines = (digest: string, names: readonly string[]) => names.map((name) => `${digest}\t${name}\n`).join("");

  it("must be the same, but for a forward whose tiles have other keys", () => {
    const names = [forward(1000, 64), forward(64, 128), backward];
    expect(changedByWarpgroups(lines("aa", names), lines("aa", names))).toEqual({ compared: 3, changed: [] });
    expect(changedByWarpgroups(lines("aa", names), lines("bb", names))).toEqual({ compared: 3, changed: names });
    const others = [forward(65, 80), "rotary on simt in bf16"];
    expect(changedByWarpgroups(lines("aa", others), lines("bb", others))).toEqual({ compared: 0, changed: [] });
  });

  it("are compared where both have the test", () => {
    const [one, other] = [forward(1, 64), forward(2, 64)];
    expect(changedByWarpgroups(lines("aa", [one, other]), lines("aa", [other]))).toEqual({ compared: 1, changed: [] });
  });
});
