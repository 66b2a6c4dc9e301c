/** A thread that encodes pieces: gets batches, answers with their tokens. */
import { parentPort, workerData } from "node:worker_threads";
import { nativeTokenizers } from "../tokenizer.js";
import { type EncodePiece, Encoder } from "./encoder.js";

const port = parentPort!;
const encoder = nativeTokenizers().then((make) => new Encoder(workerData as string, make));
port.on("message", async (pieces: EncodePiece[]) => {
  const ids = await (await encoder).encode(pieces);
  port.postMessage(
    ids,
    ids.map(({ buffer }) => buffer),
  );
});
