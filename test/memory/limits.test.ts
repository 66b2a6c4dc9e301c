/** The limits on a process's memory, on folders that look like machines. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const root = fileURLToPath(new URL("../..", import.meta.url));
const MiB = 2 ** 20;

let built = "";
beforeAll(() => {
  built = mkdtempSync(join(tmpdir(), "nextpatch-limits-"));
  const sources = ["native/cpu/memory_limits.cpp", "native/cpu/control_groups.cpp", "test/memory/print_limits.cpp"];
  execFileSync(process.env.CXX ?? "c++", ["-std=c++17", "-Wall", "-Werror", "-o", join(built, "print"), ...sources], {
    cwd: root,
  });
});
afterAll(() => rmSync(built, { recursive: true, force: true }));

/** A machine of 64 GiB, of which 60 are available, with these files more. */
const machine = {
  "/proc/meminfo": [
    "MemTotal:       67108864 kB",
    "MemFree:         1048576 kB",
    "MemAvailable:   62914560 kB",
    "HugePages_Total:       0",
    "CommitLimit:    33554432 kB",
    "Committed_AS:    1048576 kB",
  ].join("\n"),
  "/proc/self/statm": "4000 2000 500 1 0 3000 0\n",
  "/proc/sys/vm/overcommit_memory": "0\n",
};

/** The limits in MiB, by what sets them; the machine's own is left out where it is as above. */
function limits(files: Readonly<Record<string, string>>): Record<string, [total: number, free: number]> {
  for (const [file, text] of Object.entries({ ...machine, ...files })) {
    mkdirSync(dirname(path(file)), { recursive: true });
    writeFileSync(path(file), text);
  }
  const lines = execFileSync(join(built, "print"), [path()], { encoding: "utf8" }).trim().split("\n");
  const found = lines.map((line) => {
    const [source, total, free] = line.split("\t");
    return [source!.replace("the control group's limit in ", ""), [Number(total) / MiB, Number(free) / MiB]] as const;
  });
  expect(found[0]).toEqual(["MemAvailable in /proc/meminfo", [65536, 61440]]);
  return Object.fromEntries(found.slice(1)) as Record<string, [number, number]>;
}

const mount = (folder: string, type: string, shown = "/", options = "rw") =>
  `31 22 0:28 ${shown} ${folder} rw,relatime shared:9 - ${type} cgroup ${options}\n`;

/** A group of version 2: MiB used, of which files, and its limits. */
function group(folder: string, used: number, files: number, max: number | "max", high: number | "max" = "max") {
  const text = (mib: number | "max") => `${mib === "max" ? mib : mib * MiB}\n`;
  return {
    [`${folder}/memory.max`]: text(max),
    [`${folder}/memory.high`]: text(high),
    [`${folder}/memory.current`]: text(used),
    [`${folder}/memory.stat`]: `anon 1\ninactive_file ${(files / 2) * MiB}\nactive_file ${(files / 2) * MiB}\nslab 7\n`,
  };
}

/** A group of version 1. */
function group1(folder: string, used: number, files: number, limit: number | null, above = limit) {
  const none = "9223372036854771712";
  return {
    [`${folder}/memory.limit_in_bytes`]: limit === null ? none : String(limit * MiB),
    [`${folder}/memory.usage_in_bytes`]: String(used * MiB),
    [`${folder}/memory.use_hierarchy`]: "1\n",
    [`${folder}/memory.stat`]:
      `inactive_file 1\nhierarchical_memory_limit ${above === null ? none : above * MiB}\n` +
      `total_inactive_file ${files * MiB}\ntotal_active_file 0\n`,
  };
}

it("is the machine's where there are no control groups", () => {
  expect(limits({})).toEqual({});
});

it("is that of the process's own group, less what it uses, without files' pages", () => {
  const found = limits({
    "/proc/self/cgroup": "0::/job\n",
    "/proc/self/mountinfo": mount("/proc", "proc") + mount("/sys/fs/cgroup", "cgroup2"),
    ...group("/sys/fs/cgroup/job", 3000, 1000, 8000),
  });
  expect(found).toEqual({ "/sys/fs/cgroup/job/memory.max": [8000, 6000] });
});

it("is that of every group above, too, and none of a neighbour's", () => {
  const found = limits({
    "/proc/self/cgroup": "1:name=systemd:/other\n0::/slurm/job/step\n",
    "/proc/self/mountinfo": mount("/sys/fs/cgroup", "cgroup2"),
    ...group("/sys/fs/cgroup/slurm/job/step", 100, 0, "max", 7000),
    ...group("/sys/fs/cgroup/slurm/job/extern", 100, 0, 1),
    ...group("/sys/fs/cgroup/slurm/job", 3900, 0, 4000),
    ...group("/sys/fs/cgroup/slurm", 9000, 2000, 9000),
    ...group("/sys/fs/cgroup/other", 100, 0, 1),
  });
  expect(found).toEqual({
    "/sys/fs/cgroup/slurm/job/step/memory.high": [7000, 6900],
    "/sys/fs/cgroup/slurm/job/memory.max": [4000, 100],
    "/sys/fs/cgroup/slurm/memory.max": [9000, 2000],
  });
});

it("has nothing free where a group is beyond its limit", () => {
  const found = limits({
    "/proc/self/cgroup": "0::/job\n",
    "/proc/self/mountinfo": mount("/sys/fs/cgroup", "cgroup2"),
    ...group("/sys/fs/cgroup/job", 3000, 0, 8000, 2000),
  });
  expect(found["/sys/fs/cgroup/job/memory.high"]).toEqual([2000, 0]);
});

it.each([
  { what: "a namespace of its own", group: "/", shown: "/" },
  { what: "a mount that shows the container's part", group: "/docker/abc", shown: "/docker/abc" },
  { what: "a mount that shows a group whose name only begins so", group: "/docker/abcd", shown: "/docker/abc" },
  { what: "a mount made outside of the namespace", group: "/", shown: "/../.." },
  { what: "a group outside of the namespace", group: "/../other", shown: "/" },
])("is the container's in $what", ({ group: name, shown }) => {
  const found = limits({
    "/proc/self/cgroup": `0::${name}\n`,
    "/proc/self/mountinfo": mount("/sys/fs/cgroup", "cgroup2", shown),
    ...group("/sys/fs/cgroup", 1000, 0, 2000),
    ...group("/sys/fs/other", 1000, 0, 1),
  });
  expect(found).toEqual({ "/sys/fs/cgroup/memory.max": [2000, 1000] });
});

it("is found below the container's part, at a folder with a space in its name", () => {
  const found = limits({
    "/proc/self/cgroup": "0::/docker/abc/inner\n",
    "/proc/self/mountinfo": mount("/mnt/control\\040groups", "cgroup2", "/docker/abc"),
    ...group("/mnt/control groups/inner", 1000, 0, 1500),
    ...group("/mnt/control groups", 1000, 0, 2000),
  });
  expect(found).toEqual({
    "/mnt/control groups/inner/memory.max": [1500, 500],
    "/mnt/control groups/memory.max": [2000, 1000],
  });
});

it("is that of version 1's memory controller, and of its groups above", () => {
  const memory = "/sys/fs/cgroup/memory";
  const found = limits({
    "/proc/self/cgroup": "5:cpuset:/cpu\n4:hugetlb,memory:/a/b\n0::/\n",
    "/proc/self/mountinfo":
      mount("/sys/fs/cgroup/cpuset", "cgroup", "/", "rw,cpuset") +
      mount(memory, "cgroup", "/", "rw,hugetlb,memory") +
      mount("/sys/fs/cgroup/unified", "cgroup2"),
    ...group1(`${memory}/a/b`, 500, 100, 1000),
    ...group1(`${memory}/a`, 1500, 0, 3000),
    ...group1(memory, 9000, 0, null),
  });
  expect(found).toEqual({
    [`${memory}/a/b/memory.limit_in_bytes`]: [1000, 600],
    [`${memory}/a/b/memory.stat`]: [1000, 600],
    [`${memory}/a/memory.limit_in_bytes`]: [3000, 1500],
  });
});

it("is that of groups of version 1 that a container does not see, and none of one that leaves out those below", () => {
  const memory = "/sys/fs/cgroup/memory";
  const found = limits({
    "/proc/self/cgroup": "4:memory:/pod/container\n",
    "/proc/self/mountinfo": mount(memory, "cgroup", "/pod", "rw,memory"),
    ...group1(`${memory}/container`, 500, 0, null, 2000),
    ...group1(memory, 700, 0, 800),
    [`${memory}/memory.use_hierarchy`]: "0\n",
  });
  expect(found).toEqual({ [`${memory}/container/memory.stat`]: [2000, 1500] });
});

it("is what the kernel still commits to where it does not overcommit", () => {
  expect(limits({ "/proc/sys/vm/overcommit_memory": "2\n" })).toEqual({
    "CommitLimit in /proc/meminfo, as vm.overcommit_memory is 2": [32768, 31744],
  });
});

it.each(["", "::\n:::\n0:\n", "0::\n", "0::relative\n", "0::/\u0000\n"])(
  "takes the machine's where the kernel's files are not as expected: %j",
  (text) => {
    expect(
      limits({
        "/proc/self/cgroup": text,
        "/proc/self/mountinfo": `\n - \n1 2 3\n${mount("/sys/fs/cgroup\\9", "cgroup2")}`,
        "/proc/meminfo": `${machine["/proc/meminfo"]}\n\nnonsense\nMore: than enough\n`,
      }),
    ).toEqual({});
  },
);
