# Sourced by start.sh and stop.sh. Everything the brokers write lives in $STATE.

STATE=${AMQP_BROKERS_DIR:-${TMPDIR:-/tmp}/amqp-brokers}
CERTS=$STATE/certs
NAMES=(rabbitmq3 rabbitmq4 rabbitmq43 activemq artemis brokerj rhea)
export DEBIAN_FRONTEND=noninteractive

die() { echo "$*" >&2; exit 1; }

# fail LOG TEXT: says what went wrong with the end of its log
fail() { tail -n 20 "$1" >&2 || true; die "$2; the whole log: $1"; }

# packages NAME PACKAGE...: installs the Debian packages that are missing, without starting services they bring
packages() {
  local name=$1 missing=() package policy=/usr/sbin/policy-rc.d ours=; shift
  for package; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "$name needs the packages ${missing[*]}, and only root can install them"
  [[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; ours=1; }
  {
    apt-get update -qq || true # a mirror that's not needed here may be out of reach
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
  } >"$STATE/$name-apt.log" 2>&1 </dev/null || { [[ -z $ours ]] || rm -f $policy; fail "$STATE/$name-apt.log" "cannot install ${missing[*]}"; }
  [[ -z $ours ]] || rm -f $policy
}

# certificates: what certificates.sh makes, in $CERTS
certificates() {
  [[ ! -e $CERTS/done ]] || return 0
  packages certificates openssl
  rm -rf "$CERTS"
  mkdir -p "$CERTS"
  "$HERE/certificates.sh" "$CERTS" >"$STATE/certificates.log" 2>&1 || fail "$STATE/certificates.log" "cannot make the certificates"
}

# mirror: sets MIRROR to where this machine's apt gets Debian from, unless the environment says
mirror() {
  MIRROR=${DEBIAN_MIRROR:-$(known_mirror)}
  [[ -n $MIRROR ]] || { apt-get update -qq >/dev/null 2>&1 || true; MIRROR=$(known_mirror); } # a new machine has no lists yet
  [[ -n $MIRROR ]] || die "apt knows no mirror of Debian here; set DEBIAN_MIRROR to one"
  MIRROR=${MIRROR%/}
}

known_mirror() { apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | sort -u | sed -n 1p; }

alive() { [[ -s $1 ]] && kill -0 "$(cat "$1")" 2>/dev/null; } # alive PIDFILE

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; } # answers PORT

# up NAME PORT TLSPORT: true if our broker runs; dies if something else has one of its ports
up() {
  local port
  if alive "$STATE/$1.pid"; then
    answers "$2" && answers "$3" && { echo "$1 is up already: amqp 127.0.0.1:$2, amqps localhost:$3"; return 0; }
    die "$1 runs (pid $(cat "$STATE/$1.pid")) but does not answer on $2 and $3; stop it first: ${HERE}/stop.sh $1"
  fi
  for port in "$2" "$3"; do
    ! answers "$port" || die "$1 cannot start: something else listens on port $port"
  done
  return 1
}

# wait_port PORT SECONDS PID LOG: until PORT answers; PID is the process whose end means failure
wait_port() {
  local tries=0
  until answers "$1"; do
    kill -0 "$3" 2>/dev/null || fail "$4" "process $3 ended before port $1 answered"
    ((++tries <= $2 * 5)) || fail "$4" "port $1 did not answer in $2 s"
    sleep 0.2
  done
}

# wait_line LINE SECONDS PID LOG: until the log has the line
wait_line() {
  local tries=0
  until grep -qx "$1" "$4"; do
    kill -0 "$3" 2>/dev/null || fail "$4" "process $3 ended before it was $1"
    ((++tries <= $2 * 5)) || fail "$4" "it was not $1 in $2 s"
    sleep 0.2
  done
}

started() { echo "$1 is up: amqp 127.0.0.1:$2, amqps localhost:$3, pid $(cat "$STATE/$1.pid")"; }
