#!/usr/bin/env bash
# What `npm test` leaves out. The packages' test waits for the network half of its time, so checks that take no notice of
# time run beside it.
#
#   npm run test:long
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# in_turn SCRIPT...: runs scripts of package.json until one fails, and prints what each has said at its end.
in_turn() {
  local name status
  for name; do
    npm run "$name" >"$logs/$name" 2>&1
    status=$?
    flock "$logs" cat "$logs/$name"
    [ "$status" -eq 0 ] || return "$status"
  done
}

npm run test:slow || exit

in_turn test:package &
package=$!
in_turn test:schedules test:lost-blocks
status=$?
wait "$package" || exit
[ "$status" -eq 0 ] || exit "$status"

npm run test:browser &&
  npm run test:isas baseline &&
  npm run test:isas avx2 &&
  npm run test:races &&
  npm run test:sanitize &&
  npm run check:cuda
