#!/bin/bash
# certificates.sh FOLDER: makes ca.pem; server.pem/.key for localhost, 127.0.0.1 and ::1; client.pem/.key, CN=amqp; server.p12 (changeit)
set -euo pipefail
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=amqp-test-ca -keyout ca.key -out ca.pem \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
for name in server client; do
  subject=/CN=localhost
  [[ $name == server ]] || subject=/CN=amqp
  openssl req -newkey rsa:2048 -nodes -subj $subject -keyout $name.key -out $name.csr
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=%sAuth\n' $name >$name.ext
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile $name.ext -out $name.pem
done
openssl pkcs12 -export -in server.pem -inkey server.key -certfile ca.pem -name server -passout pass:changeit -out server.p12
chmod 644 ./* # throw-away keys, read by brokers that run as other users
: >done
