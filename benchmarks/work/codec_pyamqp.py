"""What `codec_uamqp.py` measures, done by pyamqp, the AMQP stack inside azure-servicebus."""

import json
import sys
import time

from azure.servicebus._pyamqp import _decode, _encode
from azure.servicebus._pyamqp.message import Message, Properties

BODY = b"x" * 100


def encode():
    out = bytearray()
    message = Message(
        header=None,
        properties=Properties(message_id="message-1", to=b"queue", subject=b"subject"),
        application_properties={"a": "b", "n": 1},
        message_annotations={b"x-opt-sequence": 5},
        data=[BODY],
    )
    _encode.encode_payload(out, message)
    return out


ENCODED = memoryview(bytes(encode()))


def decode():
    message = _decode.decode_payload(ENCODED)
    return b"".join(message.data), message.properties.message_id, message.application_properties


def rate(function, rounds, count=3000):
    least = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            function()
        least = min(least, (time.perf_counter() - start) / count)
    return 1 / least


body, _, properties = decode()
if (body, len(properties)) != (BODY, 2):
    raise SystemExit("what was decoded isn't what was encoded")
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
print(json.dumps({"encode": rate(encode, rounds), "decode": rate(decode, rounds)}))
