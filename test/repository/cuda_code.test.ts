/** The build, and what `info` says of it, agree on the code that a GPU runs. */
import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";

const read = (path: string) => readFileSync(new URL(`../../native/cuda/${path}`, import.meta.url), "utf8");

test("gpu_code.h lists what cuda.cmake builds", () => {
  const flags = read("cuda.cmake")
    .match(/-gencode=\S+/g)!
    .join(" ");
  const header = read("gpu_code.h");
  const machineCode = [...flags.matchAll(/sm_(\d+a?)/g)].map(([, name]) => name);
  expect(/kMachineCode = "(.+)"/.exec(header)?.[1]).toBe(machineCode.join(" "));
  expect(/kPtx = (\d+)/.exec(header)?.[1]).toBe(/code=compute_(\d+)/.exec(flags)?.[1]);
});
