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
# Always the same folder, so that ccache knows the files again (CMAKE_CXX_COMPILER_LAUNCHER=ccache).
work=$root/.cache/onednn/build-$arch
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work"
source=$work/onednn build=$work/build
dpkg-source --no-check -x "$downloads/onednn_$version.dsc" "$source" > "$work/unpacked" 2>&1 || {
  cat "$work/unpacked" >&2
  exit 1
}

# ---- What is left out -----------------------------------------------------------------------------------
# oneDNN's own switches drop a primitive from its lists, but still compile all of it. Here its sources go too, which
# oneDNN's build globs: that leaves a quarter of the time to compile and of the size. What is missed shows when a backend
# is linked (native/release.cmake lets no symbol stay undefined).
cd "$source/src/cpu"
others="batch_normalization binary convolution deconvolution eltwise group_normalization inner_product \
layer_normalization lrn pooling prelu reduction resampling rnn shuffle softmax"
{
  echo '#include "cpu/cpu_engine.hpp"'
  echo 'namespace dnnl { namespace impl { namespace cpu {'
  for kind in $others; do
    rm "cpu_${kind}_list.cpp" "../common/$kind.cpp"
    echo "const impl_list_item_t *get_${kind}_impl_list(const ${kind}_desc_t *) {"
    echo '    static const impl_list_item_t none[] = {nullptr};'
    echo '    return none;'
    echo '}'
  done
  echo '}}}'
} > cpu_empty_lists.cpp
rm -f ../common/convolution_pd.cpp rnn/*.cpp */rnn/*.cpp */lrn/*.cpp */prelu/*.cpp */shuffle/*.cpp
rm -f ref_binary.cpp ref_eltwise.cpp */jit_uni_binary*.cpp */jit_uni_eltwise*.cpp
unused='conv(olution)?[_.]|deconv|pool|lrn|normalization|softmax|resampling|inner_product|shuffle|prelu|reduction'
find . -name '*.cpp' ! -path '*/matmul/*' ! -path '*/reorder/*' ! -path '*/gemm/*' ! -path '*/brgemm/*' \
  ! -path '*/injectors/*' ! -name '*gemm_inner_product_utils.cpp' | grep -E "$unused" | xargs rm

# f32 and bf16 only: no sparse or 8-bit products, no reorders of other types.
integers='gemm_x8s8s32x_matmul|ref_matmul_int8|jit_uni_sparse_matmul|ref_sparse_matmul'
sed -i -E "/CPU_INSTANCE\w*\(($integers)_t\)/d" matmul/cpu_matmul_list.cpp
find matmul */matmul -name '*.cpp' | grep -E "/($integers)\.cpp" | xargs rm
kept='regular_(f32_f32|f32_bf16|bf16)'
sed -i -E "/_impl_list_map\(\)\},\$/{/$kept/!d}" reorder/cpu_reorder.cpp
find reorder -name 'cpu_reorder_*.cpp' | grep -vE "$kept\.cpp" | xargs rm
# Nor, on x86, gemm's kernels for 8 bits and for processors with AVX but not AVX2 (of 2011 and 2012: SSE 4.1 there).
perl -0pi -e '
  s/case data_type::s8:.*?(?=case data_type::bf16:)//sg;
  s/#if __BUILD_GEMM_AVX2\n\s*\} else if \(mayiuse\(avx\)\) \{((?!#endif|gemv).)*#endif\n//sg' x64/gemm/gemm_info.cpp
find x64/gemm/s8x8s32 -name '*.cpp' ! -name jit_avx512_core_gemv_s8x8s32.cpp -delete
rm x64/gemm/f32/jit_avx_kernel_*.cpp x64/gemm/f32/jit_avx_f32_copy_*.cpp

# What writes machine code runs once a product's shape, and takes twice as long to compile with all optimizations:
# oneDNN compiles some of it with few, here all.
sed -i -E 's#^(\s*)(\S*)/gemm/\*/\*_kern_autogen.cpp\)#\1\2/gemm/*/*_kern*.cpp \2/injectors/*.cpp \2/brgemm/jit_*.cpp \
\1\2/utils/*.cpp \2/matmul/*_copy_utils.cpp)#' x64/CMakeLists.txt
# Where /sys has no register of the processor's identity, as in some containers, it says so on stderr.
sed -i '/MIDR_EL1 sysfs entry/d' aarch64/xbyak_aarch64/src/util_impl_linux.h
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
