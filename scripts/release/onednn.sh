#!/usr/bin/env bash
# oneDNN as the packages link it: static, for OpenMP, with matrix products and the reorders that they need, nothing
# else. From the source that Debian ships; docs/onednn.md says how the version was chosen and what is left out.
#
#   scripts/release/onednn.sh <x64|arm64> <prefix>
#
# A finished prefix whose inputs have not changed is kept. JOBS: compilers at a time (all cores).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/scripts/release

# The source package, and the SHA-256 of its files.
suite=trixie version=3.7.2+ds-2
checksums="\
0cc51ca26c1af6a2bb1e71e378e7046f3ceb3e71791ee9d4e246d50f904a6ea6  onednn_3.7.2+ds.orig.tar.xz
db6b5144773b4f5b152a0138cba74af39124d59285975db7f2c220e992dcd2d4  onednn_$version.debian.tar.xz
440b9c25665d6cb75d251ffd6477b2694a668423c496d355c0afde58b410337a  onednn_$version.dsc"

usage() { echo "usage: onednn.sh <x64|arm64> <prefix>" >&2; exit 2; }
(($# == 2)) || usage
arch=$1 prefix=$(realpath -m "$2")
toolchain=()
case $arch in
  x64) compiler=${CXX:-c++} ;;
  arm64) compiler=aarch64-linux-gnu-g++ toolchain=(-DCMAKE_TOOLCHAIN_FILE="$here/aarch64.cmake") ;;
  *) usage ;;
esac
missing=()
for tool in "$compiler" cmake ninja apt-get dpkg-source; do command -v "$tool" > /dev/null || missing+=("$tool"); done
if ((${#missing[@]})); then
  echo "onednn.sh: missing: ${missing[*]}. On Debian or Ubuntu:" >&2
  echo "  apt-get install -y g++ g++-aarch64-linux-gnu cmake ninja-build dpkg-dev debian-archive-keyring" >&2
  exit 1
fi

stamp=$(cat "${BASH_SOURCE[0]}" "$here/aarch64.cmake" | sha256sum | cut -d' ' -f1)
inputs="$arch $("$compiler" --version | head -n 1) $stamp"
if [ "$(cat "$prefix/inputs" 2> /dev/null)" = "$inputs" ]; then
  echo "onednn.sh: $prefix is up to date"
  exit 0
fi

# ---- The source -----------------------------------------------------------------------------------------
# shellcheck source=scripts/release/private_apt.sh
. "$here/private_apt.sh"
downloads=$root/.cache/onednn/$version
mkdir -p "$downloads"
verify() { (cd "$downloads" && sha256sum --quiet --check <<< "$checksums"); }
if ! verify > /dev/null 2>&1; then
  (
    private_apt "$root/.cache/apt" "deb-src $suite main"
    cd "$downloads"
    apt-get -qq source --download-only "onednn=$version"
  )
  verify
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/onednn build=$work/build
dpkg-source --no-check -x "$downloads/onednn_$version.dsc" "$source" > "$work/unpacked" 2>&1 || {
  cat "$work/unpacked" >&2
  exit 1
}

# ---- What is left out -----------------------------------------------------------------------------------
# oneDNN's own switches drop a primitive from its lists, but still compile all of it. Its sources are globbed, so that
# files which nothing refers to any more can simply be absent: a third of the time to build it.
cd "$source/src/cpu"
rm -f rnn/*.cpp */rnn/*.cpp */lrn/*.cpp */prelu/*.cpp */shuffle/*.cpp
# The lists and what products are composed of (injectors, gemm, brgemm) stay.
find . -name '*.cpp' ! -name '*_list.cpp' \
  ! -path '*/matmul/*' ! -path '*/reorder/*' ! -path '*/gemm/*' ! -path '*/brgemm/*' ! -path '*/injectors/*' |
  grep -E 'conv(olution)?[_.]|deconv|pool|lrn|normalization|softmax|resampling|inner_product|shuffle|prelu|reduction' |
  xargs rm
# Reorders of f32 and bf16 only.
kept='regular_(f32_f32|f32_bf16|bf16)'
sed -i -E "/_impl_list_map\(\)\},\$/{/$kept/!d}" reorder/cpu_reorder.cpp
find reorder -name 'cpu_reorder_*.cpp' | grep -vE "$kept\.cpp" | xargs rm
# Debian's build needs spdlog for a logger that is switched off here.
sed -i '/find_package(spdlog REQUIRED)/d' "$source/src/CMakeLists.txt"

# ---- Build ----------------------------------------------------------------------------------------------
cd "$work"
started=$SECONDS
rm -rf "$prefix"
cmake -G Ninja -S "$source" -B "$build" "${toolchain[@]}" \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_CXX_VISIBILITY_PRESET=hidden \
  -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
  -DCMAKE_CXX_FLAGS="-ffunction-sections -fdata-sections -ffile-prefix-map=$work=." \
  -DONEDNN_LIBRARY_TYPE=STATIC -DONEDNN_CPU_RUNTIME=OMP -DONEDNN_GPU_RUNTIME=NONE -DONEDNN_ARCH_OPT_FLAGS= \
  -DONEDNN_ENABLE_WORKLOAD=INFERENCE "-DONEDNN_ENABLE_PRIMITIVE=MATMUL;REORDER" -DONEDNN_BUILD_GRAPH=OFF \
  -DONEDNN_ENABLE_JIT_PROFILING=OFF -DONEDNN_ENABLE_ITT_TASKS=OFF \
  -DONEDNN_BUILD_TESTS=OFF -DONEDNN_BUILD_EXAMPLES=OFF -DONEDNN_BUILD_DOC=OFF > "$work/log" 2>&1 &&
  ninja -C "$build" -j "${JOBS:-$(nproc)}" install >> "$work/log" 2>&1 || {
  tail -n 40 "$work/log" >&2
  exit 1
}
install -D -m 644 -t "$prefix/licenses" "$source/LICENSE" "$source/THIRD-PARTY-PROGRAMS"
cat > "$prefix/source.json" <<JSON
{
  "name": "oneDNN",
  "version": "$version",
  "files": {
$(sed -E 's/^(\S+)  (.*)$/    "\2": "\1",/' <<< "$checksums" | sed '$ s/,$//')
  }
}
JSON
echo "$inputs" > "$prefix/inputs"
echo "onednn.sh: oneDNN $version for $arch in $((SECONDS - started)) s: $prefix"
