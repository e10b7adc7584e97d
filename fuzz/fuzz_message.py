"""Fuzzes received messages: looking at one gives values or DecodeErrors, and sending it on gives what came.

python -m fuzz.fuzz_message --seconds 600
python -m fuzz.fuzz_message --record    writes fuzz/corpus/message/messages.hex
"""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Hashable
from typing import Any

from uamqp import c_uamqp
from uamqp.classic.message.message import received_message
from uamqp.codec import DecodeError
from uamqp.message import Message, MessageHeader, MessageProperties

from . import mutate
from .fuzz_codec import TOKENS as VALUES

HEAD = bytes((0x00, 0x53))
MAPS = {"delivery_annotations": 0x71, "annotations": 0x72, "application_properties": 0x74, "footer": 0x78}
SECTIONS = ("header", "properties", *MAPS)
BODY = ("data", "sequence", "value")
FIELDS = [name for name in vars(MessageProperties) if not name.startswith("_") and name != "get_properties_obj"]
TOKENS: list[bytes] = [
    *VALUES,
    *[HEAD + bytes((code,)) for code in range(0x70, 0x79)],
    b"\x00\x53\x75\xa0\x01x",
    b"\x00\x53\x77\x40",
    b"\x00\x53\x76\x45",
    b"\x00\x53\x74\xc1\x01\x00",
    b"\x00\x53\x72\xc1\x05\x02\xa3\x01k\x40",
]


class Broken(Exception):
    """An invariant doesn't hold."""


class Arrived:
    """A delivery."""

    delivery_id = 1
    tag = b"tag"
    message_format = 0
    settled = True

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


def attempt(function: Callable[[], Any]) -> tuple[Any, str]:
    """The result and "", or None and what the DecodeError says, roughly."""
    try:
        return function(), ""
    except DecodeError as error:
        return None, "".join(letter for letter in str(error) if letter.isalpha())[:40]


def seen(message: Message) -> list[Any]:
    """All that a message shows."""
    found: list[Any] = [getattr(message, name) for name in SECTIONS]
    header, properties = found[:2]
    found[0] = None if header is None else str(header)
    found[1] = None if properties is None else [getattr(properties, name) for name in FIELDS]
    found += [list(part) if name != "value" and part is not None else part for name, part in parts(message)]
    return found


def parts(message: Message) -> list[tuple[str, Any]]:
    return [(name, getattr(message, name)) for name in BODY]


def look(message: Message) -> list[str]:
    """Look at everything; what went wrong with each."""
    problems = [attempt(lambda name=name: getattr(message, name))[1] for name in SECTIONS]  # type: ignore[misc]
    problems.append(attempt(lambda: parts(message))[1])
    problems.append(attempt(lambda: [list(part) for name, part in parts(message) if name != "value" and part])[1])
    properties, _ = attempt(lambda: message.properties)
    if properties is not None:
        for name in FIELDS:
            getattr(properties, name)
        str(properties)
    header, _ = attempt(lambda: message.header)
    str(header)
    return problems


def check_changes(message: Message, before: list[Any]) -> None:
    """What is changed is, and the rest goes on as it came."""
    for name in MAPS:
        found = getattr(message, name)
        setattr(message, name, {**(found or {}), "fuzz": name})
    again = Message.decode_from_bytes(message.encode_message())
    for index, name in enumerate(SECTIONS[2:], 2):
        expected = {**(before[index] or {}), b"fuzz": name.encode()}
        if repr(getattr(again, name)) != repr(expected):
            raise Broken(f"{name} was {expected!r:.300}, and is {getattr(again, name)!r:.300}")
    properties = message.properties or MessageProperties()
    properties.subject = "fuzz"
    message.properties = properties
    header = message.header or MessageHeader()
    header.durable = not header.durable
    message.header = header
    again = Message.decode_from_bytes(message.encode_message())
    fields = before[1] or [None] * len(FIELDS)
    for name, value in zip(FIELDS, fields, strict=True):
        now = getattr(again.properties, name)
        if repr(now) != repr(b"fuzz" if name == "subject" else value):
            raise Broken(f"{name} was {value!r:.300}, and is {now!r:.300}")


def check_values(data: bytes) -> str:
    """The same in AMQP's own terms."""
    decoded, problem = attempt(lambda: c_uamqp.decode_message(data))
    if decoded is not None:
        for name in (
            "header",
            "properties",
            "application_properties",
            "message_annotations",
            "delivery_annotations",
            "footer",
        ):
            part, _ = attempt(lambda name=name: getattr(decoded, name))  # type: ignore[misc]
            str(part)
    return problem


def target(data: bytes) -> Hashable:
    """What happens to `data` as the payload of a message; raises Broken where an invariant doesn't hold."""
    untouched = received_message(Arrived(data), None)
    if untouched.encode_message() != data:
        raise Broken("an untouched message isn't sent on as it came")
    message = received_message(Arrived(data), None)
    problems = look(message)
    values = check_values(data)
    if any(problems):
        return (*problems, values)
    before = seen(message)
    encoded = message.encode_message()
    if repr(seen(received_message(Arrived(encoded), None))) != repr(before):
        raise Broken("a message that was looked at isn't sent on as it came")
    for other in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        if repr(seen(other)) != repr(before):
            raise Broken("a copy isn't the same")
    if data:
        check_changes(message, before)
    return (values, *[type(part).__name__ for part in before], len(encoded) == len(data))


def recording() -> str:
    """The corpus: what the codec's has of messages, and each of its maps as each section that is one."""
    codec = mutate.HERE / "corpus" / "codec"
    messages, maps = (
        [line for line in (codec / name).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
        for name in ("messages.hex", "keys.hex")
    )
    lines = ["# Written by `python -m fuzz.fuzz_message --record`.", *messages]
    body = "005375a00178"
    for line in maps:
        value, _, name = line.partition("  # ")
        for section, code in MAPS.items():
            found = f"0053{code:02x}{value}"
            lines.append(f"{body + found if section == 'footer' else found + body}  # {section}: {name}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        folder = mutate.HERE / "corpus" / "message"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "messages.hex").write_text(recording(), encoding="utf-8")
        sys.exit(0)
    sys.exit(mutate.main("message", target, TOKENS))
