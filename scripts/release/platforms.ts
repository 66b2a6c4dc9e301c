/** The packages with what is compiled, one for each processor and each CUDA. */

/** An argument of native.sh, which builds a package's binaries. */
export type NativeTarget = "x64" | "arm64" | "cuda13" | "cuda12";

export interface Platform {
  readonly name: string;
  readonly target: NativeTarget;
  readonly cpu: "x64" | "arm64";
  /** What it adds to nextpatch, as its description and README say it. */
  readonly brings: string;
  /** Libraries without which it is of no use. */
  readonly libraries: readonly string[];
  /** The largest tarball, in bytes. */
  readonly maxPackedBytes: number;
  /** Whether it comes with every installation; else users install it by its name. */
  readonly withMain: boolean;
}

export const megabyte = 1_000_000;

const addon = [
  "nextpatch.node",
  "libgomp.so.1",
  "nextpatch_cpu_baseline.so",
  "nextpatch_openmpi.so",
  "nextpatch_mpich.so",
];

export const platforms: readonly Platform[] = [
  {
    name: "@nextpatch/linux-x64",
    target: "x64",
    cpu: "x64",
    brings: "the addon and the CPU kernels for Linux on x86-64",
    libraries: [...addon, "nextpatch_cpu_avx2.so", "nextpatch_cpu_avx512_bf16.so"],
    maxPackedBytes: 15 * megabyte,
    withMain: true,
  },
  {
    name: "@nextpatch/linux-arm64",
    target: "arm64",
    cpu: "arm64",
    brings: "the addon and the CPU kernels for Linux on 64-bit Arm",
    libraries: addon,
    maxPackedBytes: 15 * megabyte,
    withMain: true,
  },
  {
    name: "@nextpatch/linux-x64-cuda13",
    target: "cuda13",
    cpu: "x64",
    brings: "the CUDA kernels for Linux on x86-64, for NVIDIA drivers from 580 on (CUDA 13)",
    libraries: ["nextpatch_cuda.so"],
    maxPackedBytes: 60 * megabyte,
    withMain: false,
  },
  {
    name: "@nextpatch/linux-x64-cuda12",
    target: "cuda12",
    cpu: "x64",
    brings: "the CUDA kernels for Linux on x86-64, for NVIDIA drivers from 525 on (CUDA 12)",
    libraries: ["nextpatch_cuda.so"],
    maxPackedBytes: 60 * megabyte,
    withMain: false,
  },
];

/** A package's name on the command line: `linux-x64` for `@nextpatch/linux-x64`. */
export const shortName = ({ name }: Pick<Platform, "name">): string => name.replace(/^@nextpatch\//, "");

/** The file that `npm pack` writes for a package. */
export const tarballName = (name: string, version: string): string =>
  `${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`;
