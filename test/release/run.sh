#!/usr/bin/env bash
# The binaries of @nextpatch/linux-x64, as scripts/release/native.sh makes them, in place of a local build: the
# operations' tests and those of the binding, errors that pass from a backend's copy of libstdc++ to the addon's among
# them; training to the same bits twice; ranks on both MPIs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=$PWD/.cache/release-test
mkdir -p "$cache"
scripts/release/native.sh x64 "$cache/x64" > "$cache/log" 2>&1 || { cat "$cache/log" >&2; exit 1; }

# A copy, since jest follows links, to where the local build is.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r lib test scripts package.json binding.d.ts jest.config.js native "$folder"
ln -s "$PWD/node_modules" "$folder"
mkdir "$folder/build"
ln -s "$cache/x64" "$folder/build/Release"
cd "$folder"
export NEXTPATCH_TEST_BACKENDS=cpu
tests() { node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js "$@"; }
tests test/operations test/binding test/train/resume
# Both engines, by the MPIs that are here.
tests test/ranks/ranks
tests test/ranks/more_ranks -t "MPICH|openmpi|mpich"
# oneDNN's kernels for other processors than this.
NEXTPATCH_CPU_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2 tests test/operations/matmul
NEXTPATCH_CPU_ISA=baseline ONEDNN_MAX_CPU_ISA=SSE41 tests test/operations/matmul
