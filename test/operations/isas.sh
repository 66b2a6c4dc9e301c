#!/usr/bin/env bash
# The kernels' tests on builds of the CPU's kernels that this processor runs but would not choose.
#
#   test/operations/isas.sh [baseline] [avx2]      (none named: both)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

isas=("$@")
((${#isas[@]})) || isas=(baseline avx2)

for isa in "${isas[@]}"; do
  if [ "$isa" = avx2 ] && ! { grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo; }; then
    echo "isas: avx2 skipped: this processor has no AVX2 or no FMA"
    continue
  fi
  # A backend that is named must be there, so a build that does not load fails the tests.
  export NEXTPATCH_CPU_ISA=$isa NEXTPATCH_TEST_BACKENDS=cpu
  # oneDNN chooses its kernels itself, by the processor.
  case $isa in avx2) export ONEDNN_MAX_CPU_ISA=AVX2 ;; baseline) export ONEDNN_MAX_CPU_ISA=SSE41 ;; esac
  node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js test/operations
done
