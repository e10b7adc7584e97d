"""Messages per second through the blocking API that uamqp 1.6.11 and this project have in common; prints JSON.

    messages_uamqp.py send|receive PORT COUNT BODY_BYTES [--ca FILE] [--links N] [--connections N] [--credit N]
                      [--batch N] [--unsettled N]

send: queue messages in batches, and wait until each is accepted. receive: batches, of half the credit at most; read
each body, accept each message. With more links or connections the work goes round them. --unsettled: so many
messages are received before, and settled never. Printed are messages per second, the
microseconds of CPU that one takes, and the largest resident size in MiB.
"""

import argparse
import json
import resource
import time

import uamqp
from uamqp import authentication

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["send", "receive"])
parser.add_argument("port", type=int)
parser.add_argument("count", type=int)
parser.add_argument("size", type=int)
parser.add_argument("--ca")
parser.add_argument("--links", type=int, default=1)
parser.add_argument("--connections", type=int, default=1)
parser.add_argument("--credit", type=int, default=1000)
parser.add_argument("--batch", type=int, default=1000)
parser.add_argument("--unsettled", type=int, default=0)
options = parser.parse_args()

HOST = "localhost"
SCHEME = "amqps" if options.ca else "amqp"
BODY = b"x" * options.size
BATCH = max(
    1, min(options.batch, options.count // max(options.links, options.connections), 64_000_000 // max(1, options.size))
)
MOST = max(1, min(options.batch, options.credit // 2))


def login():
    if options.ca:
        return authentication.SASLAnonymous(HOST, port=options.port, verify=options.ca)
    return authentication.SASLAnonymous(HOST, port=options.port, use_tls=False)


def client(connection, node):
    url = f"{SCHEME}://{HOST}:{options.port}/{node}"
    settings = {} if connection is not None else {"auth": login()}
    if options.mode == "send":
        made = uamqp.SendClient(url, **settings)
    else:
        more = {"auto_complete": False} if options.unsettled else {}
        made = uamqp.ReceiveClient(
            url, prefetch=options.credit, timeout=20000, max_message_size=2**31 - 1, **more, **settings
        )
    made.open(*([connection] if connection is not None else []))
    while not made.client_ready():
        made.do_work()
    return made


def send(clients):
    done = 0
    while done < options.count:
        for sender in clients:
            sender.queue_message(*[uamqp.Message(BODY) for _ in range(BATCH)])
            sender.wait()
            done += BATCH
    return done


def receive(clients):
    done = 0
    while done < options.count:
        for receiver in clients:
            batch = receiver.receive_message_batch(max_batch_size=MOST)
            for message in batch:
                if len(b"".join(message.get_data())) != options.size:
                    raise SystemExit("a body of the wrong size")
                message.accept()
            done += len(batch)
    return done


connections = []
if options.connections > 1 or options.links == 1:
    clients = [client(None, f"q{number}") for number in range(options.connections)]
else:
    connections.append(uamqp.Connection(HOST, login()))
    if not options.ca:
        connections[0]._port = options.port
    clients = [client(connections[0], f"q{number}") for number in range(options.links)]
held = []  # messages that nobody settles
while len(held) < options.unsettled:
    held += clients[0].receive_message_batch(max_batch_size=MOST)
start, cpu = time.perf_counter(), time.process_time()
done = (send if options.mode == "send" else receive)(clients)
elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rate": done / elapsed, "cpu": cpu / done * 1e6, "memory": memory}), flush=True)
for made in clients:
    made.close()
for connection in connections:
    connection.destroy()
