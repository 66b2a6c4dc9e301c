import { expect, test } from "@jest/globals";
import { isMeasured } from "../../lib/cli/measured.js";

const device = { name: "any", totalBytes: 1, nativeBf16: true };

test("a speed is measured, not yet measured, or nothing to measure", () => {
  expect(isMeasured("cpu", { ...device, code: "machine code for avx512_bf16" })).toBe(true);
  expect(isMeasured("cpu", { ...device, code: "machine code for avx2" })).toBe(false);
  expect(isMeasured("cuda", { ...device, code: "machine code for sm_90a" })).toBe(false);
  expect(isMeasured("cuda", { ...device, code: null })).toBeNull();
  expect(isMeasured("simt", { ...device, code: "the CUDA sources, compiled for the host" })).toBeNull();
});
