# RabbitMQ 3.10 (Debian 12's) with its AMQP 1.0 plugin. Sourced by start.sh.
NAME=rabbitmq3 PORT=5672 TLSPORT=5671 EPMD_PORT=43693 DIR=$STATE/rabbitmq3
if up $NAME $PORT $TLSPORT; then exit 0; fi
packages $NAME rabbitmq-server
version=$(dpkg-query -W -f '${Version}' rabbitmq-server)
[[ $version == 3.* ]] || die "$NAME needs Debian 12, whose rabbitmq-server is 3.10; this machine has $version"
certificates
getent hosts localhost >/dev/null || echo '127.0.0.1 localhost' >>/etc/hosts

[[ -n $KEEP ]] || rm -rf "$DIR"
mkdir -p "$DIR"
cp "$HERE/rabbitmq3-plugins" "$DIR/enabled_plugins"
cp "$HERE/rabbitmq-definitions.json" "$DIR/definitions.json"
cat >"$DIR/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$PORT
listeners.ssl.1 = 127.0.0.1:$TLSPORT
ssl_options.cacertfile = $CERTS/ca.pem
ssl_options.certfile   = $CERTS/server.pem
ssl_options.keyfile    = $CERTS/server.key
ssl_options.verify     = verify_peer
ssl_options.fail_if_no_peer_cert = false
amqp1_0.default_user   = guest
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
ssl_cert_login_from    = common_name
load_definitions       = $DIR/definitions.json
log.console = false
CONF
cat >"$DIR/env" <<ENV
export HOME=$DIR LC_ALL=C.UTF-8 ERL_EPMD_PORT=$EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=$NAME@localhost RABBITMQ_DIST_PORT=25672 RABBITMQ_CONFIG_FILE=$DIR/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=$DIR/none
export RABBITMQ_ENABLED_PLUGINS_FILE=$DIR/enabled_plugins RABBITMQ_MNESIA_BASE=$DIR/mnesia RABBITMQ_LOG_BASE=$DIR/log
export RABBITMQ_PID_FILE=$DIR/pid RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
ENV
. "$DIR/env"
alive "$STATE/$NAME.epmd.pid" || {
  setsid epmd -address 127.0.0.1 -port $EPMD_PORT </dev/null >"$DIR/epmd.log" 2>&1 &
  echo $! >"$STATE/$NAME.epmd.pid"
}
rm -f "$DIR/pid"
setsid /usr/lib/rabbitmq/bin/rabbitmq-server </dev/null >"$DIR/out.log" 2>&1 &
server=$!
wait_port $PORT 120 $server "$DIR/out.log"
wait_port $TLSPORT 30 $server "$DIR/out.log"
cp "$DIR/pid" "$STATE/$NAME.pid" # the node's: the script's own process is a parent of it
started $NAME $PORT $TLSPORT
