/** Errors of the file system say what failed; of an open file they do not say which. */
import { types } from "node:util";

/**
 * Runs an action on a file or folder. An error of the file system that names no path, such as that of a write to a full
 * disk, gets this one in its message and as its `path`; its `code` stays.
 */
export async function naming<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (isUnnamed(error)) {
      error.message = `${path}: ${error.message}`;
      error.path = path;
    }
    throw error;
  }
}

function isUnnamed(error: unknown): error is NodeJS.ErrnoException {
  return types.isNativeError(error) && "syscall" in error && "code" in error && !("path" in error);
}
