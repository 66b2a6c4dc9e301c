#!/usr/bin/env bash
# The simt runtime's own tests: barriers, shuffles, streams and the twins of the PTX instructions.
# Builds in build-simt-test/. test/simt/sanitize.sh runs them under sanitizers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=$PWD/build-simt-test
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DNEXTPATCH_TESTS=ON >/dev/null
if [ -f "$build/Release/nextpatch_simt.missing" ]; then
  cat "$build/Release/nextpatch_simt.missing" >&2
  exit 1
fi
cmake --build "$build" --target simt_test cublaslt_test fake_cublaslt --parallel "$(nproc)"
"$build/simt_test"
NEXTPATCH_SIMT_DEVICES=2 "$build/simt_test" devices_are_apart
NEXTPATCH_SIMT_LATE=1 "$build/simt_test" kernels_are_late
NEXTPATCH_CUBLAS="$build/Release/libfake_cublaslt.so" "$build/cublaslt_test"
