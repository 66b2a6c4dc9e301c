import type { ProductTable } from "../../lib/train/product_table.js";

const algorithm = (byte: number) => byte.toString(16).padStart(2, "0").repeat(64);

/** A table of one product, for a GPU that no machine has. */
export const madeTable: ProductTable = {
  device: "A GPU",
  computeCapability: "9.0",
  library: "cuBLASLt 13.0.2",
  products: [
    {
      m: 2,
      n: 3,
      k: 4,
      transposeA: true,
      transposeB: false,
      inputs: "bf16",
      output: "f32",
      alignment: [256, 128, 256],
      writes: 3,
      adds: 1,
      algorithm: algorithm(2),
      candidates: [
        { algorithm: algorithm(0), seconds: null },
        { algorithm: algorithm(1), seconds: 4e-6 },
        { algorithm: algorithm(2), seconds: 3e-6 },
      ],
    },
  ],
};
