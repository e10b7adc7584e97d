#!/bin/bash
# start.sh [--keep] NAME...|all    installs and starts brokers for tests/interop (Debian 12, root); README.md has the details
#   names: rabbitmq3 rabbitmq4 rabbitmq43 activemq artemis brokerj rhea, or `certs` for the certificates alone
#   --keep: a durable queue keeps its messages from the last run; otherwise a broker starts empty
# Returns when their ports answer; a broker that can't start ends it with an error.
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
mkdir -p "$STATE"; chmod 755 "$STATE"

KEEP=
[[ ${1:-} != --keep ]] || { KEEP=1; shift; }
(($#)) || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
[[ $1 != all ]] || set -- "${NAMES[@]}"
for name; do
  [[ $name != certs ]] || { certificates; continue; }
  [[ " ${NAMES[*]} " == *" $name "* ]] || die "there is no broker $name; the names: ${NAMES[*]}"
  # not `(...) || die`: bash would go on after an error inside
  set +e
  (set -e; . "$HERE/$name.sh")
  status=$?
  set -e
  ((status == 0)) || die "$name: not started"
done
