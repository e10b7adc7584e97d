"""The work of `messages_uamqp.py` through the asyncio API; prints JSON.

messages_uamqp_async.py send|receive PORT COUNT BODY_BYTES [--ca FILE]
"""

import argparse
import asyncio
import json
import time

import uamqp
from uamqp import authentication

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["send", "receive"])
parser.add_argument("port", type=int)
parser.add_argument("count", type=int)
parser.add_argument("size", type=int)
parser.add_argument("--ca")
options = parser.parse_args()

BODY = b"x" * options.size
BATCH = max(1, min(1000, 64_000_000 // max(1, options.size)))


async def ready(client):
    await client.open_async()
    while not await client.client_ready_async():
        await client.do_work_async()
    return client


async def send(url, auth):
    client = await ready(uamqp.SendClientAsync(url, auth=auth))
    start, done = time.perf_counter(), 0
    while done < options.count:
        client.queue_message(*[uamqp.Message(BODY) for _ in range(BATCH)])
        await client.wait_async()
        done += BATCH
    return client, done / (time.perf_counter() - start)


async def receive(url, auth):
    client = await ready(uamqp.ReceiveClientAsync(url, auth=auth, prefetch=1000, timeout=20000))
    start, done = time.perf_counter(), 0
    while done < options.count:
        batch = await client.receive_message_batch_async(max_batch_size=500)
        for message in batch:
            if len(b"".join(message.get_data())) != options.size:
                raise SystemExit("a body of the wrong size")
            message.accept()
        done += len(batch)
    return client, done / (time.perf_counter() - start)


async def main():
    if options.ca:
        auth = authentication.SASLAnonymous("localhost", port=options.port, verify=options.ca)
        url = f"amqps://localhost:{options.port}/q0"
    else:
        auth = authentication.SASLAnonymous("localhost", port=options.port, use_tls=False)
        url = f"amqp://localhost:{options.port}/q0"
    client, rate = await (send if options.mode == "send" else receive)(url, auth)
    await client.close_async()
    print(json.dumps({"rate": rate}))


asyncio.run(main())
