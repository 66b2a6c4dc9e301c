/** This process as a rank, for the children. Arguments: the folder for reports, then the child's own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../binding/children/addon.mjs";

export { native };

const { Device, Tensor } = native;

export const device = new Device(process.env.NEXTPATCH_TEST_DEVICE ?? "cpu", 0, 1);
export const engine = process.env.NEXTPATCH_TEST_ENGINE ?? "openmpi";
const timeout = Number(process.env.NEXTPATCH_TEST_TIMEOUT ?? 600);
const { RANK, WORLD_SIZE, MASTER_ADDR, NEXTPATCH_PORT } = process.env;
export const { rank, size } = await (engine === "nccl"
  ? native.meetRanks(device, Number(RANK), Number(WORLD_SIZE), MASTER_ADDR, Number(NEXTPATCH_PORT), timeout)
  : native.joinRanks(device, engine, timeout));
const [, , folder, ...args] = process.argv;

export { args };

/** Leaves something for the test. */
export function report(value) {
  writeFileSync(join(folder, `${rank}.json`), JSON.stringify(value));
}

/** A tensor with these values. */
export function tensor(values, dtype = "f32") {
  const made = new Tensor(device, dtype, [values.length]);
  made.write(values);
  return made;
}
