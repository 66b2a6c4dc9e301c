# Sourced: a registry on loopback, which has the release's tarballs and proxies npm's configured registry for all else.
# What it fetched stays in its folder, so that later runs do not wait for the network.

# start_registry FOLDER: sets registry (its address) and registry_pid.
start_registry() {
  local folder=$1 upstream
  upstream=$(npm config get registry)
  mkdir -p "$folder"
  # The release's packages are published anew in each run.
  rm -rf "$folder/storage/nextpatch" "$folder/storage/@nextpatch"
  cat > "$folder/config.yaml" <<YAML
storage: $folder/storage
auth: { htpasswd: { file: $folder/htpasswd, max_users: -1 } }
uplinks: { upstream: { url: "$upstream", maxage: 12h, timeout: 60s, max_fails: 20, fail_timeout: 1s } }
packages:
  nextpatch: { access: \$all, publish: \$all }
  "@nextpatch/*": { access: \$all, publish: \$all }
  "**": { access: \$all, proxy: upstream }
web: { enable: false }
max_body_size: 100mb
log: { type: file, path: $folder/log, format: pretty, level: warn }
YAML
  local port
  port=$(node -e '
    const server = require("node:net").createServer();
    server.listen(0, "127.0.0.1", () => { console.log(server.address().port); server.close(); });
  ')
  registry=http://127.0.0.1:$port/
  node "$root/node_modules/verdaccio/bin/verdaccio" --config "$folder/config.yaml" --listen "127.0.0.1:$port" \
    > "$folder/output" 2>&1 &
  registry_pid=$!
  local _
  for _ in {1..100}; do
    if node -e 'fetch(process.argv[1] + "-/ping").then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))' \
      "$registry"; then return; fi
    kill -0 "$registry_pid" 2> /dev/null || break
    sleep 0.2
  done
  cat "$folder/output" >&2
  return 1
}

# publish TARBALL
publish() {
  npm publish "$1" --registry "$registry" "--${registry#http:}:_authToken=none" --access public --tag latest \
    > "$folder/publish.log" 2>&1 || {
    cat "$folder/publish.log" >&2
    return 1
  }
}
