/** Reads the reports that test processes on simt write. */

/** Launches of every kernel of the library, by name, over all processes of a NEXTPATCH_SIMT_REPORT. */
export function launchesByKernel(report: string): Map<string, number> {
  const launches = new Map<string, number>();
  for (const line of report.trimEnd().split("\n")) {
    const [, name, count] = /^(.+)\t(\d+)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`not a line of a simt report: ${JSON.stringify(line)}`);
    launches.set(name, (launches.get(name) ?? 0) + Number(count));
  }
  return new Map([...launches].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })));
}

/** Kernels of several ranks, which native/simt/test/nccl tests: a process alone has no use for them. */
export const kernelsOfRanks: ReadonlySet<string> = new Set(["count_operation_kernel"]);

export function neverLaunched(launches: ReadonlyMap<string, number>): string[] {
  return [...launches].filter(([name, count]) => count === 0 && !kernelsOfRanks.has(name)).map(([name]) => name);
}

/**
 * Tests of `bits` (NEXTPATCH_TEST_BITS) whose results had other digests in `other`, and tests that only one of them has.
 */
export function changedBits(bits: string, other: string): string[] {
  const [before, after] = [digests(bits), digests(other)];
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name)).sort();
}

/**
 * Tests of attention whose bits depend on whether a warpgroup's products make them (`warpgroups`) or each warp's own
 * (`warps`), and should not: both add in the same order, but where the forward's tiles have 128 keys instead of 64. Of
 * the tests that only one has, nothing is said.
 */
export function changedByWarpgroups(warpgroups: string, warps: string): { compared: number; changed: string[] } {
  const [one, other] = [digests(warpgroups), digests(warps)];
  const compared = [...one.keys()].filter((name) => other.has(name) && sameTiles(name));
  return { compared: compared.length, changed: compared.filter((name) => one.get(name) !== other.get(name)) };
}

/** By the name of a test of attention (test/support/attention_problem.ts); false for any other test. */
function sameTiles(name: string): boolean {
  const [, backward, keys, headDim] =
    /^attention (backward )?on \S+ in bf16 \d+ x (\d+), .* of (\d+),/.exec(name) ?? [];
  if (keys === undefined) return false;
  return backward !== undefined || Number(headDim) <= 64 || Number(keys) <= 64;
}

/** A test's results in their order; several tests may be noted in turns. */
function digests(text: string): Map<string, string> {
  const all = new Map<string, string>();
  for (const line of text.trimEnd().split("\n")) {
    const [digest, name] = line.split("\t");
    if (name === undefined) throw new Error(`not a line of digests: ${JSON.stringify(line)}`);
    all.set(name, `${all.get(name) ?? ""} ${digest}`);
  }
  return all;
}
