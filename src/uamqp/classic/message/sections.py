"""Sections of a message: header, properties, and the encoding of those that are maps.

The classes are public as `uamqp.message.MessageHeader` and
`uamqp.message.MessageProperties`. Those of a received message remember the bytes they came from, and what wasn't
changed is encoded as it came, with every AMQP type as the sender had it.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ... import codec
from ...codec import APPLICATION_PROPERTIES, DELIVERY_ANNOTATIONS, FOOTER, HEADER, MESSAGE_ANNOTATIONS, PROPERTIES
from ...codec.decode import Decoder, decoder_between, type_name
from ...codec.encode import (
    append_bare,
    append_keyed_map,
    append_string,
    append_symbol,
    begin_map,
    close_compound,
    is_utf8,
    nesting_error,
)
from ...codec.errors import NestingError
from ...codec.message import append_header, append_properties, encoded_since, read_header, read_properties, unchanged
from ..values import convert, native
from ..values import values as _values
from ..values.arguments import encoding_of, having
from ..values.portable import Portable, reduced, restore, state_of, unreadable

if TYPE_CHECKING:
    from ..values.types import AMQPType

#: What fields of the properties may be given as.
Text: TypeAlias = "str | bytes | AMQPType | None"
Number: TypeAlias = "int | AMQPType | None"


def append_amqp(out: bytearray, value: Any, encoding: str, depth: int = 0) -> None:
    """Appends what `utils.data_factory` makes of a value; raises its errors, with `out` as it was.

    `depth`: how deep what it goes into is nested. Nothing is encoded that the codec would be too deep for to read.
    """
    if encoding == "UTF-8":
        try:
            append_bare(out, value, depth)
            return
        except NestingError:
            raise
        except codec.EncodeError:
            pass  # Objects that have a c_data and nothing else; or there is an error, which data_factory tells.
    try:
        wrapped = convert.converted(value, encoding)
    except RecursionError as error:
        raise nesting_error(error) from None
    append_bare(out, wrapped, depth)


def append_map(out: bytearray, values: dict[Any, Any], encoding: str, symbols: bool) -> None:
    """Appends a map; `symbols`: the keys of annotations and footers, else those of application properties.

    See `codec.encode.append_keyed_map` for what keys may be. Raises `TypeError` for others, and `ValueError` for those
    that don't fit, which name the key.
    """
    if encoding == "UTF-8":
        try:
            append_keyed_map(out, values, symbols)
            return
        except codec.EncodeError:
            pass  # What this doesn't know, or what is wrong.
    start = begin_map(out)
    for key, value in values.items():
        _append_key(out, key, encoding, symbols)
        _append_item(out, key, value, encoding)
    close_compound(out, start, 2 * len(values))


def _append_item(out: bytearray, key: Any, value: Any, encoding: str) -> None:
    """Appends what stands under a key."""
    try:
        append_amqp(out, value, encoding, 1)
    except codec.EncodeError as error:
        raise type(error)(f"The value of {key!r:.100} can't be encoded: {error}") from None


def _append_key(out: bytearray, key: Any, encoding: str, symbols: bool) -> None:
    """Appends a key, as the specification (sections 3.2.5, 3.2.10) wants it.

    Text and bytes become symbols (1.6 sent strings) or strings, ints ulong, wrapped in `types` or not. What another
    encoding than UTF-8 makes of text goes out as it is, as in 1.6.
    """
    found = _key_of(key, encoding)
    if type(found) is bytes:
        if encoding != "UTF-8" or found.isascii() or (not symbols and is_utf8(found)):
            if symbols:
                append_symbol(out, found)
            else:
                append_string(out, found)
            return
        kind: type[Exception] = codec.EncodeError
    elif symbols and type(found) is int:
        if 0 <= found < 2**64:
            codec.append_value(out, codec.ULong(found))
            return
        kind = codec.EncodeError
    else:
        kind = TypeError
    where = "annotations and footers" if symbols else "application properties"
    wanted = "text of ASCII, or integers from 0 to 2**64-1" if symbols else "text (UTF-8)"
    raise kind(f"The keys of {where} are {wanted}, not {key!r:.100}.")


def _key_of(key: Any, encoding: str) -> Any:
    """A key's text as bytes, or its number as an int; None if it is neither."""
    if isinstance(key, str):
        try:
            return str.__str__(key).encode(encoding)
        except UnicodeEncodeError as error:
            raise codec.EncodeError(f"The key {key!r:.100} has no {encoding} encoding: {error.reason}.") from None
    if isinstance(key, bytes):
        return bytes(key)
    if isinstance(key, bool):
        return None
    if isinstance(key, int):
        return int(key)
    wrapped = getattr(key, "c_data", key)
    hook = getattr(type(wrapped), "__amqp_encode__", None)
    if hook is None:
        return None
    encoded = bytes(hook(wrapped))
    return codec.decode_value(encoded, bare=True) if type_name(encoded) in _KEY_TYPES else None


_KEY_TYPES = frozenset({"string", "symbol", "ubyte", "ushort", "uint", "ulong", "byte", "short", "int", "long"})


def append_changed_map(
    out: bytearray, values: dict[Any, Any], encoding: str, symbols: bool, original: tuple[bytes, int, int]
) -> None:
    """Appends the map of a received section that the application may have changed.

    `original` is where it came from: keys that are in it, and values that are the same now, go out byte by byte as they
    came, whatever they are; the rest as `append_map` encodes it.
    """
    append_key = partial(_append_key, encoding=encoding, symbols=symbols)
    codec.append_changed_map(out, values, append_key, partial(_append_item, encoding=encoding), original)


def _unsigned(value: Any, name: str, most: int) -> int:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}.")
    number = int(value)
    if not 0 <= number <= most:
        raise OverflowError(f"{name} is 0 to {most}, not {number}.")
    return number


class MessageHeader(Portable):
    """The header of a message (section 3.2.1). None: not set, or not sent.

    `delivery_count`: failed deliveries before this one (0 also when the sender left it out). `time_to_live`:
    milliseconds. `first_acquirer`: has no other link had the message? `durable`: is it to survive a restart?
    `priority`: 0 to 255, 4 if unset. Values are checked when a message is given the header, and when that is encoded:
    `TypeError`, `OverflowError`. `header` is a header in AMQP's own terms (`c_uamqp.cHeader`).
    """

    __module__ = "uamqp.message"

    __slots__ = ("_came", "_original", "delivery_count", "durable", "first_acquirer", "priority", "time_to_live")

    _stored = __slots__

    def __init__(self, header: Any = None) -> None:
        self.delivery_count: int | None = 0
        self.time_to_live: int | None = None
        self.first_acquirer: bool | None = None
        self.durable: bool | None = None
        self.priority: int | None = None
        self._original: bytes | None = None
        self._came: tuple[Any, ...] | None = None
        if header:
            encoded = having(header, "header", "a c_uamqp.cHeader", "__amqp_encode__").__amqp_encode__()
            self._load(decoder_between(encoded, 0, len(encoded), True))

    def _load(self, decoder: Decoder) -> None:
        start = decoder.pos
        self.durable, self.priority, self.time_to_live, self.first_acquirer, count = read_header(decoder)
        self.delivery_count = 0 if count is None else count
        self._original = encoded_since(decoder, start)
        self._came = self._given()

    @property
    def ttl(self) -> int | None:
        """Another name of `time_to_live`, to read."""
        return self.time_to_live

    def _given(self) -> tuple[Any, ...]:
        return self.durable, self.priority, self.time_to_live, self.first_acquirer, self.delivery_count

    def _append_to(self, out: bytearray) -> None:
        came = self._came if self._original is not None else None
        fields: list[Any] = []
        changed = 0
        for index, value in enumerate(self._given()):
            if came is None or not unchanged(value, came[index]):
                changed |= 1 << index
                value = _header_field(index, value)
            fields.append(value)
        append_header(out, fields, None if came is None else self._original, changed)

    def get_header_obj(self) -> Any:
        """The header in AMQP's own terms, a `c_uamqp.cHeader`."""
        out = bytearray()
        self._append_to(out)
        return native.cHeader._decoded(codec.decode_value(out))

    def __str__(self) -> str:
        try:
            return str(
                {
                    "delivery_count": self.delivery_count,
                    "time_to_live": self.time_to_live,
                    "first_acquirer": self.first_acquirer,
                    "durable": self.durable,
                    "priority": self.priority,
                }
            )
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)


def received_header(decoder: Decoder) -> MessageHeader:
    """Return the header of a received message, which stands at the decoder's position."""
    header = MessageHeader()
    header._load(decoder)
    return header


def checked_header(header: Any) -> Any:
    """Return a header, or what is false.

    Raises `TypeError` or `OverflowError` for a value that can't be encoded.
    """
    if header:
        header._append_to(bytearray())
    return header


def _header_field(index: int, value: Any) -> Any:
    """The value of a field, by its position, as the codec takes it."""
    if value is None:
        return 0 if index == 4 else None
    name = _HEADER_FIELDS[index]
    if index == 0 or index == 3:
        if isinstance(value, (str, bytes)):
            raise TypeError(f"{name} must be True, False or None, not {type(value).__name__}.")
        return bool(value)
    return _unsigned(value, name, 0xFF) if index == 1 else _unsigned(value or 0, name, 0xFFFFFFFF)


_HEADER_FIELDS = ("durable", "priority", "time_to_live", "first_acquirer", "delivery_count")


# What may stand for a ulong where an id is asked for.
_INTEGERS = frozenset(
    (
        _values.AMQPType.UByteValue,
        _values.AMQPType.UShortValue,
        _values.AMQPType.UIntValue,
        _values.AMQPType.ULongValue,
        _values.AMQPType.ByteValue,
        _values.AMQPType.ShortValue,
        _values.AMQPType.IntValue,
        _values.AMQPType.LongValue,
    )
)


def _unwrapped(value: Any) -> Any:
    """The Python value in one of the classes of `types`, or in an AMQP value; anything else as it is."""
    value = getattr(value, "c_data", value)
    return value.value if isinstance(value, _values.AMQPValue) else value


class _Field:
    """A field of the properties, by its position: text."""

    __slots__ = ("index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else self._read(owner)

    def __set__(self, owner: Any, value: Any) -> None:
        self._write(owner, value)

    def _read(self, owner: MessageProperties) -> Any:
        values = owner._values
        value = values[self.index] if self.index < len(values) else None
        kind = type(value)
        if kind is bytes or value is None:
            return value
        if kind is bytearray:
            return bytes(value)
        if kind is codec.ULong:
            return int(value)
        return value.value if isinstance(value, _values.AMQPValue) else value

    def _write(self, owner: MessageProperties, value: Any) -> None:
        kept = None if value is None else self.wire(value, owner._encoding)
        values = owner._values
        values += [None] * (13 - len(values))
        values[self.index] = kept
        owner._changed |= 1 << self.index

    def wire(self, value: Any, encoding: str) -> Any:
        """A value that isn't None as it is kept."""
        kind = type(value)
        if kind is bytes:
            return value
        if kind is not str:
            value = _unwrapped(value)
        if isinstance(value, str):
            return value.encode(encoding)
        if isinstance(value, bytes):
            return bytes(value)
        raise TypeError(f"{self.name} must be bytes or str.")

    def check(self, value: Any) -> None:
        """Raise 1.6's error for a kept value that isn't bytes and can't be encoded."""
        codec.append_bare(bytearray(), value, 1)


class _AddressField(_Field):
    """An address: text, or anything else that has an AMQP type."""

    __slots__ = ()

    def wire(self, value: Any, encoding: str) -> Any:
        if isinstance(value, str):
            return value.encode(encoding)
        if isinstance(value, bytes):
            return bytes(value)
        return convert.wrapped(value, self.name, encoding)


class _IdField(_Field):
    """A message's id: text, ulong, UUID or binary; nothing else is allowed on the wire."""

    __slots__ = ()

    def wire(self, value: Any, encoding: str) -> Any:
        if isinstance(value, str):
            return value.encode(encoding)
        if isinstance(value, bytes):
            return bytes(value)
        if isinstance(value, bytearray):
            return bytearray(value)
        if type(value) is int and 0 <= value < 2**64:
            return codec.ULong(value)
        wrapped = convert.wrapped(value, self.name, encoding)
        value = wrapped.value
        if isinstance(wrapped, _values.BinaryValue):
            return bytearray(value)
        if isinstance(value, (bytes, uuid.UUID)):
            return value
        if wrapped.type in _INTEGERS:
            if value < 0:
                raise ValueError(f"{self.name} is 0 to 2**64-1 if it is an integer, not {int(value)}.")
            return codec.ULong(value)
        raise TypeError(
            f"{self.name} must be str, bytes, bytearray, int or uuid.UUID, not {type(value).__name__}; "
            "AMQP has no other type for it."
        )


class _IntegerField(_Field):
    """An integer: a time in milliseconds, or a sequence number."""

    __slots__ = ()

    def wire(self, value: Any, encoding: str) -> Any:
        value = _unwrapped(value)
        if not isinstance(value, int):
            unit = "" if self.index == 11 else " It is milliseconds since 1970-01-01 UTC."
            raise TypeError(f"{self.name} must be an integer.{unit}")
        return int(value)

    def check(self, value: Any) -> None:
        if self.index == 11:
            _unsigned(value, self.name, 0xFFFFFFFF)
        elif not -(2**63) <= value < 2**63:
            raise OverflowError(f"{self.name} is beyond 64 bits: {value}.")


class MessageProperties:
    """The properties of a message (section 3.2.4); each may be None. Text is given as str or bytes, and read as bytes.

    `message_id`, `correlation_id`: text, int (goes out as ulong), `uuid.UUID`, bytearray (binary). A symbol goes
    out as a string: AMQP has no symbols there. `user_id`: bytes. `to`, `reply_to`: addresses. `subject`,
    `group_id`, `reply_to_group_id`: text. `content_type`, `content_encoding`: text, sent as symbols.
    `absolute_expiry_time`, `creation_time`: milliseconds since 1970-01-01 UTC. `group_sequence`: 0 to 2^32-1.
    `properties`: properties in AMQP's own terms (`c_uamqp.cProperties`), in place of all the others.
    Raises `TypeError` for a value of the wrong type, `ValueError` for an id out of range; times and sequence
    numbers out of range raise `OverflowError` when the message is encoded.
    """

    __module__ = "uamqp.message"

    __slots__ = ("__dict__", "__weakref__", "_changed", "_encoding", "_original", "_values")

    _stored = __slots__[2:]

    _values: list[Any]  # as `_Field.wire` gives them; those at the end may be missing
    _original: bytes | None
    _changed: int  # a bit for each field, by its position

    message_id = _IdField(0)
    user_id = _Field(1)
    to = _AddressField(2)
    subject = _Field(3)
    reply_to = _AddressField(4)
    correlation_id = _IdField(5)
    content_type = _Field(6)
    content_encoding = _Field(7)
    absolute_expiry_time = _IntegerField(8)
    creation_time = _IntegerField(9)
    group_id = _Field(10)
    group_sequence = _IntegerField(11)
    reply_to_group_id = _Field(12)

    def __init__(
        self,
        message_id: Any = None,
        user_id: Text = None,
        to: Any = None,
        subject: Text = None,
        reply_to: Any = None,
        correlation_id: Any = None,
        content_type: Text = None,
        content_encoding: Text = None,
        absolute_expiry_time: Number = None,
        creation_time: Number = None,
        group_id: Text = None,
        group_sequence: Number = None,
        reply_to_group_id: Text = None,
        properties: Any = None,
        encoding: str = "UTF-8",
    ) -> None:
        self._encoding = encoding if encoding == "UTF-8" else encoding_of(encoding)
        self._values = [None] * 13
        self._original = None
        self._changed = 0
        if properties:
            encoded = having(properties, "properties", "a c_uamqp.cProperties", "__amqp_encode__").__amqp_encode__()
            given = received_properties(decoder_between(encoded, 0, len(encoded), True), encoding)
            self._values, self._original = given._values, given._original
            return
        if message_id is not None:
            self._fill(0, message_id)
        if user_id is not None:
            self._fill(1, user_id)
        if to is not None:
            self._fill(2, to)
        if subject is not None:
            self._fill(3, subject)
        if reply_to is not None:
            self._fill(4, reply_to)
        if correlation_id is not None:
            self._fill(5, correlation_id)
        if content_type is not None:
            self._fill(6, content_type)
        if content_encoding is not None:
            self._fill(7, content_encoding)
        if absolute_expiry_time is not None:
            self._fill(8, absolute_expiry_time)
        if creation_time is not None:
            self._fill(9, creation_time)
        if group_id is not None:
            self._fill(10, group_id)
        if group_sequence is not None:
            self._fill(11, group_sequence)
        if reply_to_group_id is not None:
            self._fill(12, reply_to_group_id)

    def _fill(self, index: int, value: Any) -> None:
        field = _FIELDS[index]
        self._values[index] = field.wire(value, self._encoding)

    # As `Portable` has them, which can't be the base: what has one isn't used again (`RECYCLING` in setup.py).

    __getstate__ = state_of
    __setstate__ = restore
    __reduce__ = reduced

    def __copy__(self) -> MessageProperties:
        duplicate: MessageProperties = type(self).__new__(type(self))
        duplicate.__setstate__(self.__getstate__())
        duplicate._values = list(self._values)
        return duplicate

    def _append_to(self, out: bytearray) -> None:
        try:
            append_properties(out, self._values, True, self._original, self._changed)
        except codec.EncodeError:
            for field, value in zip(_FIELDS, self._values, strict=False):
                kept = self._original is not None and not self._changed >> field.index & 1
                if value is not None and type(value) is not bytes and not kept:
                    field.check(value)
            raise

    def get_properties_obj(self) -> Any:
        """The properties in AMQP's own terms, a `c_uamqp.cProperties`."""
        out = bytearray()
        self._append_to(out)
        return native.cProperties._decoded(codec.decode_value(out))

    def __str__(self) -> str:
        try:
            return str({field.name: getattr(self, field.name) for field in _FIELDS})
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)


_FIELDS: tuple[_Field, ...] = tuple(
    sorted((value for value in vars(MessageProperties).values() if isinstance(value, _Field)), key=lambda f: f.index)
)


def received_properties(decoder: Decoder, encoding: str) -> MessageProperties:
    """Return the properties of a received message, which stand at the decoder's position."""
    start = decoder.pos
    properties = MessageProperties.__new__(MessageProperties)
    properties._encoding = encoding
    properties._values = read_properties(decoder)
    properties._original = encoded_since(decoder, start)
    properties._changed = 0
    return properties


# The error's text if a section that isn't the body is of the wrong type: 1.6's.
_REFUSALS = {
    HEADER: "Header must be a MessageHeader.",
    DELIVERY_ANNOTATIONS: "Delivery annotations must be a dictionary.",
    MESSAGE_ANNOTATIONS: "Message annotations must be a dictionary.",
    PROPERTIES: "Properties must be a MessageProperties.",
    APPLICATION_PROPERTIES: "Application properties must be a dictionary.",
    FOOTER: "Footer must be a dictionary",
}


def checked(code: int, value: Any) -> Any:
    """The value of a section; raises `TypeError` if it is of the wrong type. What is false stands for none."""
    kind: type = dict
    if code == PROPERTIES:
        kind = MessageProperties
    elif code == HEADER:
        kind = MessageHeader
    if type(value) is not kind and value and not isinstance(value, kind):
        raise TypeError(_REFUSALS[code])
    return value
