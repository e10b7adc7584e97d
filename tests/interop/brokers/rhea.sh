# A small broker written on rhea, the JavaScript AMQP 1.0 library (npm). Sourced by start.sh.
NAME=rhea PORT=5686 TLSPORT=5687 WSPORT=5688 DIR=$STATE/rhea VERSION=3.0.5 WSVERSION=8.18.3
if up $NAME $PORT $TLSPORT; then exit 0; fi
command -v npm >/dev/null && command -v node >/dev/null || packages $NAME nodejs npm
mkdir -p "$DIR"
cd "$DIR"
if [[ ! -d node_modules/rhea || ! -d node_modules/ws ]]; then
  echo '{"name": "rhea-broker", "private": true}' >package.json
  npm install --no-audit --no-fund rhea@$VERSION ws@$WSVERSION >"$DIR/npm.log" 2>&1 || fail "$DIR/npm.log" "cannot install rhea"
fi
certificates
cp "$HERE/rhea_broker.js" .
setsid node rhea_broker.js $PORT $TLSPORT "$CERTS" $WSPORT </dev/null >"$DIR/out.log" 2>&1 &
echo $! >"$STATE/$NAME.pid"
wait_port $PORT 20 "$(cat "$STATE/$NAME.pid")" "$DIR/out.log"
wait_port $TLSPORT 20 "$(cat "$STATE/$NAME.pid")" "$DIR/out.log"
wait_port $WSPORT 20 "$(cat "$STATE/$NAME.pid")" "$DIR/out.log"
started $NAME $PORT $TLSPORT
