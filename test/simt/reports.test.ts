import { describe, expect, it } from "@jest/globals";
import { changedBits, launchesByKernel, neverLaunched } from "./reports.js";

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
