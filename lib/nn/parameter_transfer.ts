/** Parameters between the disk and a device, piece by piece: the host never holds a whole tensor. */
import { bitsPerElement } from "../hf/dtypes.js";
import { type FloatDtype, toFloats } from "../hf/float_types.js";
import { parameterTable } from "../hf/names.js";
import type { SafetensorsEntry } from "../hf/safetensors.js";
import { PIECE_BYTES, type TensorSource, tensorPieces } from "../hf/tensor_pieces.js";
import { native, Tensor } from "../native.js";
import type { Parameters, Slot } from "./parameters.js";

/** A device has copies of what is sent to it until it has come so far: this much of them is no burden. */
const MOST_SENT_BYTES = 4 * PIECE_BYTES;

/** Brings tensors of checkpoints to the flat tensors of a model. */
export class Upload {
  #sent = 0;

  constructor(private readonly parameters: Parameters) {}

  /**
   * Reads a parameter's tensor into its place; when it resolves, the last of it may still be on its way.
   * @param dtype the element type that the tensor has in the checkpoint
   * @param place fp32, flat: the parameter's
   */
  async tensor(source: TensorSource, slot: Slot, dtype: FloatDtype, place: Tensor<"f32">): Promise<void> {
    const elementBytes = bitsPerElement[dtype] / 8;
    for await (const { offset, bytes } of tensorPieces(source, slot.name, elementBytes)) {
      const count = bytes.byteLength / elementBytes;
      const target = place.narrow(0, offset / elementBytes, count);
      // The device widens bf16, where that takes no time; no device knows fp16.
      if (dtype === "BF16") this.#widen(target, new Uint16Array(bytes.buffer, bytes.byteOffset, count));
      else target.write(toFloats(bytes, dtype));
      await this.#pace(bytes.byteLength);
    }
  }

  #widen(target: Tensor<"f32">, bits: Uint16Array): void {
    using half = new Tensor(this.parameters.device, "bf16", [bits.length]);
    half.write(bits);
    native.copy(target, half);
  }

  async #pace(bytes: number): Promise<void> {
    this.#sent += bytes;
    if (this.#sent < MOST_SENT_BYTES) return;
    await this.parameters.device.synchronize();
    this.#sent = 0;
  }
}

/** The elements of a flat tensor, wherever they are. */
export interface FlatElements {
  readonly dtype: "f32" | "bf16";
  /** The bytes of `count` elements, in pieces; one is used before the next is asked for. */
  pieces(offset: number, count: number): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** Those of a tensor, read from its device when they are asked for. */
export function deviceElements(flat: Tensor): FlatElements {
  const dtype = flat.dtype as "f32" | "bf16";
  const perPiece = PIECE_BYTES / (dtype === "bf16" ? 2 : 4);
  return {
    dtype,
    async *pieces(offset, count) {
      for (let from = 0; from < count; from += perPiece) {
        const part = flat.narrow(0, offset + from, Math.min(perPiece, count - from));
        const { buffer, byteOffset, byteLength } = await part.readBits();
        yield new Uint8Array(buffer, byteOffset, byteLength);
      }
    },
  };
}

/**
 * The parameters as safetensors entries in Hugging Face's order.
 * @param place where a parameter's elements begin; null leaves it out
 */
export function parameterEntries(
  parameters: Parameters,
  flat: FlatElements,
  place: (parameter: Slot) => number | null = ({ offset }) => offset,
): SafetensorsEntry[] {
  return parameterTable(parameters.config).flatMap(({ name, shape }) => {
    const slot = parameters.slot(name);
    const begin = place(slot);
    if (begin === null) return [];
    return [{ name, shape, dtype: flat.dtype === "bf16" ? "BF16" : "F32", data: () => flat.pieces(begin, slot.size) }];
  });
}
