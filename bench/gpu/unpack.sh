# To be sourced in the root of a checkout that has what gpu.sh pack has packed: puts Node, the packages and the build
# where they belong, and sets the paths.
xz -dc .gpu/pack/tree.tar.xz 2>/dev/null | tar -xf - 2>/dev/null ||
  # Without xz.
  python3 -c 'import tarfile; tarfile.open(".gpu/pack/tree.tar.xz").extractall()' || return
export PATH=$PWD/.gpu/tools/bin:$PATH
export LD_LIBRARY_PATH=$PWD/.gpu/tools/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
