#!/usr/bin/env bash
# CUDA 12.4 from Debian 13's packages, in the folders that nvcc and CMake expect, without installing anything: prints
# the folder, for CUDA_HOME. It is what a compiler needs, 160 MB of 1 GB of packages, kept in .cache/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/scripts/release cuda=$root/.cache/cuda12
version=12.4.127~12.4.1-2 compiler_version=12.4.131~12.4.1-2
if [ -e "$cuda/complete" ]; then
  echo "$cuda"
  exit 0
fi

rm -rf "$cuda"
mkdir -p "$cuda"/{debs,unpacked}
(
  # shellcheck source=scripts/release/private_apt.sh
  . "$here/private_apt.sh"
  private_apt "$root/.cache/apt-cuda" "deb trixie main non-free"
  cd "$cuda/debs"
  apt-get -qq download "nvidia-cuda-toolkit=$compiler_version" "nvidia-cuda-dev=$version" \
    libcu++-dev libcub-dev libthrust-dev
) >&2
for deb in "$cuda"/debs/*.deb; do
  # Without 2 GB of static libraries: cuBLAS is found at run time, the others are not used.
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$cuda/unpacked" \
    --exclude 'libcu[bfrs]*.a' --exclude 'libnp*.a' --exclude 'libnv*.a'
done

mv "$cuda/unpacked/usr/include" "$cuda"
mkdir -p "$cuda"/{bin,lib64,nvvm}
tools=$cuda/unpacked/usr/lib/nvidia-cuda-toolkit
cp -r "$cuda"/unpacked/usr/bin/{cudafe++,fatbinary,nvlink,ptxas,cuobjdump,bin2c} "$cuda/bin"
cp -r "$tools"/bin/{nvcc,cicc,crt} "$cuda/bin"
cp -r "$tools/libdevice" "$cuda/nvvm"
cp "$cuda"/unpacked/usr/lib/x86_64-linux-gnu/libcuda*.a "$cuda/lib64"
cat > "$cuda/bin/nvcc.profile" <<'PROFILE'
TOP = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH += $(TOP)/bin:
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64"
PROFILE
cp "$(find "$cuda/unpacked/usr/share/doc/" -type f -path '*nvidia-cuda-*/copyright' -print -quit)" "$cuda/EULA.txt"
rm -rf "$cuda"/{debs,unpacked}
touch "$cuda/complete"
echo "$cuda"
