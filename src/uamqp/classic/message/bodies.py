"""Bodies of messages: data, value and sequence sections.

The classes are public in `uamqp.message`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from ... import codec
from ...codec import DATA, SEQUENCE, VALUE
from ...codec.message import append_data, append_section, body_code, body_parts, body_size
from ..values import native
from ..values.portable import Portable, unreadable
from . import sections as _sections


class MessageBody(Portable):
    """The body of a message, copied from `c_message` (a `c_uamqp.cMessage`) if given."""

    __module__ = "uamqp.message"

    __slots__ = ("_encoding", "_parts")

    _stored = ("_encoding", "_parts")
    _type: ClassVar[native.MessageBodyType] = native.MessageBodyType.NoneType
    _code: ClassVar[int] = 0

    # Each section's encoded value; for data sections, just the content.
    _parts: list[bytes]

    def __init__(self, c_message: Any = None, encoding: str = "UTF-8") -> None:
        self._encoding = encoding
        self._parts = []
        if c_message is not None and c_message.body_type is self._type:
            payload = c_message._encode_payload()
            self._parts = body_parts(payload, codec.scan_sections(payload))

    @property
    def type(self) -> native.MessageBodyType:
        """The kind of sections that make up the body."""
        return self._type

    @property
    def data(self) -> Any:
        """The content."""
        raise NotImplementedError("Only MessageBody subclasses have data.")

    def _append_to(self, out: bytearray) -> None:
        for part in self._parts:
            append_section(out, self._code, part)

    def _text(self, value: Any) -> str:
        # Bytes that aren't text are shown, too: b"\xff" as \xff.
        return value.decode(self._encoding, "backslashreplace") if isinstance(value, bytes) else str(value)

    def _shown(self) -> str:
        return ""

    def _outline(self) -> str:
        """Return a description of the body's kind and size."""
        return outline(_KINDS.get(self._type, 0), len(self._parts), sum(map(len, self._parts)))

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__}, {self._outline()}>"
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)

    def __str__(self) -> str:
        try:
            return self._shown()
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)


class DataBody(MessageBody):
    """A body of data sections, which are bytes. `data` iterates over them, ``bytes()`` joins them."""

    __module__ = "uamqp.message"

    __slots__ = ()

    _type = native.MessageBodyType.DataType

    def append(self, data: str | bytes) -> None:
        """Add a section.

        Raises:
            TypeError: the data is neither text nor bytes.
        """
        if isinstance(data, str):
            data = data.encode(self._encoding)
        if not isinstance(data, bytes):
            raise TypeError(f"A data section holds str or bytes, not {type(data).__name__}.")
        self._parts.append(data if type(data) is bytes else bytes(data))

    @property
    def data(self) -> Iterator[bytes]:
        """The content of each section."""
        return iter(self._parts)

    def _append_to(self, out: bytearray) -> None:
        # A message needs a body: without sections, an empty one goes out.
        for part in self._parts or [b""]:
            append_data(out, part)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: int) -> bytes:
        return self._parts[index]

    def __bytes__(self) -> bytes:
        return b"".join(self._parts)

    def _shown(self) -> str:
        return "".join([self._text(part) for part in self._parts])


class ValueBody(MessageBody):
    """A body that is one AMQP value."""

    __module__ = "uamqp.message"

    __slots__ = ()

    _type = native.MessageBodyType.ValueType
    _code = VALUE

    def set(self, value: Any) -> None:
        """Use a value as the body.

        Raises:
            Exception: see `utils.data_factory`.
        """
        out = bytearray()
        _sections.append_amqp(out, value, self._encoding)
        self._parts = [bytes(out)]

    @property
    def data(self) -> Any:
        """The value as it is decoded: text as bytes."""
        if not self._parts:
            return None
        return codec.decode_value(self._parts[0], bare=True)

    def __bytes__(self) -> bytes:
        value = self.data
        return value if isinstance(value, bytes) else self._shown().encode(self._encoding)

    def _shown(self) -> str:
        value = self.data
        return self._text(value) if value else ""


class SequenceBody(MessageBody):
    """A body of sequence sections, which are lists. `data` iterates over them."""

    __module__ = "uamqp.message"

    __slots__ = ()

    _type = native.MessageBodyType.SequenceType
    _code = SEQUENCE

    def append(self, data: Iterable[Any]) -> None:
        """Add a section.

        Raises:
            TypeError: the data isn't a list.
            Exception: see `utils.data_factory`.
        """
        if not isinstance(data, (list, tuple)):
            raise TypeError(f"A sequence section holds a list, not {type(data).__name__}.")
        out = bytearray()
        _sections.append_amqp(out, list(data), self._encoding)
        self._parts.append(bytes(out))

    @property
    def data(self) -> Iterator[list[Any]]:
        """The list in each section, as it is decoded: text as bytes."""
        return (codec.decode_value(part, bare=True) for part in self._parts)

    def _append_to(self, out: bytearray) -> None:
        if self._parts:
            MessageBody._append_to(self, out)
        else:
            append_section(out, SEQUENCE, codec.encode_value([]))

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: int) -> list[Any]:
        value: list[Any] = codec.decode_value(self._parts[index], bare=True)
        return value

    def __bytes__(self) -> bytes:
        return self._shown().encode(self._encoding)

    def _shown(self) -> str:
        return "".join([self._text(item) for sequence in self.data for item in sequence])


_KINDS = {
    native.MessageBodyType.DataType: DATA,
    native.MessageBodyType.SequenceType: SEQUENCE,
    native.MessageBodyType.ValueType: VALUE,
}
_NAMES = {DATA: "data", SEQUENCE: "sequence", VALUE: "value"}


def outline(code: int, count: int, size: int) -> str:
    """Return a description of a body by its sections' code, number and bytes."""
    if not code:
        return "no body"
    sections = _NAMES[code] if count == 1 else f"{count} {_NAMES[code]} sections"
    return f"{sections} of {size} byte{'' if size == 1 else 's'}"


def received_outline(payload: bytes, bounds: list[tuple[int, int, int]]) -> str:
    """Return a description of the body in the sections found by `codec.scan_sections`, without making it."""
    count = sum(1 for code, _, _ in bounds if DATA <= code <= VALUE)
    return outline(body_code(bounds), count, body_size(payload, bounds))


def received_body(payload: bytes, bounds: list[tuple[int, int, int]], encoding: str) -> MessageBody | None:
    """Return the body in the sections found by `codec.scan_sections`, or None."""
    code = body_code(bounds)
    if not code:
        return None
    kind: type[MessageBody] = DataBody if code == DATA else ValueBody if code == VALUE else SequenceBody
    body = kind.__new__(kind)
    body._encoding = encoding
    body._parts = body_parts(payload, bounds)
    return body
