"""Message sections and frames on top of `codec`; imports nothing of the library."""

from __future__ import annotations

import struct
from typing import Any

from .codec import (
    Composite,
    Described,
    Reader,
    Value,
    WireError,
    definition_of,
    encode,
    encode_composite,
    ulong,
)
from .definitions import COMPOSITES, PERFORMATIVES, SASL_BODIES, Definition

# ---------------------------------------------------------------- message sections


def section(name: str, value: Any) -> bytes:
    """One section: `section("data", b"x")`, `section("header", {"durable": True})`."""
    definition = COMPOSITES[name]
    if definition.shape is None:
        return encode_composite(Composite(name, value))
    return b"\x00" + encode(ulong(definition.code)) + encode(value)


def data_message(data: bytes) -> bytes:
    """A whole message: one data section."""
    return section("data", data)


def decode_sections(payload: bytes) -> list[tuple[str, Any]]:
    """The sections of a whole message, as (name, value); checks their kinds and their order."""
    reader = Reader(payload)
    result: list[tuple[str, Any]] = []
    while reader.pos < reader.end:
        value = reader.value()
        if isinstance(value, Composite):
            result.append((value.name, value))
            continue
        definition = definition_of(value.descriptor) if isinstance(value, Described) else None
        if definition is None:
            raise WireError(f"no section: {value!r}")
        _check_shape(definition, value.value)
        result.append((definition.name, value.value))
    codes = [COMPOSITES[name].code for name, _ in result]
    if codes != sorted(codes):
        raise WireError(f"sections out of order: {[name for name, _ in result]}")
    return result


def _check_shape(definition: Definition, value: Any) -> None:
    kind = "map" if isinstance(value, dict) else "list" if isinstance(value, list) else None
    if isinstance(value, Value):
        kind = value.kind
    if definition.shape not in ("any", kind):
        raise WireError(f"the section {definition.name} must carry a {definition.shape}: {value!r}")


# ---------------------------------------------------------------- frames

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
TLS_HEADER = b"AMQP\x02\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
HEADERS = {"AMQP": AMQP_HEADER, "TLS": TLS_HEADER, "SASL": SASL_HEADER}
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"


class Frame:
    """A decoded frame. `name` is the performative's, or "empty"; `frame["handle"]` is a field or None."""

    __slots__ = ("body", "channel", "payload", "raw", "type")

    def __init__(self, type_: int, channel: int, body: Composite | None, payload: bytes, raw: bytes) -> None:
        self.type = type_
        self.channel = channel
        self.body = body
        self.payload = payload
        self.raw = raw

    @property
    def name(self) -> str:
        return "empty" if self.body is None else self.body.name

    @property
    def fields(self) -> dict[str, Any]:
        return {} if self.body is None else self.body.fields

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]

    def get(self, field: str) -> Any:
        """The field's value, or its default where it is absent and has one."""
        return None if self.body is None else self.body.get(field)

    def __repr__(self) -> str:
        shown = repr(self.body) if self.body is not None else "empty frame"
        payload = f" + {len(self.payload)} bytes {self.payload[:40]!r}" if self.payload else ""
        return f"[{self.channel}] {shown}{payload}"


def frame(
    body: bytes = b"",
    payload: bytes = b"",
    *,
    channel: int = 0,
    type_: int = 0,
    doff: int = 2,
    extended_header: bytes = b"",
    size: int | None = None,
) -> bytes:
    """The bytes of a frame; `size`, `doff` and `extended_header` can be made to lie."""
    rest = extended_header + body + payload
    return struct.pack(">IBBH", 8 + len(rest) if size is None else size, doff, type_, channel) + rest


def performative(name: str, /, **fields: Any) -> bytes:
    """The bytes of a performative or a SASL body by name."""
    return encode_composite(Composite(name, fields))


def decode_frame(raw: bytes) -> Frame:
    """One whole frame, checked strictly."""
    size, doff, type_, channel = struct.unpack_from(">IBBH", raw)
    if size != len(raw):
        raise WireError(f"a frame of {len(raw)} bytes says that it has {size}")
    if doff < 2 or doff * 4 > size:
        raise WireError(f"a data offset of {doff} in a frame of {size} bytes")
    if type_ not in (0, 1):
        raise WireError(f"a frame of type {type_}")
    if doff * 4 == size:
        if type_ == 1:
            raise WireError("an empty SASL frame")
        return Frame(type_, channel, None, b"", raw)
    reader = Reader(raw, doff * 4)
    body = reader.value()
    if not isinstance(body, Composite) or body.name not in (PERFORMATIVES, SASL_BODIES)[type_]:
        raise WireError(f"a frame of type {type_} holding {body!r}")
    payload = raw[reader.pos :]
    if payload and body.name != "transfer":
        raise WireError(f"{len(payload)} bytes after {body.name}")
    return Frame(type_, channel, body, payload, raw)
