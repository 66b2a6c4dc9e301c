#!/usr/bin/env bash
# Builds build/fault.node from fault.cu, for bench/gpu/quick/fault.ts. Without nvcc: skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v nvcc >/dev/null; then
  echo "skipped: no nvcc"
  exit
fi
mkdir -p build
nvcc -shared -Xcompiler -fPIC -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90,code=[sm_90,compute_90] \
  -o build/fault.node bench/gpu/fault.cu
