/** What must not compile does not, each config and call with its own error: test/types/wrong.ts. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "@jest/globals";

/** What a comment asks of the statement below it, by the line of the statement. */
function wantedErrors(source: string): { line: number; code: string; text: string }[] {
  return source.split("\n").flatMap((comment, index) => {
    const [, code, text] = /^\/\/ (\d{4}): (.+)$/.exec(comment) ?? [];
    return code === undefined ? [] : [{ line: index + 2, code, text: text! }];
  });
}

it("fails to compile, each with the error that is expected", () => {
  const wanted = wantedErrors(readFileSync("test/types/wrong.ts", "utf8"));
  const tsc = ["node_modules/typescript/bin/tsc", "-p", "test/types/tsconfig.json", "--noEmit", "--pretty", "false"];
  const { stdout } = spawnSync(process.execPath, tsc, { encoding: "utf8" });
  const found = [...stdout.matchAll(/^(\S+)\((\d+),\d+\): error TS(\d+): (.*)$/gm)].map(
    ([, file, line, code, text]) => {
      const asked = wanted.find((each) => each.line === Number(line) && text!.includes(each.text));
      return { file, line: Number(line), code, text: asked?.text ?? text };
    },
  );
  expect(found).toEqual(wanted.map((each) => ({ file: "test/types/wrong.ts", ...each })));
  expect(wanted.length).toBeGreaterThanOrEqual(50);
});
