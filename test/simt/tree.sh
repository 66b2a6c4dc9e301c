#!/usr/bin/env bash
# A tree to run tests in with the simt backend of another build: the addon looks for its backends beside itself.
#
#   test/simt/tree.sh BUILD      (its Release/nextpatch_simt.so; makes BUILD/tree; what else is needed is the ordinary build's)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tree=$1/tree
rm -rf "$tree"
mkdir -p "$tree/build/Release"
cp -r lib test examples binding.d.ts package.json jest.config.js "$tree"
ln -s "$PWD/node_modules" "$tree/node_modules"
cp build/Release/nextpatch.node build/Release/nextpatch_cpu_*.so "$1/Release/nextpatch_simt.so" "$tree/build/Release"
for file in build/Release/nextpatch_openmpi.so "$1/Release/libfake_nccl.so"; do
  if [ -f "$file" ]; then cp "$file" "$tree/build/Release"; fi
done
