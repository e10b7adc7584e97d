# RabbitMQ 4.0 (Debian 13's), native AMQP 1.0. Sourced by start.sh.
NAME=rabbitmq4 PORT=5673 TLSPORT=5670 EPMD_PORT=43694 DIST_PORT=25673 SUITE=trixie
. "$HERE/rabbitmq-in-chroot.sh"
