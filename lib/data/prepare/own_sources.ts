/** Which source files a part of a dataset reads. */
import { DataError } from "../../errors.js";
import type { Source } from "../sources.js";
import type { PartNumber } from "./part_info.js";

/**
 * The sources of a part: the first, and the one behind the last. Each part has at least one, and they are cut at the
 * files whose beginnings come closest to equal shares of the bytes.
 * @throws DataError for pipes, or for fewer sources than parts
 */
export function ownSources(sources: readonly Source[], { index, of }: PartNumber): [begin: number, end: number] {
  const pipe = sources.find(({ isFile }) => !isFile);
  if (pipe !== undefined)
    throw new DataError(`${pipe.file}: expected files, as each part reads its own, but received a pipe`);
  if (sources.length < of) {
    throw new DataError(`expected at least ${of} source files, one for each part, but received ${sources.length}`);
  }
  const starts = [0];
  for (const { bytes } of sources) starts.push(starts.at(-1)! + bytes);
  const total = starts.at(-1)!;
  const bounds = [0];
  for (let part = 1; part < of; part++) {
    const share = (total * part) / of;
    const last = sources.length - (of - part);
    let cut = bounds.at(-1)! + 1;
    while (cut < last && Math.abs(starts[cut + 1]! - share) <= Math.abs(starts[cut]! - share)) cut++;
    bounds.push(cut);
  }
  bounds.push(sources.length);
  return [bounds[index - 1]!, bounds[index]!];
}
