#!/usr/bin/env bash
# Formats the C++ and CUDA sources by .clang-format; with --check, fails and names the lines that are not formatted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
if [ "${1:-}" = --check ]; then mode=(--dry-run --Werror); fi
git ls-files -co --exclude-standard -- '*.cpp' '*.h' '*.cu' '*.cuh' | xargs npx --no-install clang-format "${mode[@]}"
