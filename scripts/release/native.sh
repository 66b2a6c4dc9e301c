#!/usr/bin/env bash
# The binaries of one platform package, checked (elf.ts), with the licences of what is linked into them and a
# manifest.json of what they were built from.
#
#   scripts/release/native.sh <x64|arm64|cuda13|cuda12> <out folder>
#
# JOBS: compilers at a time (all cores). CUDA_HOME: the toolkit of cuda13 and cuda12 (that of nvcc on the PATH).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/scripts/release

usage() { echo "usage: native.sh <x64|arm64|cuda13|cuda12> <out folder>" >&2; exit 2; }
(($# == 2)) || usage
what=$1 out=$(realpath -m "$2") build=$root/build-release-$1
jobs=${JOBS:-$(nproc)}

compiler=${CXX:-c++} name=linux-x64-$what options=() cuda=null onednn=null
case $what in
  x64 | arm64)
    name=linux-$what
    prefix=$root/.cache/onednn/$what
    JOBS=$jobs "$here/onednn.sh" "$what" "$prefix"
    onednn=$(cat "$prefix/source.json")
    options=(-DNEXTPATCH_ONEDNN="$prefix")
    libraries=(nextpatch nextpatch_cpu_baseline nextpatch_openmpi nextpatch_mpich)
    if [ "$what" = x64 ]; then
      libraries+=(nextpatch_cpu_avx2 nextpatch_cpu_avx512_bf16)
    else
      compiler=aarch64-linux-gnu-g++
      mpi=$("$here/mpi_arm64.sh")
      options+=(-DCMAKE_TOOLCHAIN_FILE="$here/aarch64.cmake")
      options+=(-DNEXTPATCH_MPI_OPENMPI="$mpi/openmpi" -DNEXTPATCH_MPI_MPICH="$mpi/mpich")
    fi
    ;;
  cuda12 | cuda13)
    if [ "$what" = cuda12 ] && [ -z "${CUDA_HOME:-}" ]; then
      CUDA_HOME=$("$here/cuda12.sh")
      export CUDA_HOME
    fi
    nvcc=${CUDA_HOME:+$CUDA_HOME/bin/}nvcc
    command -v "$nvcc" > /dev/null || { echo "native.sh: $what: $nvcc was not found; set CUDA_HOME" >&2; exit 1; }
    version=$("$nvcc" --version | sed -nE 's/.*release .*V([0-9.]+).*/\1/p')
    [ "${version%%.*}" = "${what#cuda}" ] || {
      echo "native.sh: $what: expected CUDA ${what#cuda} but $nvcc is CUDA $version; set CUDA_HOME" >&2
      exit 1
    }
    cuda="\"$version\""
    libraries=(nextpatch_cuda)
    ;;
  *) usage ;;
esac

mkdir -p "$build"
cmake -G Ninja -S "$root" -B "$build" -DNEXTPATCH_RELEASE=ON \
  -DCMAKE_JS_INC="$root/node_modules/node-api-headers/include" "${options[@]}" > "$build/log" 2>&1 &&
  cmake --build "$build" --parallel "$jobs" --target "${libraries[@]}" >> "$build/log" 2>&1 || {
  tail -n 40 "$build/log" >&2
  exit 1
}

rm -rf "$out"
mkdir -p "$out/licenses"
for library in "${libraries[@]}"; do
  suffix=.so
  [ "$library" != nextpatch ] || suffix=.node
  cp "$build/Release/$library$suffix" "$out"
done

# ---- What is linked into them, or lies beside them ------------------------------------------------------
if [ "$onednn" != null ]; then
  for file in "$prefix"/licenses/*; do cp "$file" "$out/licenses/oneDNN-$(basename "$file")"; done
  cp -L "$("$compiler" -print-file-name=libgomp.so.1)" "$out"
fi
if [ "$cuda" != null ]; then
  # The CUDA runtime is linked in. Where NVIDIA's terms lie depends on how the toolkit was installed.
  toolkit=$("$nvcc" -dryrun -x cu -c /dev/null -o /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')
  documents=/usr/share/doc/cuda-cudart-dev-$(cut -d. -f1,2 --output-delimiter=- <<< "$version")
  [ -e "$documents" ] || documents=
  terms=$(find "$toolkit/" ${documents:+"$documents/"} \
    \( -name EULA.txt -o -path '*cuda_runtime*/License.txt' -o -path '*cudart*/copyright' \) -print -quit)
  [ -n "$terms" ] || { echo "native.sh: $toolkit has no EULA.txt" >&2; exit 1; }
  cp "$terms" "$out/licenses/CUDA-EULA"
fi
# libstdc++, libgcc and libgomp are under the GPL 3 with the GCC Runtime Library Exception, which Debian's file has.
major=$("$compiler" -dumpversion | cut -d. -f1)
copyright=/usr/share/doc/gcc-$major-base/copyright
[ "$what" != arm64 ] || copyright=/usr/share/doc/gcc-$major-cross-base/copyright
cp "$copyright" "$out/licenses/GCC-copyright"
cp /usr/share/common-licenses/GPL-3 "$out/licenses/GPL-3"

"$root/node_modules/.bin/tsx" "$here/manifest.ts" "$out" "{
  \"package\": \"@nextpatch/$name\", \"compiler\": \"$("$compiler" --version | head -n 1)\",
  \"oneDNN\": $onednn, \"cuda\": $cuda
}" "$root" "$build"
ls -l "$out"
