# Sourced: versions of Node and package managers, which npm ships as packages, each in a folder of its own.

arch=$(node -p process.arch)
bun_arch=$arch
[ "$arch" != arm64 ] || bun_arch=aarch64
declare -A client_packages=(
  [node20]=node-linux-$arch@20 [node22]=node-linux-$arch@22 [node24]=node-linux-$arch@24
  [npm10]=npm@10 [npm11]=npm@11 [npm12]=npm@12 [pnpm10]=pnpm@10 [pnpm12]=@pnpm/exe.linux-$arch@12
  [yarn1]=yarn@1 [yarn4]=@yarnpkg/cli-dist@4 [bun]=@oven/bun-linux-$bun_arch@1
)
declare -A client_commands=(
  [npm10]="bin/npm-cli.js npm bin/npx-cli.js npx" [npm11]="bin/npm-cli.js npm bin/npx-cli.js npx"
  [npm12]="bin/npm-cli.js npm bin/npx-cli.js npx"
  [pnpm10]="bin/pnpm.cjs pnpm" [pnpm12]="pnpm pnpm" [yarn1]="bin/yarn.js yarn" [yarn4]="bin/yarn.js yarn"
  [bun]="bin/bun bun bin/bun bunx"
  [node20]="bin/node node" [node22]="bin/node node" [node24]="bin/node node"
)

# fetch_client NAME FOLDER: into FOLDER/NAME, unless it is there.
fetch_client() {
  local to=$2/$1
  [ -e "$to/fetched" ] && return
  rm -rf "$to" && mkdir -p "$to"
  npm install --prefix "$to" --registry "$registry" --ignore-scripts --no-audit --no-fund --no-save \
    "${client_packages[$1]}" > "$to.log" 2>&1 || { cat "$to.log" >&2; return 1; }
  touch "$to/fetched"
}

# What package managers and Node's commands call, and no compiler, CMake, make or Python.
tools=(
  basename cat chmod cp dirname env expr false getconf grep ln ls mkdir mv readlink realpath rm sed sh sleep timeout tr true
  uname
)

# make_path BIN CLIENTS CLIENT...: a folder for the PATH with these clients and the tools above.
make_path() {
  local bin=$1 clients=$2 client name package commands
  shift 2
  mkdir "$bin"
  for name in "${tools[@]}"; do ln -s "$(command -v "$name")" "$bin/$name"; done
  for client in "$@"; do
    package=$clients/$client/node_modules/${client_packages[$client]%@*}
    read -ra commands <<< "${client_commands[$client]}"
    while ((${#commands[@]})); do
      ln -s "$package/${commands[0]}" "$bin/${commands[1]}"
      chmod +x "$package/${commands[0]}"
      commands=("${commands[@]:2}")
    done
  done
}
