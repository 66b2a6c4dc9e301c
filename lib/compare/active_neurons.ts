import type { Activations } from "../evaluate/activations.js";

/** The share of neurons that are active over all layers, which have as many neurons each. */
export function activeNeurons({ layers }: Activations): number {
  return layers.reduce((sum, { active }) => sum + active, 0) / layers.length;
}
