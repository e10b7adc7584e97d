"""The codec through the API that uamqp 1.6.11 and this project have in common. Prints messages per second as JSON.

    codec_uamqp.py [ROUNDS]

encode: build a message (100 bytes, three properties, two application properties, an annotation) and encode it.
decode: decode that, and read the body, a property and the application properties. The figures are those of the best
round.
"""

from timing import report

import uamqp
from uamqp.message import MessageProperties

BODY = b"x" * 100


def encode():
    message = uamqp.Message(
        BODY,
        properties=MessageProperties(message_id="message-1", to=b"queue", subject=b"subject"),
        application_properties={"a": "b", "n": 1},
    )
    message.annotations = {b"x-opt-sequence": 5}
    return message.encode_message()


ENCODED = encode()


def decode():
    message = uamqp.Message.decode_from_bytes(ENCODED)
    return b"".join(message.get_data()), message.properties.message_id, message.application_properties


body, message_id, properties = decode()
if (body, message_id, len(properties)) != (BODY, b"message-1", 2):
    raise SystemExit("what was decoded isn't what was encoded")
report(encode, decode)
