"""What `codec_uamqp.py` measures, done by pyamqp, the AMQP stack inside azure-servicebus."""

from azure.servicebus._pyamqp import _decode, _encode
from azure.servicebus._pyamqp.message import Message, Properties
from timing import report

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


body, _, properties = decode()
if (body, len(properties)) != (BODY, 2):
    raise SystemExit("what was decoded isn't what was encoded")
report(encode, decode)
