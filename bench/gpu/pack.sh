#!/usr/bin/env bash
# Packs into .gpu/pack what a GPU machine needs beside the source to run bench/gpu.sh quick, with no network, no Node and
# no compiler: Node itself, the packages that run here, the compiled TypeScript, the addon with its backends, and the
# libraries that the backends link. There, in the same checkout: `. bench/gpu/unpack.sh`, then `bench/gpu.sh quick`.
#
# That machine has glibc and libstdc++ at least as new as those here; they are not packed.
set -euo pipefail
cd "$(dirname "$0")/../.."

most_mib=64  # together with the source
pack=.gpu/pack

npm run --silent build:native
npm run --silent build:ts
bench/gpu/build_fault.sh
[[ -e build/Release/nextpatch_cuda.so ]] || echo "pack: there is no cuda backend in this build" >&2

rm -rf "$pack" .gpu/tools
mkdir -p "$pack" .gpu/tools/bin .gpu/tools/lib
git describe --always --dirty >"$pack/revision"
cp "$(readlink -f "$(command -v node)")" .gpu/tools/bin/node

# What the backends link and Linux does not have everywhere.
ldd build/Release/*.so | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -vE '/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s)\.so' |
  xargs cp -L -t .gpu/tools/lib

# Of the packages, what the command, tsx and jest load on this platform.
left_out=(@biomejs @huggingface @node-llama-cpp @stdlib @types @typescript cmake-js clang-format-node
  node-llama-cpp playwright-core publint typescript .cache)
exclude=()
for name in "${left_out[@]}"; do exclude+=(--exclude "node_modules/$name"); done
built=(dist build/Release .gpu/tools)
[[ -e build/fault.node ]] && built+=(build/fault.node)
tar -cf - "${exclude[@]}" --exclude '*.map' --exclude '*.d.ts' --exclude '*.d.mts' --exclude '*.d.cts' \
  "${built[@]}" -C "$(dirname "$(readlink -f node_modules)")" node_modules |
  xz -T0 -9 >"$pack/tree.tar.xz"

packed=$(du -sk "$pack" | cut -f1)
source=$(git ls-files -z | xargs -0 du -ck | tail -n 1 | cut -f1)
echo "$pack: $((packed / 1024)) MiB, and $((source / 1024)) MiB of source"
if ((packed + source > most_mib * 1024)); then
  echo "pack: expected at most $most_mib MiB together" >&2
  exit 1
fi
