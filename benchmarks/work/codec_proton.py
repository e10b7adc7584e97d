"""What `codec_uamqp.py` measures, done by python-qpid-proton."""

from proton import Message, symbol
from timing import report

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


body, message_id, properties = decode()
if (body, message_id, len(properties)) != (BODY, "message-1", 2):
    raise SystemExit("what was decoded isn't what was encoded")
report(encode, decode)
