/** The environment of a run: machine, versions and commit, so that a page is complete by itself. */

/** The environment in which a run was measured. */
export interface Environment {
  /** Backend and device: `cpu: AMD EPYC (2 cores, avx512_bf16)`. */
  readonly device: string;
  readonly precision: "bf16" | "fp32";
  /** `OMP_NUM_THREADS`, if it is set. */
  readonly threads: string | null;
  /** How many processes trained together; absent: one. */
  readonly ranks?: number;
  readonly processor: string;
  /** The machine's memory in bytes. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  /** Version of this package. */
  readonly nextpatch: string;
  /** Versions of the backend's libraries. */
  readonly libraries: Readonly<Record<string, string>>;
  /** Commit of the repository in the working directory, with `-dirty` if files differ from it; null: none. */
  readonly commit: string | null;
  /** Tokens in the training and the held-out shards: if the data was prepared again, they differ. */
  readonly trainTokens: number;
  readonly valTokens: number;
  /** SHA-256 of the product table; null: none. */
  readonly productTable: string | null;
  /** When it was recorded, in ISO 8601. */
  readonly date: string;
}

/** What there is to know of environments, in words; values that differ between them are listed side by side. */
export function environmentFacts(environments: readonly Environment[]): [string, string][] {
  const each = (value: (environment: Environment) => string) => [...new Set(environments.map(value))].join("; ");
  return [
    ["Device", each(({ device, precision }) => `${device}, ${precision}`)],
    ["Processor", each(({ processor, memory }) => `${processor}, ${(memory / 2 ** 30).toFixed(1)} GiB of memory`)],
    ["Threads", each(({ threads }) => (threads === null ? "all cores" : `OMP_NUM_THREADS=${threads}`))],
    ["Processes", each(({ ranks = 1 }) => String(ranks))],
    ["System", each(({ system, node }) => `${system}, Node ${node}`)],
    ["nextpatch", each(({ nextpatch }) => nextpatch)],
    [
      "Libraries",
      each(({ libraries }) =>
        Object.entries(libraries)
          .map((entry) => entry.join(" "))
          .join(", "),
      ),
    ],
    ["Commit", each(({ commit }) => commit ?? "no repository")],
    ["Begun", each(({ date }) => date)],
  ];
}
