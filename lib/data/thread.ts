/** Starts a thread from a file of this package. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/** How files of the package end: JavaScript when it is installed, TypeScript in a clone that runs through tsx. */
const EXTENSION = extname(import.meta.url);

/**
 * Starts a thread.
 * @param script its file as a URL, without the extension
 * @param data what the thread gets as `workerData`
 */
export function startThread(script: URL, data: unknown): Worker {
  const file = `${script.href}${EXTENSION}`;
  if (EXTENSION !== ".ts") return new Worker(new URL(file), { workerData: data });
  // A thread does not inherit tsx from the process, which may be Jest's, without it.
  const load = `import { register } from "${import.meta.resolve("tsx/esm/api")}"; register(); await import("${file}");`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(load)}`), { workerData: data });
}
