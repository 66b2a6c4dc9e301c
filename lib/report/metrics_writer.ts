import { type FileHandle, open } from "node:fs/promises";
import { naming } from "../disk/named_error.js";
import type { MetricsLine } from "./metrics.js";

/** Appends lines to a metrics file. Each has been passed to the operating system when `append` resolves. */
export class MetricsWriter {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private length: number,
  ) {}

  /**
   * Opens `path` to append to it, or creates it.
   * @param length of the file, in bytes: what follows is dropped, for a resumed run writes it again; 0 for a new run
   */
  static async open(path: string, length: number): Promise<MetricsWriter> {
    const file = await open(path, "a");
    try {
      await naming(path, () => file.truncate(length));
    } catch (error) {
      await file.close();
      throw error;
    }
    return new MetricsWriter(path, file, length);
  }

  /** Writes one complete line. */
  async append(line: MetricsLine): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    await naming(this.path, () => this.file.appendFile(bytes));
    this.length += bytes.length;
  }

  /** Syncs the file to the disk. Returns its length in bytes. */
  async sync(): Promise<number> {
    await naming(this.path, () => this.file.datasync());
    return this.length;
  }

  /** Syncs the file to the disk and closes it. */
  async close(): Promise<void> {
    await this.sync().finally(() => this.file.close());
  }
}
