"""Latency at a fixed rate through a broker: from when a message was due to when it was received; prints JSON.

    latency.py PORT RATE SECONDS

One process sends at the rate, whatever comes back (so a pause delays what follows, and shows); another receives. The
figures are milliseconds.
"""

import json
import subprocess
import sys
import time

import uamqp
from uamqp import authentication


def receive(port, count):
    took = []
    with uamqp.ReceiveClient(f"amqp://localhost:{port}/latency", prefetch=1000, timeout=20000) as client:
        client.open()
        while not client.client_ready():
            client.do_work()
        print("ready", flush=True)
        while len(took) < count:
            batch = client.receive_message_batch(max_batch_size=100)
            took.extend(time.perf_counter() - float(b"".join(message.get_data())) for message in batch)
    took.sort()
    print(json.dumps({f"p{p}": took[min(count - 1, int(count * p / 100))] * 1e3 for p in (50, 90, 99, 99.9)}))


def send(port, count, rate):
    connection = uamqp.Connection("localhost", authentication.SASLAnonymous("localhost", port=port, use_tls=False))
    session = uamqp.Session(connection)
    sender = uamqp.MessageSender(session, b"latency", uamqp.Target(f"amqp://localhost:{port}/latency"))
    sender.open()
    while sender.get_state().name != "Open":
        connection.work()
    start = time.perf_counter()
    for number in range(count):
        due = start + number / rate
        while (left := due - time.perf_counter()) > 0:
            if left > 0.0005:
                time.sleep(left - 0.0003)
        sender.send(uamqp.Message(repr(due).encode()), None)
        connection.work()
    connection.sleep(1)
    connection.destroy()


if sys.argv[1] == "receive":
    receive(int(sys.argv[2]), int(sys.argv[3]))
else:
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    count = int(rate * seconds)
    command = [sys.executable, __file__, "receive", str(port), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        if receiver.stdout.readline() != "ready\n":
            raise SystemExit("the receiver isn't ready")
        send(port, count, rate)
        print(receiver.stdout.readline())
