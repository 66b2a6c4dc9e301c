#!/usr/bin/env bash
# The operations' tests on a simt that checks every access to shared memory: two threads that access the same element,
# one of them to write it, must have a barrier between them, whatever order they ran in and whatever they found.
#
#   test/simt/races.sh [test files]      (none named: the operations')
#
# Builds in build-races/; what else is needed is the ordinary build's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=$PWD/build-races
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DNEXTPATCH_RACES=ON -DNEXTPATCH_TESTS=ON >/dev/null
if [ -f "$build/Release/nextpatch_simt.missing" ]; then
  cat "$build/Release/nextpatch_simt.missing" >&2
  exit 1
fi
cmake --build "$build" --target nextpatch_simt simt_test --parallel "$(nproc)"
"$build/simt_test"

test/simt/tree.sh "$build"
cd "$build/tree"
tests=("$@")
((${#tests[@]})) || tests=(test/operations)
# What the sampler's draws add up to takes many rows, and accesses no other memory than the rest of its tests.
NEXTPATCH_TEST_BACKENDS=simt node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js \
  --testTimeout 600000 --testPathIgnorePatterns /sample_distribution -- "${tests[@]}"
