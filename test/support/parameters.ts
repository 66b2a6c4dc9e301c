/** The values of a model's parameters. */
import type { Llama } from "../../lib/nn/llama.js";

/** All parameters, by name. */
export async function read(model: Llama): Promise<Map<string, Float32Array>> {
  const { parameters } = model;
  const { slots } = parameters.layout;
  const values = await parameters.master.read();
  return new Map(slots.map(({ name, offset, size }) => [name, values.slice(offset, offset + size)]));
}

/** The names of those that differ. */
export const changed = (before: Map<string, Float32Array>, after: Map<string, Float32Array>) =>
  [...before].filter(([name, values]) => !values.every((x, i) => x === after.get(name)![i])).map(([name]) => name);
