/** Folders that hold something else than a model in safetensors, named for what they are. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

interface Kind {
  readonly names: RegExp;
  /** What it is, and what to do. */
  readonly words: (file: string) => string;
}

const kinds: readonly Kind[] = [
  {
    names: /^adapter_(config\.json|model\.(safetensors|bin))$/,
    words: (file) =>
      `an adapter (${file}), which is no model by itself: merge it into its base model (PEFT's merge_and_unload)`,
  },
  {
    names: /^(pytorch_model.*\.bin(\.index\.json)?|consolidated.*\.pth|.*\.pt|.*\.ckpt)$/,
    words: (file) =>
      `weights as a pickle (${file}), which can run any code when it is read: save it as safetensors ` +
      "(transformers' save_pretrained)",
  },
  {
    names: /\.gguf$/,
    words: (file) => `a GGUF file (${file}), which is for inference: take the model that it was made from`,
  },
  { names: /^(tf_model\.h5|flax_model\.msgpack|.*\.onnx)$/, words: (file) => `weights for another library (${file})` },
];

/** What a folder without safetensors holds, in words; null: nothing that is known. */
export function foreignFolder(folder: string): string | null {
  if (!existsSync(folder)) return null;
  const files = readdirSync(folder);
  for (const { names, words } of kinds) {
    const file = files.find((name) => names.test(name));
    if (file !== undefined) return words(file);
  }
  return null;
}

/** Whether a folder holds an adapter and no model: PEFT writes a safetensors file of its own name. */
export function isAdapter(folder: string): boolean {
  return existsSync(join(folder, "adapter_config.json")) && !existsSync(join(folder, "config.json"));
}
