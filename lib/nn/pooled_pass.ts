import { native } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import { ForwardPass, forwardSpecs } from "./forward_pass.js";
import type { Llama } from "./llama.js";

/** How the positions of a sequence become one vector: their mean, or the last of them. */
export const poolings = ["mean", "last"] as const;
export type Pooling = (typeof poolings)[number];

function pooledSpecs(model: Llama, { sequences, positions, length }: PooledLimits) {
  const width = model.config.hidden_size;
  return {
    pass: forwardSpecs(model.parameters, { positions, length, patchSize: 1 }, null),
    hidden: new Spec("f32", [positions, width]),
    rows: new Spec("i32", [positions]),
    out: new Spec("f32", [sequences, width]),
  };
}

/** What passes need room for. */
export interface PooledLimits {
  readonly sequences: number;
  /** Of a pass: its sequences times the longest of them. */
  readonly positions: number;
  /** Of a sequence. */
  readonly length: number;
}

/** The last hidden state of sequences, one vector each. Sequences of a pass are padded behind, where none of them looks. */
export class PooledPass {
  readonly #buffers: Allocated<ReturnType<typeof pooledSpecs>>;
  readonly #pass: ForwardPass;

  /** Allocates the memory of all passes. @throws OutOfMemoryError */
  constructor(model: Llama, limits: PooledLimits) {
    this.#buffers = allocate(model.device, pooledSpecs(model, limits));
    this.#pass = new ForwardPass(model.parameters, this.#buffers.pass, null);
  }

  /** @returns f32 [sequences, C] */
  async run(sequences: readonly Int32Array[], pooling: Pooling): Promise<Float32Array> {
    const length = Math.max(...sequences.map((ids) => ids.length));
    const positions = sequences.length * length;
    const padded = new Int32Array(positions);
    for (const [index, ids] of sequences.entries()) padded.set(ids, index * length);
    const { out } = this.#pass.run(padded, { sequences: sequences.length, positions: length, patchSize: 1 });
    const hidden = this.#buffers.hidden.narrow(0, 0, positions);
    native.copy(hidden, out);
    const pooled = this.#buffers.out.narrow(0, 0, sequences.length);
    const rows = sequences.map((ids, index) => {
      const end = index * length + ids.length;
      return pooling === "last" ? [end - 1] : Array.from(ids, (_, i) => end - ids.length + i);
    });
    this.#buffers.rows.narrow(0, 0, rows.flat().length).write(Int32Array.from(rows.flat()));
    let [first, at] = [0, 0];
    while (first < rows.length) {
      const size = rows[first]!.length;
      let count = 1;
      while (rows[first + count]?.length === size) count++;
      // An embedding of patches: it averages rows of a table, here of as many sequences in a row as have the same length.
      const places = this.#buffers.rows.narrow(0, at, count * size);
      native.patchEmbeddingForward(pooled.narrow(0, first, count), places, hidden, 1);
      [first, at] = [first + count, at + count * size];
    }
    return pooled.read();
  }

  /** Frees the memory; the model stays. */
  dispose(): void {
    disposeAll(this.#buffers);
  }
}
