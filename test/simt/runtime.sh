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
cmake --build "$build" --target simt_test cublaslt_test fake_cublaslt nccl_test fake_nccl --parallel "$(nproc)"
"$build/simt_test"
NEXTPATCH_SIMT_DEVICES=2 "$build/simt_test" devices_are_apart
NEXTPATCH_SIMT_LATE=1 "$build/simt_test" kernels_are_late
NEXTPATCH_CUBLAS="$build/Release/libfake_cublaslt.so" "$build/cublaslt_test"
export NEXTPATCH_NCCL=$build/Release/libfake_nccl.so
NEXTPATCH_SIMT_DEVICES=3 "$build/nccl_test" 2>"$build/nccl_test.log"
FAKE_NCCL_VERSION=22605 "$build/nccl_test" old | grep -q "^NCCL: expected version 2.27 or later but received 2.26.5; on Debian"
unset NEXTPATCH_NCCL
