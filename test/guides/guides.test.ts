/**
 * The guides' files and commands as they stand, one guide after the other in one folder, on a few of the addresses. What
 * needs a GPU, a network or llama.cpp is not run; of nextpatch's commands among that, the flags exist.
 */
import { existsSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { guides } from "./guide.js";
import { project } from "./project.js";

const { shell, path } = project(/^(180|196)\d_.*\.txt$/);

/** What guides leave behind, or print. */
const made: Readonly<Record<string, string>> = {
  pretrain: "runs/pretrain/report.html",
  continue: "runs/continue/model/model.safetensors",
  loop: "runs/loop/model/model.safetensors",
  "many-gpus": "runs/many/model/model.safetensors",
  evaluate: "scores.jsonl",
  serve: "pretrain.gguf",
};
const printed: Readonly<Record<string, RegExp>> = {
  kernels: /^loss \d\.\d{4} nats, gradients 16,256 and 256,64$[\s\S]*^ {2}dlogits: \d\.\de-\d+$/m,
  loop: /^K = 4, step 20: \d\.\d+\n[\s\S]*^K = 1, step 20: \d\.\d+\nvalidation \d\.\d+ nats per token$/m,
  "many-gpus": /^2 ranks: 3,3,3,3$/m,
};

const ranks = native.engine("openmpi").available;

for (const { name, steps } of guides()) {
  (name === "many-gpus" && !ranks ? describe.skip : describe)(`${name}.md`, () => {
    it("is followed to its end", async () => {
      let output = "";
      for (const step of steps) {
        if (step.kind === "file") writeFileSync(path(step.name), step.text);
        else if (step.why === null) {
          const { code, stdout, stderr } = await shell(step.text);
          expect({ commands: step.text, code, stderr: code === 0 ? "" : stderr }).toMatchObject({
            code: 0,
            stderr: "",
          });
          output += stdout;
        }
      }
      if (name in made) expect(existsSync(path(made[name]!))).toBe(true);
      if (name in printed) expect(output).toMatch(printed[name]!);
    }, 300_000);

    it("names flags that there are in what is not run", async () => {
      for (const step of steps) {
        if (step.kind === "file" || step.why === null) continue;
        const text = step.text.replace(/\\\n/g, "");
        for (const [, command, args] of text.matchAll(/\bnextpatch (?!\/)([a-z]+)(.*)$/gm)) {
          const { stdout } = await shell(`npx nextpatch ${command} --help`);
          for (const [flag] of args!.matchAll(/(?<= )--[\w-]+/g)) expect(stdout).toContain(flag);
        }
      }
    });
  });
}
