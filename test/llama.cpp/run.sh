#!/usr/bin/env bash
# Exported models in llama.cpp itself: fetches its build for Node (x86-64 Linux, 70 MB) into a folder of its own, compares
# tokens and greedy continuations with nextpatch's, and runs the program of docs/guides/serve.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

version=3.22.1
echo '{ "private": true }' > "$folder/package.json"
# The CPU build is named; the optional packages are the builds for GPUs and other machines.
npm install --prefix "$folder" --ignore-scripts --omit=optional --no-audit --no-fund \
  "node-llama-cpp@$version" "@node-llama-cpp/linux-x64@$version"

cd "$root"
npx tsx test/llama.cpp/compare.ts "$folder/node_modules/node-llama-cpp/dist/index.js" "$folder/work"
npx tsx test/llama.cpp/guide.ts "$folder" "$folder/work/dtype.gguf"
