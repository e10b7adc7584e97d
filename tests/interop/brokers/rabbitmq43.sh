# RabbitMQ 4.3 (Debian 14's), native AMQP 1.0. Sourced by start.sh.
NAME=rabbitmq43 PORT=5677 TLSPORT=5678 EPMD_PORT=43695 DIST_PORT=25674 SUITE=forky
. "$HERE/rabbitmq-in-chroot.sh"
