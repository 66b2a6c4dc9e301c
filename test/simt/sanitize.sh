#!/usr/bin/env bash
# The simt runtime's own tests, and the kernels' tests on simt, under AddressSanitizer and UndefinedBehaviorSanitizer:
# an access outside of a tensor or of a block's shared memory ends the run with a report.
#
#   test/simt/sanitize.sh [test files]      (none named: those below)
#
# Builds in build-sanitize/; what else is needed is the ordinary build's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=$PWD/build-sanitize
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DNEXTPATCH_SANITIZE=ON -DNEXTPATCH_TESTS=ON >/dev/null
if [ -f "$build/Release/nextpatch_simt.missing" ]; then
  cat "$build/Release/nextpatch_simt.missing" >&2
  exit 1
fi
cmake --build "$build" --target nextpatch_simt simt_test cublaslt_test fake_cublaslt nccl_test fake_nccl --parallel "$(nproc)"

export UBSAN_OPTIONS=print_stacktrace=1
"$build/simt_test"
NEXTPATCH_SIMT_DEVICES=2 "$build/simt_test" devices_are_apart
NEXTPATCH_SIMT_LATE=1 "$build/simt_test" kernels_are_late
NEXTPATCH_CUBLAS="$build/Release/libfake_cublaslt.so" "$build/cublaslt_test"
export NEXTPATCH_NCCL=$build/Release/libfake_nccl.so
NEXTPATCH_SIMT_DEVICES=3 "$build/nccl_test" 2>"$build/nccl_test.log"
FAKE_NCCL_VERSION=22605 "$build/nccl_test" old | grep -q "^NCCL: expected version 2.27 or later but received 2.26.5; on Debian"
unset NEXTPATCH_NCCL
# Kernels that break the rules on purpose: each must be stopped.
for test in sanitizer_shared_memory_overrun sanitizer_device_memory_overrun; do
  if "$build/simt_test" "$test" >"$build/simt_test.log" 2>&1 || ! grep -q AddressSanitizer "$build/simt_test.log"; then
    cat "$build/simt_test.log" >&2
    echo "FAIL $test: AddressSanitizer did not stop it" >&2
    exit 1
  fi
  echo "ok   $test"
done

test/simt/tree.sh "$build"
cd "$build/tree"
tests=("$@")
((${#tests[@]})) || tests=(test/operations test/api test/binding/graph)
# What the sampler's draws add up to takes many rows, and accesses no other memory than the rest of its tests.
# Node itself is not checked, and frees nothing as it ends.
export ASAN_OPTIONS=detect_leaks=0 NEXTPATCH_TEST_BACKENDS=simt
LD_PRELOAD=$(g++ -print-file-name=libasan.so) node --experimental-vm-modules --no-warnings \
  node_modules/jest/bin/jest.js --testTimeout 600000 --testPathIgnorePatterns /sample_distribution -- "${tests[@]}"
