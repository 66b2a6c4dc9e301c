/** The line that installs the cuda backend, by the machine's driver. */
import { type Machine, nvidiaDriver } from "./machine.js";
import { cudaPackages, type Package, platformPackageName } from "./package.js";
import { commandLine, installLine } from "./package_manager.js";

/** Why the cuda backend of an installed package is missing, and what to type. */
export function missingCuda({ platform, arch }: Machine, self: Package, driver = nvidiaDriver()): string {
  if (driver === null) return "no NVIDIA driver is installed (in a container: it was not started with --gpus all)";
  if (arch !== "x64") {
    return `the cuda backend has no package for ${platform}-${arch}; to compile it: ${commandLine("build --cuda", self.root)}`;
  }
  const line = (suffix: string) =>
    installLine(`${platformPackageName(platform, arch)}-${suffix}@${self.version}`, self.root);
  const [newest, ...older] = cudaPackages;
  if (driver === "unknown") {
    const others = older.map(({ suffix }) => `before ${newest.driver}: ${line(suffix)}`);
    return (
      `the cuda backend is not installed. To install it, by the driver that nvidia-smi names, from ${newest.driver} on: ` +
      `${line(newest.suffix)}; ${others.join("; ")}`
    );
  }
  const fits = cudaPackages.find((each) => Number.parseInt(driver, 10) >= each.driver);
  if (fits !== undefined) {
    return `the cuda backend is not installed. To install it for the NVIDIA driver ${driver}: ${line(fits.suffix)}`;
  }
  const oldest = cudaPackages.at(-1)!.driver;
  return `the NVIDIA driver ${driver} is too old for the cuda backend: expected ${oldest} or later`;
}
