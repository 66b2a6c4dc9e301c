#!/usr/bin/env bash
# Formats the C++ and CUDA sources by .clang-format; with --check, fails and names the lines that are not formatted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
if [ "${1:-}" = --check ]; then mode=(--dry-run --Werror); fi

# The program itself, not its npx wrapper: the package's install script, which npm ci --ignore-scripts leaves out, sets
# its execute bit.
clang_format=$(node -p 'require("clang-format-node").clangFormatPath')
[ -x "$clang_format" ] || chmod +x "$clang_format"
find native -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' | xargs "$clang_format" "${mode[@]}"
