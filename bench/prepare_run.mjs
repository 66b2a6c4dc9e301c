/** `nextpatch prepare` with the built package, for prepare.ts; its last line is JSON, as peers/prepare.py's. */
import { parseArgs } from "node:util";
import prepare from "../dist/data/prepare.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { tokenizer: { type: "string" }, out: { type: "string" } },
});
const options = { files: positionals, tokenizerPath: flags.tokenizer, out: flags.out, valFraction: 0 };
const { tokens } = await prepare.prepareDataset({ ...options, shardTokens: 2 ** 31 - 1 });
const megabytes = process.resourceUsage().maxRSS / 1024;
process.stdout.write(`${JSON.stringify({ tokens: tokens.train, megabytes })}\n`);
