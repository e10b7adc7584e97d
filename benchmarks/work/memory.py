"""What links, queued messages and idle connections cost; prints JSON.

    memory.py PORT

link: bytes for each of 1,000 receiving links of one connection. queued: bytes for each of 100,000 messages of 100
bytes that wait to be sent. idle: milliseconds of CPU that 20 idle receiving connections take in 5 seconds.
"""

import json
import sys
import time
import tracemalloc

import uamqp
from uamqp import authentication

port = int(sys.argv[1])
url = f"amqp://localhost:{port}"


def ready(client, *arguments):
    client.open(*arguments)
    while not client.client_ready():
        client.do_work()
    return client


def grown(make):
    """What `make` allocates and returns, in bytes."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return made, after - before


connection = uamqp.Connection("localhost", authentication.SASLAnonymous("localhost", port=port, use_tls=False))
ready(uamqp.ReceiveClient(f"{url}/first"), connection)
links, of_links = grown(
    lambda: [ready(uamqp.ReceiveClient(f"{url}/q{n}", prefetch=1), connection) for n in range(1000)]
)
connection.destroy()

sender = uamqp.SendClient(f"{url}/queued")
body = b"x" * 100
_, of_messages = grown(lambda: sender.queue_message(*[uamqp.Message(body) for _ in range(100_000)]))

idle = [ready(uamqp.ReceiveClient(f"{url}/idle{n}")) for n in range(20)]
start = time.process_time()
time.sleep(5)
of_idle = time.process_time() - start
for client in idle:
    client.close()
print(json.dumps({"link": of_links / 1000, "queued": of_messages / 100_000, "idle": of_idle * 1e3}))
