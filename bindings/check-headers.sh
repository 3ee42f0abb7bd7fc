#!/bin/sh
# Fails when native/include/moe, or what bindings/foreign asks of other libraries' headers, is not what the bindings were
# generated from (headers.sha256).
# With --print, writes the list as it is now instead.
set -eu
export LC_ALL=C

bindings=$(cd "$(dirname "$0")" && pwd)

current() {
  (cd "$bindings/../native/include/moe" && sha256sum -- *.h)
  (cd "$bindings" && sha256sum -- foreign/*)
}

if [ "${1:-}" = --print ]; then
  current
elif [ "$(current)" != "$(cat "$bindings/headers.sha256")" ]; then
  echo "native/include/moe or bindings/foreign changed since the bindings were generated: run bindings/generate.sh" >&2
  exit 1
fi
