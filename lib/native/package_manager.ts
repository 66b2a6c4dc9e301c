/** What to type to install a package, for the package manager of the project that this package lies in. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";

type PackageManager = "npm" | "pnpm" | "yarn" | "bun";

const lockfiles: readonly (readonly [file: string, manager: PackageManager])[] = [
  ["package-lock.json", "npm"],
  ["npm-shrinkwrap.json", "npm"],
  ["pnpm-lock.yaml", "pnpm"],
  ["yarn.lock", "yarn"],
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
];

/** The manager that started this process, else the one whose lockfile is nearest above a folder, else npm. */
export function packageManager(folder: string, agent = process.env.npm_config_user_agent): PackageManager {
  const started = /^(npm|pnpm|yarn|bun)\//.exec(agent ?? "")?.[1];
  if (started !== undefined) return started as PackageManager;
  for (let at = folder; ; at = dirname(at)) {
    const found = lockfiles.find(([file]) => existsSync(join(at, file)));
    if (found !== undefined) return found[1];
    if (at === dirname(at)) return "npm";
  }
}

/** The line that installs a package beside the one in `folder`: `npm install name@version`. */
export function installLine(name: string, folder: string, manager = packageManager(folder)): string {
  if (manager === "npm") return `npm install ${isGlobal(folder) ? "--global " : ""}${name}`;
  return `${manager} add ${name}`;
}

/** The line that installs the optional packages that an installation left out. */
export function optionalLine(folder: string, manager = packageManager(folder)): string {
  if (manager !== "npm") return `${manager} install`;
  return `npm install ${isGlobal(folder) ? "--global nextpatch " : ""}--include=optional`;
}

/** The line that puts a damaged package's folder in order again. */
export function reinstallLine(name: string, folder: string, manager = packageManager(folder)): string {
  if (manager === "pnpm") return "pnpm install --force";
  if (manager === "yarn") return "rm -r node_modules && yarn install";
  return `rm -r ${folder} && ${isGlobal(folder) ? installLine(name, folder, manager) : `${manager} install`}`;
}

/** The line that runs this package's command. */
export function commandLine(command: string, folder: string, manager = packageManager(folder)): string {
  if (manager === "npm" && isGlobal(folder)) return `nextpatch ${command}`;
  const run = { npm: "npx", pnpm: "pnpm exec", yarn: "yarn", bun: "bunx" } as const;
  return `${run[manager]} nextpatch ${command}`;
}

/** Whether npm installed a package for the whole machine: in `lib/node_modules`, of no project. */
function isGlobal(folder: string): boolean {
  const modules = folder.slice(0, folder.lastIndexOf("node_modules"));
  return folder.includes("node_modules") && basename(modules) === "lib" && !existsSync(join(modules, "package.json"));
}
