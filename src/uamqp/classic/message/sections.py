"""Sections of a message: header, properties, and the encoding of those that are maps.

The classes are public as `uamqp.message.MessageHeader` and `uamqp.message.MessageProperties`. Those of a received
message keep their original bytes, and unchanged fields are encoded as received, with all AMQP types of the sender.
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

Text: TypeAlias = "str | bytes | AMQPType | None"
"""A text field of the properties, as an argument."""
Number: TypeAlias = "int | AMQPType | None"
"""A number field of the properties, as an argument."""


def append_amqp(out: bytearray, value: Any, encoding: str, depth: int = 0) -> None:
    """Append a value as `utils.data_factory` encodes it; an error leaves `out` unchanged.

    Args:
        out: the buffer.
        value: the value.
        encoding: encoding of text.
        depth: nesting depth of the place where the value goes. What is too deep for the codec to read isn't encoded.

    Raises:
        Exception: see `utils.data_factory`.
    """
    if encoding == "UTF-8":
        try:
            append_bare(out, value, depth)
            return
        except NestingError:
            raise
        except codec.EncodeError:
            pass  # An object with just a c_data, or an error that data_factory explains.
    try:
        wrapped = convert.converted(value, encoding)
    except RecursionError as error:
        raise nesting_error(error) from None
    append_bare(out, wrapped, depth)


def append_map(out: bytearray, values: dict[Any, Any], encoding: str, symbols: bool) -> None:
    """Append a map.

    Args:
        out: the buffer.
        values: the map.
        encoding: encoding of text.
        symbols: whether it has the keys of annotations and footers instead of those of application properties. See
            `codec.encode.append_keyed_map`.

    Raises:
        TypeError: a key has the wrong type.
        ValueError: a key or value can't be encoded; the text names the key.
    """
    if encoding == "UTF-8":
        try:
            append_keyed_map(out, values, symbols)
            return
        except codec.EncodeError:
            pass  # Something unknown to the codec, or wrong.
    start = begin_map(out)
    for key, value in values.items():
        _append_key(out, key, encoding, symbols)
        _append_item(out, key, value, encoding)
    close_compound(out, start, 2 * len(values))


def _append_item(out: bytearray, key: Any, value: Any, encoding: str) -> None:
    """Append the value of a key."""
    try:
        append_amqp(out, value, encoding, 1)
    except codec.EncodeError as error:
        raise type(error)(f"The value of {key!r:.100} can't be encoded: {error}") from None


def _append_key(out: bytearray, key: Any, encoding: str, symbols: bool) -> None:
    """Append a key as the specification requires (sections 3.2.5, 3.2.10).

    Text and bytes become symbols (1.6 sent strings) or strings, and integers become ulong, whether wrapped in `types`
    or not. With an encoding other than UTF-8, encoded text goes out unchanged, as in 1.6.
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
    """Return a key's text as bytes, or its number as an int; None if it is neither."""
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
    """Append the map of a received section that the application may have changed.

    Args:
        out: the buffer.
        values: the map.
        encoding: encoding of text.
        symbols: as for `append_map`.
        original: the received payload, with the bounds of the map. Its keys, and values that are still the same, go out
            byte for byte as received, whatever they are; the rest as `append_map` encodes it.
    """
    append_key = partial(_append_key, encoding=encoding, symbols=symbols)
    codec.append_changed_map(out, values, append_key, partial(_append_item, encoding=encoding), original)


def _unsigned(value: Any, name: str, limit: int) -> int:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}.")
    number = int(value)
    if not 0 <= number <= limit:
        raise OverflowError(f"{name} is 0 to {limit}, not {number}.")
    return number


class MessageHeader(Portable):
    """The header of a message (section 3.2.1). Attributes are None if they weren't set, or not sent.

    Values are checked when a message gets the header, and when it is encoded: `TypeError`, `OverflowError`.

    Args:
        header: a header in AMQP's own terms (`c_uamqp.cHeader`), to copy.

    Attributes:
        delivery_count: number of failed deliveries before this one; 0 if the sender left it out.
        time_to_live: in milliseconds.
        first_acquirer: whether no other link has had the message.
        durable: whether the message is to survive a restart.
        priority: 0 to 255; 4 if unset.
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
        self._came = self._current()

    @property
    def ttl(self) -> int | None:
        """A read-only alias of `time_to_live`."""
        return self.time_to_live

    def _current(self) -> tuple[Any, ...]:
        return self.durable, self.priority, self.time_to_live, self.first_acquirer, self.delivery_count

    def _append_to(self, out: bytearray) -> None:
        received = self._came if self._original is not None else None
        fields: list[Any] = []
        changed = 0
        for index, value in enumerate(self._current()):
            if received is None or not unchanged(value, received[index]):
                changed |= 1 << index
                value = _header_field(index, value)
            fields.append(value)
        append_header(out, fields, None if received is None else self._original, changed)

    def get_header_obj(self) -> Any:
        """Return the header in AMQP's own terms, a `c_uamqp.cHeader`."""
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
    """Return the header of a received message, read from the decoder's position."""
    header = MessageHeader()
    header._load(decoder)
    return header


def checked_header(header: Any) -> Any:
    """Return a header, or a false value.

    Raises:
        TypeError, OverflowError: a field can't be encoded.
    """
    if header:
        header._append_to(bytearray())
    return header


def _header_field(index: int, value: Any) -> Any:
    """Return the value of the field at a position in the form that the codec expects."""
    if value is None:
        return 0 if index == 4 else None
    name = _HEADER_FIELDS[index]
    if index == 0 or index == 3:
        if isinstance(value, (str, bytes)):
            raise TypeError(f"{name} must be True, False or None, not {type(value).__name__}.")
        return bool(value)
    return _unsigned(value, name, 0xFF) if index == 1 else _unsigned(value or 0, name, 0xFFFFFFFF)


_HEADER_FIELDS = ("durable", "priority", "time_to_live", "first_acquirer", "delivery_count")


# Types accepted as a ulong in an id.
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
    """Return the Python value in an object of `types` or in an AMQP value, and anything else unchanged."""
    value = getattr(value, "c_data", value)
    return value.value if isinstance(value, _values.AMQPValue) else value


class _Field:
    """A field of the properties, at a position: text."""

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
        stored = None if value is None else self.wire(value, owner._encoding)
        values = owner._values
        values += [None] * (13 - len(values))
        values[self.index] = stored
        owner._changed |= 1 << self.index

    def wire(self, value: Any, encoding: str) -> Any:
        """Return a value other than None in its stored form."""
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
        """Raise 1.6's error for a stored value that isn't bytes and can't be encoded."""
        codec.append_bare(bytearray(), value, 1)


class _AddressField(_Field):
    """An address: text, or anything else with an AMQP type."""

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
    """The properties of a message (section 3.2.4); each may be None. Text is passed as str or bytes, and read as bytes.

    Args:
        message_id, correlation_id: text, int (sent as ulong), `uuid.UUID`, or bytearray (binary). A symbol is sent as a
            string, because AMQP has no symbols here.
        user_id: bytes.
        to, reply_to: addresses.
        subject, group_id, reply_to_group_id: text.
        content_type, content_encoding: text, sent as symbols.
        absolute_expiry_time, creation_time: milliseconds since 1970-01-01 UTC.
        group_sequence: 0 to 2^32-1.
        properties: properties in AMQP's own terms (`c_uamqp.cProperties`), instead of all the others.
        encoding: encoding of text.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: an id is out of range.
        OverflowError: a time or sequence number is out of range; raised when the message is encoded.
    """

    __module__ = "uamqp.message"

    __slots__ = ("__dict__", "__weakref__", "_changed", "_encoding", "_original", "_values")

    _stored = __slots__[2:]

    _values: list[Any]  # results of `_Field.wire`; the last ones may be missing
    _original: bytes | None
    _changed: int  # a bit for each field, at its position

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
            other = received_properties(decoder_between(encoded, 0, len(encoded), True), encoding)
            self._values, self._original = other._values, other._original
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

    # Taken from `Portable`, which can't be the base: classes with a base aren't recycled (`RECYCLING` in setup.py).

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
                is_original = self._original is not None and not self._changed >> field.index & 1
                if value is not None and type(value) is not bytes and not is_original:
                    field.check(value)
            raise

    def get_properties_obj(self) -> Any:
        """Return the properties in AMQP's own terms, a `c_uamqp.cProperties`."""
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
    """Return the properties of a received message, read from the decoder's position."""
    start = decoder.pos
    properties = MessageProperties.__new__(MessageProperties)
    properties._encoding = encoding
    properties._values = read_properties(decoder)
    properties._original = encoded_since(decoder, start)
    properties._changed = 0
    return properties


# 1.6's error texts for sections of the wrong type, except the body.
_REFUSALS = {
    HEADER: "Header must be a MessageHeader.",
    DELIVERY_ANNOTATIONS: "Delivery annotations must be a dictionary.",
    MESSAGE_ANNOTATIONS: "Message annotations must be a dictionary.",
    PROPERTIES: "Properties must be a MessageProperties.",
    APPLICATION_PROPERTIES: "Application properties must be a dictionary.",
    FOOTER: "Footer must be a dictionary",
}


def checked(code: int, value: Any) -> Any:
    """Return the value of a section, where a false value stands for none.

    Raises:
        TypeError: it has the wrong type.
    """
    kind: type = dict
    if code == PROPERTIES:
        kind = MessageProperties
    elif code == HEADER:
        kind = MessageHeader
    if type(value) is not kind and value and not isinstance(value, kind):
        raise TypeError(_REFUSALS[code])
    return value
