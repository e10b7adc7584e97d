# A broker from Maven's repository, embedded in a small Java program. Sourced by artemis.sh and brokerj.sh, which set NAME, MAIN (the
# program's class), PORT and TLSPORT. The folder $HERE/$NAME has pom.xml, which names the broker's parts, and the program.
DIR=$STATE/$NAME LOG=$STATE/$NAME/out.log
if up $NAME $PORT $TLSPORT; then exit 0; fi
{ command -v mvn && command -v javac; } >/dev/null || packages $NAME openjdk-17-jdk-headless maven
mkdir -p "$DIR"
cd "$DIR"
if ! cmp -s "$HERE/$NAME/pom.xml" pom.xml; then
  rm -rf jars pom.xml
  mvn -q -B -f "$HERE/$NAME/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$DIR/jars" \
    </dev/null >mvn.log 2>&1 || fail "$DIR/mvn.log" "cannot get $NAME from Maven's repository"
  cp "$HERE/$NAME/pom.xml" . # only now: it says that the jars are there
fi
rm -rf classes
javac -d classes -cp 'jars/*' "$HERE/$NAME/$MAIN.java" >javac.log 2>&1 || fail "$DIR/javac.log" "cannot compile $MAIN.java"
certificates

[[ -n $KEEP ]] || rm -rf data
setsid java -Xms64m -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp 'classes:jars/*' $MAIN \
  "$HERE/$NAME" "$DIR/data" "$CERTS" $PORT $TLSPORT </dev/null >"$LOG" 2>&1 &
echo $! >"$STATE/$NAME.pid"
wait_port $PORT 90 "$(cat "$STATE/$NAME.pid")" "$LOG"
wait_port $TLSPORT 90 "$(cat "$STATE/$NAME.pid")" "$LOG"
wait_line ready 90 "$(cat "$STATE/$NAME.pid")" "$LOG"
started $NAME $PORT $TLSPORT
