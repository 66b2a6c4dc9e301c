/** The tokenizer of a run: the run keeps a copy, from which its checkpoints and its model get theirs. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { RunConfig } from "../config/config.js";
import { entriesOf, givenName } from "../config/data_entries.js";
import { Tokenizer } from "../data/tokenizer.js";
import { readCompanion, TOKENIZER_COMPANIONS, TOKENIZER_JSON } from "../data/tokenizer_files.js";
import { writeFolder } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readWhole } from "../disk/read_text.js";
import { modelFolder } from "../hf/hub_cache.js";

/** A run's tokenizer. */
export interface RunTokenizer {
  /** Its tokenizer.json; null: it is of data in memory. */
  readonly path: string | null;
  readonly tokenizer: Tokenizer;
  readonly endOfTextId: number;
  readonly endOfText: string;
  /** The token that begins a text. */
  readonly beginId: number;
  /** Its text. */
  readonly begin: string;
}

/** The path of a run's own copy. */
const copyPath = (out: string): string => join(out, "tokenizer", TOKENIZER_JSON);

/**
 * The run's own copy, if it is resumed and has one; else the `tokenizer.json` beside the model that the run begins with,
 * else that beside the first training shard. Null: there is none.
 */
export function findTokenizer(config: RunConfig, resume: boolean): string | null {
  if (resume && existsSync(copyPath(config.out))) return copyPath(config.out);
  const first = entriesOf(config.data.train)[0]!.path;
  const folders = [
    ...("from" in config.init ? [modelFolder(config.init.from)] : []),
    ...(givenName(first) === null ? [dirname(first)] : []),
  ];
  return folders.map((folder) => join(folder, TOKENIZER_JSON)).find((path) => existsSync(path)) ?? null;
}

/**
 * Reads a tokenizer.
 * @param endOfText the token that separates the documents of the data; null: unknown
 * @throws DataError
 */
export async function readTokenizer(path: string, endOfText: string | null): Promise<RunTokenizer> {
  return describedTokenizer(path, await Tokenizer.fromFile(path, endOfText === null ? {} : { endOfText }));
}

/** A run's tokenizer. @throws DataError */
export async function describedTokenizer(path: string | null, tokenizer: Tokenizer): Promise<RunTokenizer> {
  const [beginId = tokenizer.endOfTextId] = (await tokenizer.frame()).before;
  const begin = await tokenizer.decode([beginId], { keepSpecialTokens: true });
  return { path, tokenizer, endOfTextId: tokenizer.endOfTextId, endOfText: tokenizer.endOfText, beginId, begin };
}

/**
 * Copies a tokenizer, and the files that belong to it, into the run's folder, and returns the copy. For a model that is
 * continued, the files stay as they are. A new model's `tokenizer_config.json` names the tokens that its `config.json`
 * names.
 */
export async function keepTokenizer(
  config: RunConfig,
  tokenizer: RunTokenizer,
): Promise<RunTokenizer & { readonly path: string }> {
  const path = copyPath(config.out);
  const { path: from, tokenizer: loaded } = tokenizer;
  if (from === path) return { ...tokenizer, path };
  const source = from ?? loaded.file;
  const continued =
    "from" in config.init && from !== null && relative(dirname(from), modelFolder(config.init.from)) === "";
  await writeFolder(dirname(path), async (folder) => {
    await mkdir(folder);
    const write = (name: string, content: string | Buffer) => writeFile(join(folder, name), content, { flush: true });
    await write(TOKENIZER_JSON, from === null ? loaded.json : await readWhole(from, inputLimits.tokenizer));
    for (const name of source === null ? [] : TOKENIZER_COMPANIONS) {
      const content = await readCompanion(source!, name);
      if (content === null) continue;
      const isConfig = name === "tokenizer_config.json" && !continued;
      await write(name, isConfig ? withEnds(content.toString(), tokenizer) : content);
    }
  });
  return { ...tokenizer, path };
}

/** A `tokenizer_config.json` with the tokens that begin and end a text. */
function withEnds(text: string, { begin, endOfText }: RunTokenizer): string {
  const config = parseJson(text) as Record<string, unknown>;
  return `${JSON.stringify({ ...config, bos_token: begin, eos_token: endOfText }, null, 2)}\n`;
}
