# A RabbitMQ of a later Debian: its packages unpacked into a folder and run in a chroot. Sourced by rabbitmq4.sh and rabbitmq43.sh,
# which set NAME, PORT, TLSPORT, EPMD_PORT, DIST_PORT and SUITE.
ROOT=$STATE/$SUITE
if up $NAME $PORT $TLSPORT; then exit 0; fi
((EUID == 0)) || die "$NAME needs root, for chroot"

if [[ ! -e $ROOT/.installed ]]; then
  apt=$ROOT.apt log=$STATE/$NAME-apt.log
  rm -rf --one-file-system "$ROOT" "$apt"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$ROOT"
  : >"$apt/status"
  mirror
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $SUITE main" >"$apt/sources.list"
  options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$apt"
    -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
    -o "Dir::Cache::archives=$apt/cache/archives" -o APT::Sandbox::User=root -o APT::Install-Recommends=false
    -o APT::Keep-Downloaded-Packages=true)
  {
    apt-get "${options[@]}" update &&
      apt-get "${options[@]}" -y --download-only install rabbitmq-server dash coreutils sed grep base-files libc-bin
  } >"$log" 2>&1 </dev/null || fail "$log" "cannot get $SUITE's RabbitMQ from $MIRROR"
  # base-files first: it brings the links /bin, /lib and /sbin
  for package in "$apt"/cache/archives/base-files_*.deb "$apt"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar xf - -C "$ROOT" --keep-directory-symlink
  done
  mknod -m 666 "$ROOT/dev/null" c 1 3 2>/dev/null || : >"$ROOT/dev/null"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$ROOT/etc/passwd"
  echo '127.0.0.1 localhost' >>"$ROOT/etc/hosts"
  rm -rf "$apt"
  : >"$ROOT/.installed"
fi
certificates

INSIDE=/run/$NAME DIR=$ROOT/run/$NAME # the same folder, seen from inside and from outside
[[ -n $KEEP ]] || rm -rf "$DIR"
mkdir -p "$DIR"
rm -rf "$DIR/certs"
cp -r "$CERTS" "$DIR/certs"
cp "$HERE/rabbitmq4-plugins" "$DIR/enabled_plugins"
cp "$HERE/rabbitmq-definitions.json" "$DIR/definitions.json"
cat >"$DIR/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$PORT
listeners.ssl.1 = 127.0.0.1:$TLSPORT
ssl_options.cacertfile = $INSIDE/certs/ca.pem
ssl_options.certfile   = $INSIDE/certs/server.pem
ssl_options.keyfile    = $INSIDE/certs/server.key
ssl_options.verify     = verify_peer
ssl_options.fail_if_no_peer_cert = false
anonymous_login_user   = guest
anonymous_login_pass   = guest
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = ANONYMOUS
auth_mechanisms.4 = EXTERNAL
ssl_cert_login_from    = common_name
load_definitions       = $INSIDE/definitions.json
log.console = false
# there is no /proc in the chroot
vm_memory_calculation_strategy = allocated
vm_memory_high_watermark.absolute = 2GB
CONF
cat >"$DIR/env" <<ENV
export HOME=$INSIDE LC_ALL=C.UTF-8 ERL_EPMD_PORT=$EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=$NAME@localhost RABBITMQ_DIST_PORT=$DIST_PORT RABBITMQ_CONFIG_FILE=$INSIDE/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=$INSIDE/none
export RABBITMQ_ENABLED_PLUGINS_FILE=$INSIDE/enabled_plugins RABBITMQ_MNESIA_BASE=$INSIDE/mnesia RABBITMQ_LOG_BASE=$INSIDE/log
export RABBITMQ_PID_FILE=$INSIDE/pid RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
ENV
alive "$STATE/$NAME.epmd.pid" || {
  setsid chroot "$ROOT" sh -c ". $INSIDE/env; exec epmd -address 127.0.0.1 -port $EPMD_PORT" </dev/null >"$DIR/epmd.log" 2>&1 &
  echo $! >"$STATE/$NAME.epmd.pid"
}
rm -f "$DIR/pid"
setsid chroot "$ROOT" sh -c ". $INSIDE/env; exec /usr/lib/rabbitmq/bin/rabbitmq-server" </dev/null >"$DIR/out.log" 2>&1 &
server=$!
wait_port $PORT 120 $server "$DIR/out.log"
wait_port $TLSPORT 30 $server "$DIR/out.log"
cp "$DIR/pid" "$STATE/$NAME.pid"
started $NAME $PORT $TLSPORT
