import { execFileSync } from "node:child_process";

/** What a program prints, on stdout and stderr; null if it is missing or fails. */
export function printed(program: string, args: readonly string[]): string | null {
  try {
    return execFileSync("sh", ["-c", '"$0" "$@" 2>&1', program, ...args], { encoding: "utf8" });
  } catch {
    return null;
  }
}
