/** What `info` says of the project's measurements. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { measuredOn } from "../../lib/cli/measured.js";

const device = { name: "any", totalBytes: 1, nativeBf16: true };
const onGpu = (code: string | null) => measuredOn("cuda", { ...device, code });

test("code was measured on a device, or never", () => {
  expect(onGpu("machine code for sm_90a")).toMatch(/^NVIDIA H200, \d{4}-\d\d-\d\d$/);
  expect(onGpu("machine code for sm_80")).toBeNull();
  expect(onGpu("PTX for compute_90, which the driver compiles")).toBeNull();
  expect(onGpu(null)).toBeNull();
  expect(measuredOn("cpu", { ...device, code: "machine code for avx512_bf16" })).toMatch(/^AMD EPYC/);
  expect(measuredOn("cpu", { ...device, code: "machine code for avx2" })).toBeNull();
  expect(measuredOn("simt", { ...device, code: "the CUDA sources, compiled for the host" })).toBeNull();
});

test("the code of every GPU in bench/results was measured", () => {
  const results = new URL("../../bench/results/", import.meta.url);
  const files = readdirSync(results).filter((name) => /^quick-.*\.json$/.test(name));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const { steps } = JSON.parse(readFileSync(new URL(file, results), "utf8")) as {
      steps: { name: string; result?: { compute_cap?: string } }[];
    };
    const capability = steps.find(({ name }) => name === "gpu")!.result!.compute_cap!;
    const code = capability === "9.0" ? "sm_90a" : `sm_${capability.replace(".", "")}`;
    expect({ file, measured: onGpu(`machine code for ${code}`) }).toEqual({ file, measured: expect.any(String) });
  }
});
