"""What `codec_uamqp.py` measures, done by python-qpid-proton."""

import json
import sys
import time

from proton import Message, symbol

BODY = b"x" * 100


def encode():
    message = Message(
        body=BODY, id="message-1", address="queue", subject="subject", properties={"a": "b", "n": 1}, inferred=True
    )
    message.annotations = {symbol("x-opt-sequence"): 5}
    return message.encode()


ENCODED = encode()


def decode():
    message = Message()
    message.decode(ENCODED)
    return bytes(message.body), message.id, message.properties


def rate(function, rounds, count=3000):
    least = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            function()
        least = min(least, (time.perf_counter() - start) / count)
    return 1 / least


body, message_id, properties = decode()
if (body, message_id, len(properties)) != (BODY, "message-1", 2):
    raise SystemExit("what was decoded isn't what was encoded")
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
print(json.dumps({"encode": rate(encode, rounds), "decode": rate(decode, rounds)}))
