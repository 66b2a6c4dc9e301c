#!/usr/bin/env bash
# Holds native/cuda/nccl.h against NCCL's own header: types, values and signatures. The header is in NEXTPATCH_NCCL_HEADER,
# a folder, or where the compiler finds it; without it, or without CUDA's, nothing is checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cuda=${CUDA_HOME:-/usr/local/cuda}/include
includes=(-isystem "$cuda" ${NEXTPATCH_NCCL_HEADER:+-isystem "$NEXTPATCH_NCCL_HEADER"})
if ! echo '#include <nccl.h>' | "${CXX:-c++}" "${includes[@]}" -x c++ -fsyntax-only - 2>/dev/null; then
  echo "nccl.h: not checked: it, or cuda_runtime.h, was not found (NEXTPATCH_NCCL_HEADER, CUDA_HOME)"
  exit
fi
"${CXX:-c++}" -std=c++17 "${includes[@]}" -fsyntax-only test/cuda/nccl_header.cpp
echo "nccl.h: native/cuda/nccl.h agrees with it"
