# ActiveMQ Artemis. WebSocket is on the same ports. Sourced by start.sh.
NAME=artemis MAIN=Artemis PORT=20672 TLSPORT=20671
. "$HERE/java-broker.sh"
