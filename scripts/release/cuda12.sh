#!/usr/bin/env bash
# CUDA 12.4 from Debian 13's packages, unpacked aside and not installed: prints the folder, for CUDA_HOME. What a
# compiler needs of 1 GB of packages is kept in .cache/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/scripts/release cuda=$root/.cache/cuda12
version=12.4.127~12.4.1-2 compiler_version=12.4.131~12.4.1-2
if [ ! -e "$cuda/complete" ]; then
  rm -rf "$cuda"
  mkdir -p "$cuda/debs"
  (
    # shellcheck source=scripts/release/private_apt.sh
    . "$here/private_apt.sh"
    private_apt "$root/.cache/apt-cuda" "deb trixie main non-free"
    cd "$cuda/debs"
    apt-get -qq download "nvidia-cuda-toolkit=$compiler_version" "libnvvm4=$compiler_version" \
      "nvidia-cuda-dev=$version" libcu++-dev/trixie libcub-dev/trixie libthrust-dev/trixie
  ) >&2
  for deb in "$cuda"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$cuda" --wildcards --no-wildcards-match-slash --ignore-failed-read \
      ./usr/bin ./usr/include ./usr/lib/cuda ./usr/lib/nvidia-cuda-toolkit ./usr/share/doc \
      './usr/lib/x86_64-linux-gnu/libcud*.a' './usr/lib/x86_64-linux-gnu/libnvvm*' 2> /dev/null || true
  done
  rm -rf "$cuda/debs"
  touch "$cuda/complete"
fi
echo "$cuda/usr"
