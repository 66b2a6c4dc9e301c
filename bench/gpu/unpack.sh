# To be sourced in the root of a checkout that has what `bench/gpu.sh pack` has packed: puts Node, the packages and the
# build where they belong, and sets the paths of this shell.
if command -v xz >/dev/null; then
  tar -xJf .gpu/pack/tree.tar.xz
else
  python3 -c 'import tarfile; tarfile.open(".gpu/pack/tree.tar.xz").extractall(filter="tar")'
fi || return
export PATH=$PWD/.gpu/tools/bin:$PATH
export LD_LIBRARY_PATH=$PWD/.gpu/tools/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
