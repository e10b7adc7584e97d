# Qpid Broker-J. $PORT + 5 takes ANONYMOUS alone, $PORT + 6 knows the virtual host "default" alone, $PORT + 7 is WebSocket. Sourced by
# start.sh.
NAME=brokerj MAIN=BrokerJ PORT=20772 TLSPORT=20771
. "$HERE/java-broker.sh"
