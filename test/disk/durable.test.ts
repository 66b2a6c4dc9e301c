import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as actual from "node:fs/promises";
import { beforeEach, describe, expect, it, jest } from "@jest/globals";
import { temporaryFolder } from "../support/temporary.js";

/** What was done to the disk, in order; paths from the temporary folder on. */
let log: string[] = [];
const path = temporaryFolder();
const short = (name: unknown) => String(name).slice(path().length + 1);

jest.unstable_mockModule("node:fs/promises", () => ({
  ...actual,
  open: async (name: string, flags?: string) => {
    const handle = await actual.open(name, flags);
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      log.push(`sync ${short(name)}`);
      await sync();
    };
    return handle;
  },
  writeFile: async (name: string, data: string, options?: { flush?: boolean }) => {
    await actual.writeFile(name, data, options);
    log.push(`write ${short(name)}`, ...(options?.flush ? [`sync ${short(name)}`] : []));
  },
  rename: async (from: string, to: string) => {
    await actual.rename(from, to);
    log.push(`rename ${short(from)} ${short(to)}`);
  },
  rm: async (name: string, options: object) => {
    if (existsSync(name)) log.push(`rm ${short(name)}`);
    await actual.rm(name, options);
  },
}));
const { recoverFolder, writeFolder, writeText } = await import("../../lib/disk/durable.js");
const { prepareResumption } = await import("../../lib/train/resumption.js");
const { Llama } = await import("../../lib/nn/llama.js");
const { madeConfig, runTo, writeMadeData } = await import("../support/made_run.js");

beforeEach(() => {
  log = [];
});

const writes = (text: string) => async (folder: string) => {
  mkdirSync(folder);
  writeFileSync(`${folder}/file`, text);
};
const content = (folder: string) => readFileSync(path(`${folder}/file`), "utf8");

describe("a folder that replaces another", () => {
  it("stands there whole, and nothing beside it", async () => {
    for (const text of ["one", "two"]) {
      await writeFolder(path("model"), writes(text));
      expect(content("model")).toBe(text);
    }
    expect(readdirSync(path())).toEqual(["model"]);
    expect(log.filter((line) => line.startsWith("sync"))).toEqual([
      "sync .model.part",
      "sync ",
      "sync .model.part",
      "sync ",
    ]);
  });

  it("leaves the old one where it cannot be written", async () => {
    await writeFolder(path("model"), writes("old"));
    const failing = writeFolder(path("model"), async (folder) => {
      await writes("half")(folder);
      throw new Error("disk full");
    });
    await expect(failing).rejects.toThrow("disk full");
    expect(content("model")).toBe("old");
    expect(readdirSync(path())).toEqual(["model"]);
  });

  it("is found again where the process was killed between the renames", async () => {
    await writes("old")(path(".model.old"));
    await writes("new")(path(".model.part"));
    await recoverFolder(path("model"));
    expect(content("model")).toBe("old");
    // Also by the next attempt to write it, which must not delete the only one there is.
    mkdirSync(path("other"));
    await writes("old")(path("other/.model.old"));
    const failing = writeFolder(path("other/model"), async () => Promise.reject(new Error("disk full")));
    await expect(failing).rejects.toThrow("disk full");
    expect(content("other/model")).toBe("old");
  });
});

describe("a run's folder", () => {
  beforeEach(async () => writeMadeData(path()));

  it("is put back where a process was killed while it replaced a part", async () => {
    const config = madeConfig(path());
    await runTo(config, { until: 3 });
    await actual.rename(path("run/checkpoints/step-00000003"), path("run/checkpoints/.step-00000003.old"));
    await writes("old")(path("run/.model.old"));
    const options = { from: null, force: false, ownRates: false, resolve: () => [], log: () => undefined };
    const { checkpoint } = await prepareResumption(config, options);
    expect(checkpoint).toBe(path("run/checkpoints/step-00000003"));
    expect(content("run/model")).toBe("old");
    expect((await runTo(config, { resume: true, until: 4 })).map(({ step }) => step)).toEqual([4]);
  });

  it("deletes a checkpoint only when the next is on the disk with its pointer, and never by halves", async () => {
    await runTo(madeConfig(path(), { checkpoint: { everySteps: 2, keep: 1 } }), { until: 2 });
    await writes("half")(path("run/checkpoints/.step-00000001.part"));
    log = [];
    await runTo(madeConfig(path(), { checkpoint: { everySteps: 2, keep: 1 } }), { resume: true, until: 4 });
    const at = (line: string) => {
      expect(log).toContain(line);
      return log.indexOf(line);
    };
    const part = "run/checkpoints/.step-00000004.part";
    const order = [
      at("rm run/checkpoints/.step-00000001.part"),
      at(`sync ${part}/model.safetensors`),
      at(`sync ${part}/trainer`),
      at(`sync ${part}`),
      log.indexOf("sync run/checkpoints", at(`sync ${part}`)),
      log.lastIndexOf("sync run/latest.part"),
      log.lastIndexOf("rename run/latest.part run/latest"),
      log.indexOf("sync run", log.lastIndexOf("rename run/latest.part run/latest")),
      at("rename run/checkpoints/step-00000002 run/checkpoints/.step-00000002.gone"),
      at("rm run/checkpoints/.step-00000002.gone"),
    ];
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(readdirSync(path("run/checkpoints"))).toEqual(["step-00000004"]);
  });

  it("is on the disk with every file in it, the tokenizer too, and with its own name", async () => {
    const synced = () => log.filter((line) => line.startsWith("sync ")).map((line) => line.slice("sync ".length));
    await runTo(madeConfig(path()), { until: 1 });
    const part = "run/checkpoints/.step-00000001.part";
    for (const file of readdirSync(path("run/checkpoints/step-00000001"), { recursive: true }) as string[]) {
      expect([file, synced().includes(`${part}/${file}`)]).toEqual([file, true]);
    }
    expect(synced()).toEqual(expect.arrayContaining(["", "run", "run/checkpoints"]));

    writeFileSync(path("tokenizer.json"), "{}");
    using model = await Llama.load(path("run/checkpoints/step-00000001"), { device: "cpu" });
    log = [];
    await model.save(path("saved"), { tokenizer: { path: path("tokenizer.json"), endOfText: "<end>", maxLength: 64 } });
    expect(readFileSync(path("saved/tokenizer.json"), "utf8")).toBe("{}");
    const files = readdirSync(path("saved")).map((file) => `saved/${file}`);
    expect(synced().sort()).toEqual(["", "saved", ...files].sort());
  });
});

describe("a text file", () => {
  it("is replaced at once", async () => {
    await writeText(path("text"), "one");
    expect(log).toEqual(["write text.part", "sync text.part", "rename text.part text", "sync "]);
  });
});
