#!/usr/bin/env bash
# The fuzzers of arguments on an addon, a CPU backend and a simt backend that were built with AddressSanitizer and
# UndefinedBehaviorSanitizer: what reads or writes beside a tensor, or overflows, ends the process with a report.
#
#   test/fuzz/sanitized.sh [fuzzers] [--seconds N] [--seed S]      (none named: those below, a minute in all)
#
# Builds in build-sanitize/, as test/simt/sanitize.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=$PWD/build-sanitize
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DNEXTPATCH_SANITIZE=ON -DNEXTPATCH_TESTS=ON \
  -DCMAKE_JS_INC="$(node -p "require('node-api-headers').include_dir")" >/dev/null
for backend in cpu_baseline simt; do
  if [ -f "$build/Release/nextpatch_$backend.missing" ]; then
    cat "$build/Release/nextpatch_$backend.missing" >&2
    exit 1
  fi
done
cmake --build "$build" --target nextpatch nextpatch_cpu_baseline nextpatch_simt --parallel "$(nproc)"

# No library of the ordinary build: it would pass over faults.
test/simt/tree.sh "$build"
cd "$build/tree"
rm build/Release/*
cp "$build"/Release/nextpatch.node "$build"/Release/nextpatch_{cpu_baseline,simt}.so build/Release
if ! nm -D build/Release/nextpatch.node | grep __asan_ >/dev/null; then
  echo "the addon is not sanitized" >&2
  exit 1
fi

# Node itself is not checked, and frees nothing as it ends. Memory that cannot be had is an error, as without sanitizers;
# freed memory is kept for a while only, as the fuzzers hold that the process does not grow.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1
named=0
for argument in "$@"; do case $argument in arguments-* | public-functions) named=1 ;; esac; done
((named)) || set -- arguments-cpu arguments-simt public-functions "$@"
# One input takes many times as long as without them.
LD_PRELOAD=$(g++ -print-file-name=libasan.so) node --import tsx test/fuzz/run.ts --longest 60000 "$@"
