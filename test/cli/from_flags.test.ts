import { describe, expect, it } from "@jest/globals";
import { Arguments } from "../../lib/arguments.js";
import { fromFlags } from "../../lib/cli/usage.js";
import { ConfigError } from "../../lib/errors.js";

const check = new Arguments("evaluate");
const flags = { data: "--data", sequenceLength: "--sequence-length" };

describe("an error of a function that a command calls", () => {
  it.each([
    [() => check.wholeNumber("sequenceLength", 1, 2), "--sequence-length: expected a whole number of at least 2"],
    [() => check.strings("data", ["a", 3], 1), "--data: expected a string but received 3"],
  ])("is one of the flag that the argument came from: %s", async (call, message) => {
    const failed = fromFlags("evaluate", flags, call as () => unknown);
    await expect(failed).rejects.toBeInstanceOf(ConfigError);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toMatchObject({ cause: { operation: "evaluate" } });
  });

  it.each([
    ["of an argument that is no flag's", () => check.boolean("model", 3)],
    ["of another function", () => new Arguments("Decoder").wholeNumber("sequenceLength", 0, 1)],
    ["of the language", () => (undefined as unknown as { data: number }).data],
    ["of data", () => Promise.reject(new Error("cut short"))],
  ])("stays a failure: %s", async (_, call) => {
    const failed = fromFlags("evaluate", flags, call as () => unknown);
    await expect(failed).rejects.not.toBeInstanceOf(ConfigError);
  });

  it("is none if there is none", async () => {
    await expect(fromFlags("evaluate", flags, () => 3)).resolves.toBe(3);
  });
});
