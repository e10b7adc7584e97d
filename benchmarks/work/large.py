"""The memory that one large message takes beyond what the program had before, as a multiple of its size; prints JSON.

large.py send|receive PORT SIZE
"""

import json
import resource
import sys

import uamqp
from uamqp import authentication

mode, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
auth = authentication.SASLAnonymous("localhost", port=port, use_tls=False)
url = f"amqp://localhost:{port}/large"


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


client = uamqp.SendClient(url, auth=auth) if mode == "send" else uamqp.ReceiveClient(url, auth=auth, prefetch=1)
client.open()
while not client.client_ready():
    client.do_work()
before = resident()
if mode == "send":
    message = uamqp.Message(b"x" * size)
    client.send_message(message)
else:
    message = client.receive_message_batch(max_batch_size=1, timeout=60000)[0]
    if sum(map(len, message.get_data())) != size:
        raise SystemExit("a body of the wrong size")
print(json.dumps({"times": (resident() - before) / size}), flush=True)
client.close()
