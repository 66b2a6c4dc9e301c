#!/usr/bin/env bash
# Headers and libraries of Open MPI and MPICH for 64-bit Arm, from Debian 12's packages, without installing anything: prints
# the folder, which has include and lib of each. The engines are compiled and linked with them; a user has an MPI of their
# own. Debian's have the binary interfaces that later ones keep (libmpi.so.40, libmpich.so.12).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/scripts/release mpi=$root/.cache/mpi-arm64
if [ -e "$mpi/complete" ]; then
  echo "$mpi"
  exit 0
fi

rm -rf "$mpi"
mkdir -p "$mpi"/{debs,unpacked,openmpi/lib,mpich/lib}
(
  # shellcheck source=scripts/release/private_apt.sh
  . "$here/private_apt.sh"
  private_apt "$root/.cache/apt-mpi" "deb:arm64 bookworm main"
  cd "$mpi/debs"
  apt-get -qq download libopenmpi-dev:arm64 libopenmpi3:arm64 libmpich-dev:arm64 libmpich12:arm64
) >&2
for deb in "$mpi"/debs/*.deb; do dpkg-deb -x "$deb" "$mpi/unpacked"; done

libraries=$mpi/unpacked/usr/lib/aarch64-linux-gnu
mv "$libraries/openmpi/include" "$mpi/openmpi"
mv "$mpi/unpacked/usr/include/aarch64-linux-gnu/mpich" "$mpi/mpich/include"
cp "$(readlink -f "$libraries/libmpi.so.40")" "$mpi/openmpi/lib/libmpi.so"
cp "$(readlink -f "$libraries/libmpich.so.12")" "$mpi/mpich/lib/libmpich.so"
rm -rf "$mpi"/{debs,unpacked}
touch "$mpi/complete"
echo "$mpi"
