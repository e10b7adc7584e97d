# ActiveMQ Classic 5.17 (Debian's) with the AMQP 1.0 connector, which Debian leaves out of its package: compiled here from Debian's
# own source package and Debian's proton-j. Sourced by start.sh.
NAME=activemq PORT=5674 TLSPORT=5675 DIR=$STATE/activemq
if up $NAME $PORT $TLSPORT; then exit 0; fi
packages $NAME libactivemq-java openjdk-17-jdk-headless libhawtbuf-java libslf4j-java libactivemq-protobuf-java \
  libgeronimo-jms-1.1-spec-java libgeronimo-j2ee-management-1.1-spec-java xz-utils
mkdir -p "$DIR/lib"

jars=
for jar in activemq-{broker,client,jaas,kahadb-store,openwire-legacy,protobuf} slf4j-{api,simple} hawtbuf geronimo-jms_1.1_spec \
  geronimo-j2ee-management-1.1-spec; do
  [[ -e /usr/share/java/$jar.jar ]] || die "$NAME: /usr/share/java/$jar.jar is missing"
  jars=$jars:/usr/share/java/$jar.jar
done

if [[ ! -e $DIR/lib/connector.jar || $HERE/AmqBroker.java -nt $DIR/lib/connector.jar ]]; then
  build=$DIR/build log=$DIR/fetch.log
  rm -rf "$build"
  mkdir -p "$build/lists/partial" "$build/classes"
  cd "$build"
  mirror
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  printf "%s [signed-by=$key] $MIRROR trixie main\n" deb deb-src >src.list
  options=(-qq -o "Dir::Etc::SourceList=$build/src.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$build/lists"
    -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= -o APT::Sandbox::User=root)
  {
    apt-get "${options[@]}" update
    apt-get "${options[@]}" download libapache-qpid-proton-j-java
    # The .dsc is not on every mirror: apt then fails, but has fetched the tarball, whose checksum is compared below.
    apt-get "${options[@]}" source --download-only activemq || true
  } >"$log" 2>&1 || fail "$log" "cannot get the sources of ActiveMQ's AMQP connector"
  tarball=$(echo activemq_*.orig.tar.xz)
  [[ -e $tarball ]] || fail "$log" "apt fetched no source tarball of activemq"
  sum=$(apt-cache "${options[@]}" showsrc activemq | awk -v t="$tarball" '$3 == t && length($1) == 64 {print $1; exit}')
  echo "$sum  $tarball" | sha256sum -c --quiet - || die "the checksum of $tarball is wrong"
  tar xJf "$tarball"
  dpkg-deb -x libapache-qpid-proton-j-java_*.deb proton-j
  cp "$(readlink -f proton-j/usr/share/java/proton-j-0*.jar)" "$DIR/lib/proton-j.jar"
  sources=$(echo activemq-*/activemq-amqp/src/main)
  # The WebSocket transport needs activemq-http, which Debian leaves out too.
  {
    find "$sources/java" -name '*.java' ! -name '*WSTransport*' -print0 |
      xargs -0 javac -nowarn -d classes -cp "$DIR/lib/proton-j.jar$jars" "$HERE/AmqBroker.java" &&
      cp -r "$sources"/resources/* classes/ &&
      jar cf "$DIR/lib/connector.jar" -C classes .
  } >"$DIR/build.log" 2>&1 || fail "$DIR/build.log" "cannot compile ActiveMQ's AMQP connector"
  cd "$DIR"
  rm -rf "$build"
fi
certificates
[[ -e $CERTS/ca.p12 ]] || keytool -importcert -noprompt -alias ca -file "$CERTS/ca.pem" -keystore "$CERTS/ca.p12" \
  -storetype PKCS12 -storepass changeit >"$DIR/keytool.log" 2>&1 || fail "$DIR/keytool.log" "cannot make ca.p12"

[[ -n $KEEP ]] || rm -rf "$DIR/data"
cd "$DIR"
setsid java -Xms64m -Xmx512m -cp "$DIR/lib/connector.jar:$DIR/lib/proton-j.jar$jars" -Ddata="$DIR/data" \
  -Djavax.net.ssl.keyStore="$CERTS/server.p12" -Djavax.net.ssl.keyStorePassword=changeit \
  -Djavax.net.ssl.trustStore="$CERTS/ca.p12" -Djavax.net.ssl.trustStorePassword=changeit \
  AmqBroker $PORT $TLSPORT </dev/null >"$DIR/out.log" 2>&1 &
echo $! >"$STATE/$NAME.pid"
wait_port $PORT 60 "$(cat "$STATE/$NAME.pid")" "$DIR/out.log"
wait_port $TLSPORT 60 "$(cat "$STATE/$NAME.pid")" "$DIR/out.log"
started $NAME $PORT $TLSPORT
