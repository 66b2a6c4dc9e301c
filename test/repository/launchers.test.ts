/** The Slurm script and the Kubernetes job of docs/distributed.md: what they say of themselves, and what they start. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { launchedPlace, meetingPoint } from "../../lib/ranks/place.js";
import { temporaryFolder } from "../support/temporary.js";

const page = readFileSync(fileURLToPath(new URL("../../docs/distributed.md", import.meta.url)), "utf8");
const surface = readFileSync(fileURLToPath(new URL("../../docs/surface.txt", import.meta.url)), "utf8");

/** The page's one block of a language that has a text in it. */
function block(language: string, text: string): string {
  const blocks = page.split(`\`\`\`${language}\n`).map((part) => part.split("\n```")[0]!);
  const [found, ...others] = blocks.slice(1).filter((each) => each.includes(text));
  if (found === undefined || others.length > 0) throw new Error(`expected one ${language} block with ${text}`);
  return found;
}

/** A command of the page is one of ours: its subcommand and flags are listed. */
function expectOurs([file, command, ...args]: readonly string[]): void {
  expect(file).toBe("node_modules/.bin/nextpatch");
  for (const flag of args.filter((each) => each.startsWith("--"))) {
    expect(surface).toMatch(new RegExp(`^nextpatch ${command} ${flag.replace(/=.*/, "")}\\b`, "m"));
  }
}

const path = temporaryFolder();

/** Puts a program into the folder, which the tests find first. */
function program(name: string, lines: string): void {
  const file = path(name);
  writeFileSync(file, `#!/bin/bash\n${lines}\n`);
  chmodSync(file, 0o755);
}

describe("the Slurm script", () => {
  const script = block("sh", "#SBATCH");
  /** Of `sbatch` and `srun`, as their manuals have them. */
  const sbatch = new Set(["nodes", "ntasks-per-node", "cpus-per-task", "time", "signal", "open-mode"]);
  const options = [...script.matchAll(/^#SBATCH (.*)$/gm)].flatMap(([, line]) => line!.split(" "));
  const value = (name: string) => options.find((each) => each.startsWith(`--${name}=`))?.split("=")[1];

  it("asks for what sbatch knows", () => {
    expect(script.startsWith("#!/bin/bash\n#SBATCH ")).toBe(true);
    for (const option of options) expect(sbatch).toContain(/^--([\w-]+)=\S+$/.exec(option)?.[1]);
    // To the steps' processes, not to the shell ("B:"), with time for a checkpoint.
    expect(value("signal")).toBe("USR1@300");
    expect(value("time")).toMatch(/^\d\d:\d\d:\d\d$/);
    expect(value("open-mode")).toBe("append");
  });

  /** Runs it with a Slurm that starts the command once for each task; returns what was asked of it. */
  function run(code: number): string[] {
    mkdirSync(path("node_modules/.bin"), { recursive: true });
    program("srun", `echo "srun $*" >> asked; while [[ $1 == --* ]]; do shift; done; exec "$@"`);
    program("scontrol", 'echo "scontrol $*" >> asked');
    program("node_modules/.bin/nextpatch", `echo "nextpatch $*" >> asked; exit ${code}`);
    const env = {
      PATH: `${path()}:${process.env.PATH}`,
      SLURM_CPUS_PER_TASK: value("cpus-per-task"),
      SLURM_JOB_ID: "42",
    };
    writeFileSync(path("job.sh"), script);
    spawnSync("bash", [path("job.sh")], { cwd: path(), env });
    return readFileSync(path("asked"), "utf8").trimEnd().split("\n");
  }

  it("starts a step, and is queued again where that was interrupted", () => {
    const [step, command, ...rest] = run(1);
    const [, flags, ours] = /^srun (.*?) (node_modules.*)$/.exec(step!)!;
    expect(flags!.split(" ")).toEqual(["--mpi=pmix", `--cpus-per-task=${value("cpus-per-task")}`]);
    expectOurs(ours!.split(" "));
    expect(command).toBe(ours!.replace(/^.*\//, ""));
    expect(rest).toEqual(["scontrol requeue 42"]);
  });

  it("is done where the run is", () => {
    expect(run(0)).toHaveLength(2);
  });

  it("is one that bash reads", () => {
    execFileSync("bash", ["-n"], { input: script });
  });
});

interface Resource {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

describe("the Kubernetes job", () => {
  interface Pod {
    readonly subdomain: string;
    readonly restartPolicy: string;
    readonly containers: readonly {
      readonly command: readonly string[];
      readonly env: readonly { name: string; value?: string; valueFrom?: object }[];
      readonly resources: { readonly limits: Readonly<Record<string, number>> };
    }[];
  }
  let service: Resource;
  let job: Resource;
  let pod: Pod;
  beforeEach(() => {
    const documents = parseAllDocuments(block("yaml", "kind: Job"), { strict: true });
    expect(documents.flatMap((document) => ("errors" in document ? document.errors : []))).toEqual([]);
    [service, job] = documents.map((document) => document.toJS() as Resource) as [Resource, Resource];
    pod = (job.spec.template as { spec: Pod }).spec;
  });

  it("has pods that find one another by a headless service", () => {
    expect([service.kind, service.apiVersion]).toEqual(["Service", "v1"]);
    // Also of pods that are not ready: they are once they have found one another.
    expect(service.spec).toEqual({
      clusterIP: "None",
      selector: { "job-name": job.metadata.name },
      publishNotReadyAddresses: true,
    });
    expect(pod.subdomain).toBe(service.metadata.name);
  });

  it("has a pod of its own for each rank, all at once, and none again", () => {
    expect([job.kind, job.apiVersion]).toEqual(["Job", "batch/v1"]);
    const { completionMode, completions, parallelism, backoffLimit } = job.spec;
    expect({ completionMode, backoffLimit }).toEqual({ completionMode: "Indexed", backoffLimit: 0 });
    expect(parallelism).toBe(completions);
    expect(pod.restartPolicy).toBe("Never");
    expect(pod.containers).toHaveLength(1);
    expect(pod.containers[0]!.resources.limits).toEqual({ "nvidia.com/gpu": 1 });
    expectOurs(pod.containers[0]!.command);
  });

  it("gives each pod a place, and the first one's name", () => {
    const [index, ...others] = pod.containers[0]!.env;
    expect(index).toEqual({
      name: "RANK",
      valueFrom: { fieldRef: { fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']" } },
    });
    for (let rank = 0; rank < Number(job.spec.completions); ++rank) {
      // The host name of an indexed job's pod is the job's name with its index.
      const env = { RANK: String(rank), ...Object.fromEntries(others.map(({ name, value }) => [name, value])) };
      const place = launchedPlace(env)!;
      expect(place).toMatchObject({ rank, size: job.spec.completions, local: 0, variable: "WORLD_SIZE" });
      const address = `${job.metadata.name}-0.${service.metadata.name}`;
      expect(meetingPoint(place, env)).toEqual({ address, port: 29501 });
    }
  });
});
