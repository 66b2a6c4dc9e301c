/** A parameter as a checkpoint holds it, checked against what the model's configuration makes it. */
import { CheckpointError } from "../errors.js";
import type { CheckpointTensors } from "./checkpoint-tensors.js";
import type { Parameter } from "./names.js";

/** The element types that parameters are read from. */
export type ParameterDtype = "F32" | "F16" | "BF16";

/** The element type of a parameter. @throws CheckpointError naming a tensor that is missing, misshapen or no float */
export function parameterDtype(tensors: CheckpointTensors, { name, shape }: Omit<Parameter, "kind">): ParameterDtype {
  if (!tensors.has(name)) {
    const expected = `"${name}" of shape [${shape.join(", ")}]`;
    throw new CheckpointError(`${tensors.folder}: expected a tensor ${expected}, found none`);
  }
  const { dtype, shape: found } = tensors.info(name);
  if (found.join() !== shape.join()) {
    throw new CheckpointError(
      `${tensors.folder}: ${name}: expected shape [${shape.join(", ")}], as config.json has it, ` +
        `found [${found.join(", ")}]`,
    );
  }
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new CheckpointError(`${tensors.folder}: ${name}: expected F32, F16 or BF16, found ${dtype}`);
  }
  return dtype;
}
