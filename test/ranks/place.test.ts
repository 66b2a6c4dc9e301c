/** What launchers' variables say of a process, and where the first rank is found. */
import { expect, it } from "@jest/globals";
import { launchedPlace, meetingPoint } from "../../lib/ranks/place.js";

const slurm = { SLURM_PROCID: "5", SLURM_STEP_NUM_TASKS: "8", SLURM_LOCALID: "1", SLURM_JOB_ID: "1001" };
const torchrun = { RANK: "3", WORLD_SIZE: "4", LOCAL_RANK: "1", LOCAL_WORLD_SIZE: "2" };

it.each([
  [torchrun, { rank: 3, size: 4, local: 1, oneMachine: false }],
  [
    { ...torchrun, ...slurm, SLURM_STEP_NUM_TASKS: "2" },
    { rank: 3, size: 4 },
  ],
  [
    {
      OMPI_COMM_WORLD_RANK: "1",
      OMPI_COMM_WORLD_SIZE: "2",
      OMPI_COMM_WORLD_LOCAL_RANK: "1",
      OMPI_COMM_WORLD_LOCAL_SIZE: "2",
    },
    { rank: 1, size: 2, local: 1, oneMachine: true },
  ],
  [
    { PMI_RANK: "1", PMI_SIZE: "2" },
    { rank: 1, size: 2, local: null, oneMachine: false },
  ],
  [slurm, { rank: 5, size: 8, local: 1, oneMachine: false }],
  [{ ...slurm, SLURM_STEP_NUM_NODES: "1" }, { oneMachine: true }],
])("finds a place in %j", (env, place) => {
  expect(launchedPlace(env)).toMatchObject(place);
});

it("finds none in a process alone, or in a job without a step", () => {
  for (const env of [{}, { RANK: "0", WORLD_SIZE: "1" }, { SLURM_STEP_NUM_TASKS: "4" }]) {
    expect(launchedPlace(env)).toBeNull();
  }
});

it.each([
  [
    { ...torchrun, MASTER_ADDR: "host-a", MASTER_PORT: "29400" },
    { address: "host-a", port: 29401 },
  ],
  [
    { ...torchrun, MASTER_ADDR: "host-a", MASTER_PORT: "29400", NEXTPATCH_PORT: "7" },
    { address: "host-a", port: 7 },
  ],
  [
    { ...torchrun, LOCAL_WORLD_SIZE: "4" },
    { address: "127.0.0.1", port: 29501 },
  ],
  [
    { ...slurm, SLURM_STEP_NODELIST: "node[07-09,12],other" },
    { address: "node07", port: 28008 },
  ],
  [
    { ...slurm, SLURM_STEP_NODELIST: "alpha,beta" },
    { address: "alpha", port: 28008 },
  ],
])("meets where %j says", (env, point) => {
  expect(meetingPoint(launchedPlace(env)!, env)).toEqual(point);
});

it.each([torchrun, { ...slurm, SLURM_STEP_NODELIST: "node[1-2]-ib" }])("needs an address: %j", (env) => {
  expect(() => meetingPoint(launchedPlace(env)!, env)).toThrow(/^Ranks\.join: MASTER_ADDR: expected the address of/);
});
