"""Microseconds per message of the codec, through the public API: the least of several rounds.

encode: build a message (100-byte body, three properties, two application properties, an annotation) and encode it.
decode: decode those bytes, and read the body, a property and the application properties.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from uamqp import Message, codec
from uamqp.message import MessageProperties

BODY = b"x" * 100


def build() -> Message:
    return Message(
        BODY,
        properties=MessageProperties(message_id="message-1", to="queue", subject="subject"),
        application_properties={"a": "b", "n": 1},
        annotations={"x-opt-sequence": 5},
    )


def decode(encoded: bytes) -> tuple[bytes, Any, Any]:
    message = Message.decode_from_bytes(encoded)
    return b"".join(message.get_data()), message.properties.message_id, message.application_properties


def least(function: Callable[[], Any], count: int, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            function()
        best = min(best, (time.perf_counter() - start) / count)
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="messages a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="(default: %(default)s)")
    options = parser.parse_args()
    encoded = build().encode_message()
    body, message_id, properties = decode(encoded)
    if body != BODY or message_id != b"message-1" or len(properties) != 2:
        raise SystemExit("The message doesn't come out as it went in.")
    print(
        json.dumps(
            {
                "compiled": codec.COMPILED,
                "encode_us": round(least(lambda: build().encode_message(), options.count, options.rounds), 2),
                "decode_us": round(least(lambda: decode(encoded), options.count, options.rounds), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
