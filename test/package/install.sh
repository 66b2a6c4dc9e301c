#!/usr/bin/env bash
# The release as its users get it: packed, published to a registry on loopback, installed from there in an empty folder
# by each package manager, with no compiler, CMake, make or Python on the PATH; then the command and the types are used,
# and ten steps are trained.
#
#   npm run test:package [-- --release FOLDER] [-- --built FOLDER]
#
# --release: the tarballs are there, from `npm run pack`. --built: as of `npm run pack`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/test/package
cache=$root/.cache/package-test
# shellcheck source=test/package/registry.sh
. "$here/registry.sh"
# shellcheck source=test/package/clients.sh
. "$here/clients.sh"

release='' built=()
while (($#)); do
  case $1 in
    --release) release=$(realpath "$2") && shift 2 ;;
    --built) built=(--built "$2") && shift 2 ;;
    *) echo "usage: install.sh [--release FOLDER] [--built FOLDER]" >&2 && exit 2 ;;
  esac
done

folder=$(mktemp -d)
registry_pid=''
cleanup() {
  [ -z "$registry_pid" ] || kill "$registry_pid" 2> /dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

# ---- The registry, and what is published to it ----------------------------------------------------------
cd "$root"
platform=linux-$arch
if [ -z "$release" ]; then
  release=$folder/release
  npm run --silent pack -- --out "$release" --only "$platform" "${built[@]}"
fi
version=$(node -p 'require("./package.json").version')
start_registry "$cache/registry"
publish "$release/nextpatch-$version.tgz"
for name in linux-x64 linux-arm64; do
  tarball=$release/nextpatch-$name-$version.tgz
  if [ ! -e "$tarball" ]; then
    # Package managers also read the manifest of the one that they do not install.
    [ "$name" != "$platform" ] || { echo "expected $tarball" >&2 && exit 1; }
    npx tsx "$here/manifest_only.ts" "$name" "$folder/$name"
    tarball=$folder/$name
  fi
  publish "$tarball"
done
for client in "${!client_packages[@]}"; do fetch_client "$client" "$cache/clients"; done

# ---- One installation -----------------------------------------------------------------------------------
# project NAME CLIENT...: an empty project, a home without settings or caches, and a PATH with these clients only.
project() {
  where=$folder/$1
  shift
  mkdir -p "$where/project" "$where/home"
  printf 'registry=%s\nloglevel=warn\nupdate-notifier=false\naudit=false\nfund=false\n' "$registry" > "$where/home/.npmrc"
  make_path "$where/bin" "$cache/clients" "$@"
  echo '{ "name": "project", "private": true, "type": "module" }' > "$where/project/package.json"
  cp "$here"/project/* "$where/project"
  node -e '
    for (let d = 0; d < 60; d++) {
      const sentence = (s) => `The ${["cat", "dog", "owl"][(d + s) % 3]} saw ${d + s} stars.`;
      console.log(JSON.stringify({ text: Array.from({ length: 40 }, (_, s) => sentence(s)).join(" ") }));
    }
  ' > "$where/project/text.jsonl"
}

# inside COMMAND...: runs it in the project, as a user without any settings of this machine would.
inside() {
  (
    cd "$where/project"
    exec env -i HOME="$where/home" PATH="$where/bin" CI=1 \
      YARN_NPM_REGISTRY_SERVER="$registry" YARN_UNSAFE_HTTP_WHITELIST=127.0.0.1 YARN_NODE_LINKER=node-modules \
      YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_IMMUTABLE_INSTALLS=false YARN_NPM_MINIMAL_AGE_GATE=0 "$@"
  )
}

# check NAME COMMAND...: what it prints is shown if it fails.
check() {
  local name=$1
  shift
  "$@" > "$where/log" 2>&1 || {
    printf 'FAIL package: %s: %s\n' "$row" "$name"
    cat "$where/log"
    exit 1
  }
}

# installed SECONDS RUN...: whether what was installed works, started by RUN (npx, pnpm exec, ...).
installed() {
  local took=$1
  shift
  check "nextpatch --version" inside "$@" nextpatch --version
  [ "$(tail -n 1 "$where/log")" = "$version" ] || { cat "$where/log" && exit 1; }
  inside "$@" nextpatch info --json > "$where/info.json" 2> "$where/log" || { cat "$where/log" && exit 1; }
  check "info lists cpu" node -e '
    const info = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    if (!info.backends.find(({ name }) => name === "cpu").available) throw new Error(JSON.stringify(info, null, 1));
    if (info.addon.package !== process.argv[2]) throw new Error(JSON.stringify(info.addon, null, 1));
  ' "$where/info.json" "@nextpatch/$platform"
  check "prepare" inside "$@" nextpatch prepare text.jsonl --out data --train-tokenizer 300 --val-fraction 0.1
  inside "$@" nextpatch train config.yaml --json > "$where/train.json" 2> "$where/log" || { cat "$where/log" && exit 1; }
  check "ten steps" node -e '
    const { steps, loss } = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    if (steps !== 10 || !(loss > 0 && loss < 8)) throw new Error(`${steps} steps, loss ${loss}`);
  ' "$where/train.json"
  check "types" "$root/node_modules/.bin/tsc" -p "$where/project/tsconfig.json" --typeRoots "$root/node_modules/@types"
  check "import" inside node program.js
  printf 'ok   package: %s: installed in %s s\n' "$row" "$took"
}

# add COMMAND...: installs; sets took. Seconds are printed and not judged, except for a minute, which is a failure.
add() {
  local started=$EPOCHREALTIME
  check "$*" inside timeout 60 "$@"
  took=$(node -p '(process.argv[2] - process.argv[1]).toFixed(1)' "$started" "$EPOCHREALTIME")
}

# ---- The matrix -----------------------------------------------------------------------------------------
row="npm 10, Node 20"; project npm10 node20 npm10; add npm install nextpatch; installed "$took" npx --no-install
row="npm 11, Node 20"; project npm11 node20 npm11; add npm install nextpatch; installed "$took" npx --no-install
row="npm 12, Node 22"; project npm12-22 node22 npm12; add npm install nextpatch; installed "$took" npx --no-install
row="npm 12, Node 24"; project npm12-24 node24 npm12; add npm install nextpatch; installed "$took" npx --no-install
weigh=$where
row="npm 12, Node 24, --ignore-scripts"; project ignore node24 npm12
add npm install --ignore-scripts nextpatch; installed "$took" npx --no-install
row="pnpm 10, Node 20"; project pnpm10 node20 pnpm10; add pnpm add nextpatch; installed "$took" pnpm exec
row="pnpm 12, Node 24"; project pnpm12 node24 pnpm12; add pnpm add nextpatch; installed "$took" pnpm exec
row="yarn 1, Node 20"; project yarn1 node20 yarn1; add yarn add nextpatch; installed "$took" yarn --silent run
row="yarn 4, Node 24"; project yarn4 node24 yarn4; add yarn add nextpatch; installed "$took" yarn exec
row="bun 1, Node 24"; project bun node24 bun; add bun add nextpatch; installed "$took" bunx

# Without optional packages: what needs none works, and the rest says in a few lines what to type.
refused() {
  if inside npx --no-install nextpatch "$@" > "$where/log" 2>&1; then
    echo "FAIL package: $row: $1 succeeded" && exit 1
  fi
  if [ "$(wc -l < "$where/log")" -gt 6 ] || ! tail -n 1 "$where/log" | grep -q "^  npm install "; then
    echo "FAIL package: $row: expected at most six lines that end in what to type" && cat "$where/log" && exit 1
  fi
  printf 'ok   package: %s: %s says:%s\n' "$row" "$1" "$(tail -n 1 "$where/log")"
}
row="npm 12, Node 24, --omit=optional"; project omit node24 npm12
add npm install --omit=optional nextpatch
check "nextpatch --help" inside npx --no-install nextpatch --help
check "info" inside npx --no-install nextpatch info
refused prepare text.jsonl --out data --train-tokenizer 300
check "npm install --include=optional" inside npm install --include=optional
check "prepare" inside npx --no-install nextpatch prepare text.jsonl --out data --train-tokenizer 300 --val-fraction 0.1

# There it can be compiled, from the sources that the package has.
row="npm 12, Node 24, nextpatch build"
rm -r "$where/project/node_modules/@nextpatch"
refused train config.yaml
check "nextpatch build" inside PATH="$where/bin:$PATH" npx --no-install nextpatch build
inside npx --no-install nextpatch train config.yaml --json > "$where/train.json" 2> "$where/log" || { cat "$where/log" && exit 1; }
printf 'ok   package: %s\n' "$row"

# ---- What an installation weighs ------------------------------------------------------------------------
echo "an installation by npm, in MB:"
(cd "$weigh/project/node_modules" && du -sk -- [!@]* @*/* | sort -rn | head -n 12 && du -sk .) |
  awk '{ printf "%8.1f  %s\n", $1 / 1024, $2 == "." ? "all" : $2 }'

# ---- Where JavaScript runs: the part that takes two minutes ---------------------------------------------
npx tsx "$here/environments.ts" --quick --release "$release"
