#!/usr/bin/env bash
# The kernels' tests once more on each build of the CPU's kernels that this processor runs but would not choose.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

isas=(baseline)
if grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo; then isas+=(avx2); fi

for isa in "${isas[@]}"; do
  # A backend that is named must be there, so a build that does not load fails the tests.
  export NEXTPATCH_CPU_ISA=$isa NEXTPATCH_TEST_BACKENDS=cpu
  node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js test/operations
done
