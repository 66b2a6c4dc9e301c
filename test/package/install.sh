#!/usr/bin/env bash
# The package as its users get it: packed, installed in an empty project, the addon compiled by its command, imported,
# its types resolved under moduleResolution nodenext.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cd "$root"
npm run build:ts
npm pack --pack-destination "$folder" > "$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
tarball=$(echo "$folder"/nextpatch-*.tgz)
tar -tzf "$tarball" > "$folder/files"
for file in package/LICENSE package/README.md package/CMakeLists.txt package/binding.d.ts package/native/kernels.h \
  package/dist/index.js package/dist/index.d.ts package/dist/cli/main.js; do
  grep -qx "$file" "$folder/files" || { echo "the package lacks $file" >&2; exit 1; }
done
if grep -E '^package/(test|build|node_modules|runs|data)/' "$folder/files"; then
  echo "the package holds what is not its users'" >&2
  exit 1
fi
npx publint "$tarball" --strict

mkdir "$folder/project" && cd "$folder/project"
echo '{ "name": "project", "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund "$tarball" @types/node@20
npx --no-install nextpatch build

cat > program.ts <<'TS'
import { Llama, Tensor, type LlamaConfig } from "nextpatch";
import { patchEmbedding } from "nextpatch/kernels";

const shape: Partial<LlamaConfig> = {
  vocab_size: 64, hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 1,
};
const model = Llama.create(shape, { device: "cpu", precision: "fp32", seed: 1 });
const tensor: Tensor<"f32"> = new Tensor(model.device, "f32", [3]);
tensor.write(Float32Array.of(1, 2, 3));
const values: Float32Array = await tensor.read();
const tokens = new Tensor(model.device, "i32", [2]);
tokens.write(Int32Array.of(0, 2));
const mean: Tensor<"f32"> = patchEmbedding(tokens, tensor.reshape([3, 1]), { patchSize: 2 });
const [average] = await mean.read();
if (values[2] !== 3 || average !== 2 || model.parameterCount <= 0) throw new Error("the addon computes something else");
// @ts-expect-error: a device is not any text
void (() => Llama.create(shape, { device: "gpu" }));
TS
cat > tsconfig.json <<'JSON'
{
  "compilerOptions": {
    "target": "es2022", "lib": ["es2022", "esnext.disposable"], "module": "nodenext", "strict": true, "types": ["node"]
  },
  "files": ["program.ts"]
}
JSON
"$root/node_modules/.bin/tsc" -p tsconfig.json
node program.js
npx --no-install nextpatch info --json > info.json
node -e '
  const { backends } = JSON.parse(require("node:fs").readFileSync("info.json", "utf8"));
  if (!backends.find(({ name }) => name === "cpu").available) throw new Error("no cpu backend");
'
echo "ok   the package installs, compiles, type-checks and runs"
