/** The checks that find seeded faults, each a part of what an npm script runs. */

/** How the CUDA sources are compiled for a check: for simt, or not at all if the check compiles them itself. */
export type Build = "plain" | "races" | "sanitized" | "none";

/** A check that a fault must fail, and the sources as they are must pass. */
export interface Check {
  /** The npm script that it is a part of. */
  readonly script: string;
  /** Which part. */
  readonly part: string;
  readonly build: Build;
  readonly run: Run;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Tests with the built backend, the program that tests the caller of one of NVIDIA's libraries on what stands in for it, or
 * the report of nvcc's assembler.
 */
export type Run =
  | { readonly kind: "jest"; readonly args: readonly string[] }
  | { readonly kind: "fake"; readonly library: "cublaslt" | "nccl"; readonly variable: string }
  | { readonly kind: "assembler"; readonly only: string };

interface Where {
  /** The tests whose name has this in it. */
  readonly filter?: string;
  readonly schedule?: string;
  readonly capability?: string;
  /** Kernels run only when they are waited for. */
  readonly late?: boolean;
}

function tests(script: string, build: Build, file: string, where: Where): Check {
  const { filter, schedule, capability, late } = where;
  const args = [`test/${file}.test.ts`, ...(filter === undefined ? [] : ["-t", filter])];
  const env = {
    NEXTPATCH_SIMT_SCHEDULE: schedule ?? "forward",
    NEXTPATCH_SIMT_CAPABILITY: capability ?? "9.0",
    ...(late ? { NEXTPATCH_SIMT_LATE: "1" } : {}),
  };
  const how = [schedule, capability && `on ${capability}`, late && "with late kernels"].filter(Boolean);
  return { script, part: [file, ...how].join(", "), build, run: { kind: "jest", args }, env };
}

/** Tests on simt. */
export const simt = (file: string, where: Where = {}): Check => tests("test:simt", "plain", file, where);

/** Tests on a simt that checks accesses to shared memory. */
export const races = (file: string, where: Where = {}): Check => tests("test:races", "races", file, where);

/** Tests on simt under AddressSanitizer and UndefinedBehaviorSanitizer. */
export const sanitized = (file: string, where: Where = {}): Check => tests("test:sanitize", "sanitized", file, where);

/** Products on a cuBLASLt that checks what it is asked. */
export const cublaslt: Check = {
  script: "test:simt",
  part: "the fake cuBLASLt",
  build: "plain",
  run: { kind: "fake", library: "cublaslt", variable: "NEXTPATCH_CUBLAS" },
  env: {},
};

/** The same under the sanitizers. */
export const sanitizedCublaslt: Check = { ...cublaslt, script: "test:sanitize", build: "sanitized" };

/** Operations on all ranks on an NCCL that checks what it is asked. */
export const nccl: Check = {
  script: "test:simt",
  part: "the fake NCCL",
  build: "plain",
  run: { kind: "fake", library: "nccl", variable: "NEXTPATCH_NCCL" },
  env: { NEXTPATCH_SIMT_DEVICES: "3" },
};

/** Training by ranks on it: what goes wrong where streams do not wait for one another shows with late kernels. */
export const ranksOnNccl = tests("test:slow", "plain", "ranks/nccl", { filter: "training by", late: true });

/** What nvcc's assembler says of one source. */
export const assembler = (only: string): Check => ({
  script: "check:cuda",
  part: only,
  build: "none",
  run: { kind: "assembler", only },
  env: {},
});
