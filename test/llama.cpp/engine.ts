/** The part of node-llama-cpp that is needed here. run.sh installs it, so its types are not available. */
import { pathToFileURL } from "node:url";

interface Sequence {
  evaluate(tokens: readonly number[], options: { temperature: number }): AsyncGenerator<number>;
  dispose(): void;
}

interface Model {
  readonly tokens: { readonly bos: number | null; readonly shouldPrependBosToken: boolean };
  tokenize(text: string, specialTokens: boolean): number[];
  createContext(options: object): Promise<{ getSequence(): Sequence }>;
  dispose(): Promise<void>;
}

interface Engine {
  loadModel(options: { modelPath: string }): Promise<Model>;
  dispose(): Promise<void>;
}

/** An exported model in llama.cpp. */
export interface LoadedModel {
  /** What a text begins with, as the file says. */
  readonly begin: readonly number[];
  /** Token ids of a text, without those that begin and end it; names of special tokens are those tokens. */
  tokenize(text: string): number[];
  /** The likeliest tokens after a prompt, which is begun as the file says; fewer where the text ends before. */
  continue(prompt: string, count: number): Promise<number[]>;
  dispose(): Promise<void>;
}

/** Opens llama.cpp, on the CPU. @param entry the module file of node-llama-cpp */
export async function openEngine(entry: string) {
  const { getLlama } = (await import(pathToFileURL(entry).href)) as { getLlama(options: object): Promise<Engine> };
  const engine = await getLlama({ gpu: false, build: "never", logLevel: "warn" });
  const load = async (modelPath: string): Promise<LoadedModel> => {
    const model = await engine.loadModel({ modelPath });
    // Keys and values in fp32, as nextpatch has them: the default fp16 turns tokens that are near each other around.
    const cache = { experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" };
    // One thread: its threads spin, which other work on the machine turns into minutes.
    const context = await model.createContext({ ...cache, flashAttention: false, contextSize: 256, threads: 1 });
    const begin = model.tokens.shouldPrependBosToken ? [model.tokens.bos!] : [];
    return {
      begin,
      tokenize: (text) => model.tokenize(text, true),
      async continue(prompt, count) {
        const sequence = context.getSequence();
        const found: number[] = [];
        for await (const token of sequence.evaluate([...begin, ...model.tokenize(prompt, true)], { temperature: 0 })) {
          found.push(token);
          if (found.length === count) break;
        }
        sequence.dispose();
        return found;
      },
      dispose: () => model.dispose(),
    };
  };
  return { load, dispose: () => engine.dispose() };
}
