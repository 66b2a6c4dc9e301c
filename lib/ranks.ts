/** Many processes, each a rank with a device of its own, and the operations that all of them take part in. */
import type { EngineReport } from "../binding.js";
import { Arguments } from "./arguments.js";
import { Device } from "./device.js";
import { DeviceError } from "./errors.js";
import { type DType, native, type Tensor } from "./native.js";
import { launchedPlace, meetingPoint } from "./ranks/place.js";
import { defaultTimeout } from "./ranks/timeout.js";

export type { EngineReport } from "../binding.js";

const engineNames = ["openmpi", "mpich", "nccl"] as const;

/** What the ranks talk by: on `cuda` NCCL, on `cpu` the MPI that started them. */
export type EngineName = (typeof engineNames)[number];

/**
 * The ranks of a run, as one of them sees them. Each rank is a process, started by `mpirun`, `srun` or `torchrun`, with a
 * device of its own.
 *
 * All ranks call the same operations in the same order, on tensors of the same sizes: another call on one of them rejects
 * the next `device.synchronize()` or `read()` of all with a `DeviceError`. An operation is enqueued on the device, runs in
 * its order, beside the event loop, and returns at once. On a `cpu` device its sum is made in the order of the ranks, so that
 * its bits depend on the number of ranks and on nothing else; NCCL, on GPUs, makes it in an order of its own, and compares no
 * calls: where one rank's differs, all wait, up to the timeout of `join`.
 *
 * A rank that ends waits for the others, unless it ends by an error: `mpirun` then ends all. One that ends with such
 * operations in its queue ends with code 1.
 *
 * @example
 * ```ts
 * import { Device, Ranks, Tensor } from "nextpatch";
 *
 * // mpirun -n 4 node sum.mjs
 * const device = Device.open("cpu");
 * const ranks = await Ranks.join(device);
 * const values = new Tensor(device, "f32", [1]);
 * values.write(Float32Array.of(ranks.rank + 1));
 * ranks.allReduce(values);
 * const [sum] = await values.read();
 * if (ranks.rank === 0) console.log(sum); // 10 of 4 ranks
 * ```
 */
export class Ranks {
  private constructor(
    readonly device: Device,
    /** This process's number, from 0. */
    readonly rank: number,
    /** How many there are. */
    readonly size: number,
    /** The name of the machine that this rank is on. */
    readonly host: string,
    readonly engine: EngineName,
    /** The engine's library and its version: `Open MPI 4.1.4`. */
    readonly library: string,
  ) {}

  /**
   * Makes this process a rank; without a launcher, the only one. A process can be a rank once, with one device: later
   * calls return the same ranks.
   * @param options.timeout seconds that a rank may wait in an operation for others that do not come to it, before all of
   * them end (that of rank 0 counts). Default 600
   * @param options.engine of a `cpu` device: without it, the one whose launcher started the process, else the one that is
   * there
   * @throws DeviceError if the device has no ranks, the engine is missing, or a launcher that is not the engine's started
   * the process
   */
  static async join(
    device: Device,
    options: { readonly engine?: EngineName; readonly timeout?: number } = {},
  ): Promise<Ranks> {
    const check = new Arguments("Ranks.join");
    check.instance("device", device, Device);
    const { engine: asked, timeout = defaultTimeout } = check.options("options", options, ["engine", "timeout"]);
    if (asked !== undefined) check.oneOf("engine", asked, engineNames);
    check.number("timeout", timeout, "seconds above 0", (seconds) => seconds > 0);
    const { name, library } = chooseEngine(device, asked);
    const { rank, size, host } = await (name === "nccl"
      ? meet(device, timeout)
      : native.joinRanks(device, name, timeout));
    const ranks = new Ranks(device, rank, size, host, name, library);
    if (size === 1) refuseSingleton(ranks);
    return ranks;
  }

  /** Bytes of tensors that this rank has sent to others. */
  get bytes(): number {
    return native.rankBytes(this.device);
  }

  /**
   * out [n/N] = this rank's block of the sum of the ranks' `input` [n]. Each rank sends (N−1)/N of its input.
   * @param out f32 [n/N]; may be the block of `input` at `rank` · n/N, where it takes no memory of its own
   * @param input f32 [n], n a multiple of N
   */
  reduceScatter(out: Tensor<"f32">, input: Tensor<"f32">): void {
    named("Ranks.reduceScatter", () => native.reduceScatter(out, input, false));
  }

  /**
   * out [n] = the ranks' `input` [n/N], one after the other. Each rank sends its input to each other.
   * @param out any dtype [n]
   * @param input the same dtype [n/N]; may be the block of `out` at `rank` · n/N
   */
  allGather<D extends DType>(out: Tensor<D>, input: Tensor<D>): void {
    named("Ranks.allGather", () => native.allGather(out, input, false));
  }

  /**
   * values = the sum of the ranks' `values`. Each rank sends 2 (N−1)/N of them.
   * @param values f32, of any shape
   */
  allReduce(values: Tensor<"f32">): void {
    named("Ranks.allReduce", () => native.allReduce(values));
  }

  /**
   * Waits until all ranks have called it. From then on there are no operations, and ranks may end as they like, with any
   * exit code. A process that ends with code 0 does this by itself.
   * @throws DeviceError (the promise) if another rank called something else
   */
  leave(): Promise<void> {
    return native.leaveRanks(this.device);
  }
}

/**
 * The engines of this build, the libraries they found, and why one is missing. Opens all of them.
 *
 * @example
 * ```ts
 * import { engines } from "nextpatch";
 *
 * for (const { name, available, library, problem } of engines()) console.log(name, available ? library : problem);
 * ```
 */
export function engines(): EngineReport[] {
  return engineNames.map((name) => native.engine(name));
}

/** Opens no more engines than it must. */
function chooseEngine(device: Device, asked: EngineName | undefined): { name: EngineName; library: string } {
  const possible = enginesOf(device);
  if (asked !== undefined && !possible.includes(asked)) {
    throw new DeviceError(
      `Ranks.join: engine: expected ${possible.join(" or ")} for ${device.backend}:${device.index} but received ${asked}`,
    );
  }
  const problems: string[] = [];
  for (const name of asked !== undefined ? [asked] : possible) {
    const { library, problem } = native.engine(name);
    if (library !== null) return { name, library };
    problems.push(problem!);
  }
  throw new DeviceError(`Ranks.join: engine: expected one that is there but received none: ${problems.join("; ")}`);
}

/** What the ranks of a device may talk by, the likeliest first. */
function enginesOf({ backend }: Device): readonly EngineName[] {
  if (backend === "cuda") return ["nccl"];
  // MPICH's launcher, and srun --mpi=pmi2, say so.
  const mpich = process.env.PMI_RANK !== undefined && process.env.OMPI_COMM_WORLD_SIZE === undefined;
  const mpis = mpich ? (["mpich", "openmpi"] as const) : (["openmpi", "mpich"] as const);
  // The simulated device has either; no MPI has started those that torchrun's variables number.
  if (backend === "simt") return launchedPlace()?.variable === "WORLD_SIZE" ? ["nccl", ...mpis] : [...mpis, "nccl"];
  return mpis;
}

/** Joins by NCCL, whose ranks find one another by TCP first. */
function meet(device: Device, timeout: number): Promise<{ rank: number; size: number; host: string }> {
  const place = launchedPlace();
  if (place === null) return native.meetRanks(device, 0, 1, "", 0, timeout);
  const { address, port } = meetingPoint(place);
  return native.meetRanks(device, place.rank, place.size, address, port, timeout);
}

/** An engine that was not started by its own launcher takes every process for the only one, and each would train alone. */
function refuseSingleton({ library }: Ranks): void {
  const place = launchedPlace();
  if (place === null) return;
  throw new DeviceError(
    `Ranks.join: ${place.variable}: expected ${place.size} ranks but received 1 from ${library}, which another launcher ` +
      `started: start with the mpirun of ${library}, or with srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)`,
  );
}

/** Errors of the addon's operation as those of the method. */
function named(method: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replace(/^\w+(?=: )/, method);
    throw error;
  }
}
