/** Where a launcher has put this process among the ranks of a run, as its environment says. */
import { DeviceError } from "../errors.js";

/** The variables of a launcher. */
interface Launcher {
  readonly rank: string;
  readonly size: string;
  /** This process's number among those of its machine, and how many these are. */
  readonly local: string;
  readonly localSize: string;
}

/** The most particular first: torchrun may run in a step of Slurm's. Slurm's in srun's steps alone. */
const launchers: readonly Launcher[] = [
  {
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    local: "OMPI_COMM_WORLD_LOCAL_RANK",
    localSize: "OMPI_COMM_WORLD_LOCAL_SIZE",
  },
  { rank: "PMI_RANK", size: "PMI_SIZE", local: "MPI_LOCALRANKID", localSize: "MPI_LOCALNRANKS" },
  { rank: "RANK", size: "WORLD_SIZE", local: "LOCAL_RANK", localSize: "LOCAL_WORLD_SIZE" },
  { rank: "SLURM_PROCID", size: "SLURM_STEP_NUM_TASKS", local: "SLURM_LOCALID", localSize: "" },
];

/** What processes that find one another by TCP have as port where nothing says another: the one behind torchrun's. */
const DEFAULT_PORT = 29501;

export interface Place {
  readonly rank: number;
  readonly size: number;
  /** Among those of its machine; null: the launcher does not say. */
  readonly local: number | null;
  /** Whether all ranks are on this machine; false: the launcher does not say so. */
  readonly oneMachine: boolean;
  /** The variable that has the size. */
  readonly variable: string;
}

/** This process's place, if a launcher started several; null: it started none, or one. */
export function launchedPlace(env: NodeJS.ProcessEnv = process.env): Place | null {
  for (const { rank, size: variable, local, localSize } of launchers) {
    const size = Number(env[variable]);
    if (env[rank] === undefined || !(size > 1)) continue;
    const oneMachine = Number(env[localSize]) === size || (localSize === "" && env.SLURM_STEP_NUM_NODES === "1");
    const among = env[local] === undefined ? null : Number(env[local]);
    return { rank: Number(env[rank]), size, local: among, oneMachine, variable };
  }
  return null;
}

/** Its rank. */
export function launchedRank(): number | null {
  return launchedPlace()?.rank ?? null;
}

/**
 * Where the first rank listens for the others.
 * @throws DeviceError if nothing says on which machine that is
 */
export function meetingPoint(
  { oneMachine }: Place,
  env: NodeJS.ProcessEnv = process.env,
): { address: string; port: number } {
  const address = env.MASTER_ADDR || (oneMachine ? "127.0.0.1" : firstHost(env.SLURM_STEP_NODELIST ?? ""));
  if (address === null) {
    throw new DeviceError(
      "Ranks.join: MASTER_ADDR: expected the address of the first rank's machine but received none: set it for all " +
        "ranks (mpirun -x MASTER_ADDR=HOST)",
    );
  }
  return { address, port: portOf(env) };
}

function portOf(env: NodeJS.ProcessEnv): number {
  const own = Number(env.NEXTPATCH_PORT);
  if (own > 0) return own;
  const theirs = Number(env.MASTER_PORT); // which torchrun's own agent holds
  if (theirs > 0) return theirs + 1;
  // Jobs that share a machine have ports of their own.
  const job = Number(env.SLURM_JOB_ID);
  return job > 0 ? 20_000 + ((job * 8 + Number(env.SLURM_STEP_ID ?? 0)) % 12_000) : DEFAULT_PORT;
}

/** The first of a list of Slurm's, such as `node[07-09,12],other`; null: there is none, or it is written otherwise. */
function firstHost(list: string): string | null {
  const [, prefix, number = "", rest] = /^([^[,]+)(?:\[(\d+)[^\]]*\])?(.*)$/.exec(list) ?? [];
  return prefix === undefined || (rest !== "" && !rest!.startsWith(",")) ? null : prefix + number;
}
