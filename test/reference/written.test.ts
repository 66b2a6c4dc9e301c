/** docs/api is what typedoc writes from the sources, to the byte. Installs typedoc, if it is not there. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";

it("docs/api is what `npm run reference` writes", () => {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const check = ["node_modules/tsx/dist/cli.mjs", "docs/reference/write.ts", "--check"];
  const { status, stderr } = spawnSync(process.execPath, check, { cwd, env, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
