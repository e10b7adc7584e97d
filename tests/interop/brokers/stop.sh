#!/bin/bash
# stop.sh [--kill] [NAME...|all]    stops brokers that start.sh started: SIGTERM, then SIGKILL after 30 s
#   --kill: SIGKILL at once, as in a crash
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"

SIGNAL=TERM
[[ ${1:-} != --kill ]] || { SIGNAL=KILL; shift; }
(($#)) && [[ $1 != all ]] || set -- "${NAMES[@]}"
for name; do
  for file in "$STATE/$name.pid" "$STATE/$name.epmd.pid"; do
    [[ -s $file ]] || continue
    pid=$(cat "$file")
    if kill -$SIGNAL "$pid" 2>/dev/null; then
      for ((i = 0; i < 150; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
      ! kill -KILL "$pid" 2>/dev/null || echo "$name did not end by itself" >&2
      [[ $file == *.epmd.pid ]] || echo "$name stopped"
    fi
    rm -f "$file"
  done
done
