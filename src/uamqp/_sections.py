"""Sections of a message: header, properties, and the encoding of those that are maps.

May import `codec`, `c_uamqp` and `utils`. The classes are public as `uamqp.message.MessageHeader` and
`uamqp.message.MessageProperties`. Those of a received message remember the bytes they came from, and what wasn't
changed is encoded as it came, with every AMQP type as the sender had it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _values, c_uamqp, codec, utils
from ._arguments import encoding_of, having
from ._portable import Portable, reduced, restore, state_of
from .codec.decode import Decoder, decoder_between
from .codec.encode import append_bare, append_text, close_compound

if TYPE_CHECKING:
    from .types import AMQPType

#: What fields of the properties may be given as.
Text: TypeAlias = "str | bytes | AMQPType | None"
Number: TypeAlias = "int | AMQPType | None"

#: What the sections of a body start with that isn't data: a described value with a small ulong as descriptor.
SEQUENCE = b"\x00\x53\x76"
VALUE = b"\x00\x53\x77"

_STRING = 0xA1
_BINARY = 0xA0
_SYMBOL = 0xA3


def append_amqp(out: bytearray, value: Any, encoding: str) -> None:
    """Appends what `utils.data_factory` makes of a value; raises its errors, with `out` as it was."""
    if encoding == "UTF-8":
        try:
            append_bare(out, value)
            return
        except codec.EncodeError:
            pass  # Objects that have a c_data and nothing else; or there is an error, which data_factory tells.
    out += utils.data_factory(value, encoding).__amqp_encode__()


def append_map(out: bytearray, values: dict[Any, Any], encoding: str, symbols: bool) -> None:
    """Appends a map; `symbols`: the keys of annotations and footers, as `_append_key` has them."""
    if not symbols:
        append_amqp(out, values, encoding)
        return
    start = len(out)
    out += b"\xc1\x00\x00"
    for key, value in values.items():
        _append_key(out, key, encoding)
        append_amqp(out, value, encoding)
    close_compound(out, start, 2 * len(values))


def _append_key(out: bytearray, key: Any, encoding: str) -> None:
    """Appends a key of annotations, as the specification (section 3.2.10) wants it.

    Text and bytes become symbols (1.6 sent strings), ints ulong; a key out of `types` stays what it is.
    """
    kind = type(key)
    if kind is str:
        append_text(out, _SYMBOL, key.encode(encoding))
    elif kind is bytes:
        append_text(out, _SYMBOL, key)
    elif kind is int:
        codec.append_value(out, codec.ULong(key))
    else:
        append_amqp(out, key, encoding)


def append_changed_map(
    out: bytearray, values: dict[Any, Any], encoding: str, symbols: bool, original: tuple[bytes, int, int]
) -> None:
    """Appends the map of a received section that the application may have changed.

    `original` is where it came from: what is in it and the same now goes out with the AMQP types it came with;
    the rest as `append_map` encodes it.
    """
    payload, begin, end = original
    came = codec.Decoder(payload, begin, end, True).value()
    if _same(values, came):
        out += payload[begin:end]
        return
    try:
        typed = list(codec.Decoder(payload, begin, end).value().items())
    except codec.DecodeError:
        typed = []  # A string that isn't UTF-8 has no typed form.
    # Keys that differ in their type alone fall together in `came`; then there is no telling which is which.
    pairs = dict(zip(came, typed, strict=True)) if len(typed) == len(came) else {}
    start = len(out)
    out += b"\xc1\x00\x00"
    for key, value in values.items():
        pair = pairs.get(key)
        if pair is not None:
            codec.append_value(out, pair[0])
        elif symbols:
            _append_key(out, key, encoding)
        else:
            append_amqp(out, key, encoding)
        if pair is not None and _same(value, came[key]):
            codec.append_value(out, pair[1])
        else:
            append_amqp(out, value, encoding)
    close_compound(out, start, 2 * len(values))


def _same(value: Any, came: Any) -> bool:
    """Is a value what was decoded, down to the types? True isn't 1 here."""
    if type(value) is not type(came):
        return False
    if isinstance(value, dict):
        return list(value) == list(came) and all(_same(item, came[key]) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return len(value) == len(came) and all(map(_same, value, came))
    return bool(value == came)


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
    `priority`: 0 to 255, 4 if unset. Values are checked when the message is encoded: `TypeError`,
    `OverflowError`. `header` is a header in AMQP's own terms (`c_uamqp.cHeader`).
    """

    __slots__ = ("_came", "_original", "delivery_count", "durable", "first_acquirer", "priority", "time_to_live")

    _fields = __slots__

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
        fields = decoder.fields()
        if len(fields) > 5:
            raise ValueError(f"A message header has 5 fields, this one has {len(fields)}.")
        fields += [None] * (5 - len(fields))
        self.durable, self.priority, self.time_to_live, self.first_acquirer, count = fields
        self.delivery_count = 0 if count is None else count
        self._original = decoder.data[start : decoder.pos]
        self._came = self._given()

    @property
    def ttl(self) -> int | None:
        """Another name of `time_to_live`, to read."""
        return self.time_to_live

    def _given(self) -> tuple[Any, ...]:
        return self.durable, self.priority, self.time_to_live, self.first_acquirer, self.delivery_count

    def _append_to(self, out: bytearray) -> None:
        if self._original is not None and _same(self._given(), self._came):
            out += self._original
            return
        start = len(out)
        out += b"\xc0\x00\x00"
        out.append(_boolean(self.durable))
        if self.priority is None:
            out.append(0x40)
        else:
            out.append(0x50)
            out.append(_unsigned(self.priority, "priority", 0xFF))
        if self.time_to_live is None:
            out.append(0x40)
        else:
            ttl = _unsigned(self.time_to_live, "time_to_live", 0xFFFFFFFF)
            codec.append_value(out, codec.UInt(ttl))
        out.append(_boolean(self.first_acquirer))
        count = _unsigned(self.delivery_count or 0, "delivery_count", 0xFFFFFFFF)
        codec.append_value(out, codec.UInt(count))
        close_compound(out, start, 5)

    def get_header_obj(self) -> Any:
        """The header in AMQP's own terms, a `c_uamqp.cHeader`."""
        out = bytearray()
        self._append_to(out)
        return c_uamqp.cHeader._decoded(codec.decode_value(out))

    def __str__(self) -> str:
        return str(
            {
                "delivery_count": self.delivery_count,
                "time_to_live": self.time_to_live,
                "first_acquirer": self.first_acquirer,
                "durable": self.durable,
                "priority": self.priority,
            }
        )


def received_header(decoder: Decoder) -> MessageHeader:
    """Return the header of a received message, which stands at the decoder's position."""
    header = MessageHeader()
    header._load(decoder)
    return header


def _boolean(value: Any) -> int:
    if value is None:
        return 0x40
    return 0x41 if value else 0x42


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
    """A field of the properties, by its position: text that is a string, a symbol or binary (`code`)."""

    __slots__ = ("code", "index", "name")

    def __init__(self, index: int, code: int = _STRING) -> None:
        self.index = index
        self.code = code
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
        """A value that isn't None as it is kept: what `append` takes."""
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

    def append(self, out: bytearray, value: Any) -> None:
        """Appends a kept value that isn't bytes."""
        codec.append_bare(out, value)


class _AddressField(_Field):
    """An address: text, or anything else that has an AMQP type."""

    __slots__ = ()

    def wire(self, value: Any, encoding: str) -> Any:
        if isinstance(value, str):
            return value.encode(encoding)
        if isinstance(value, bytes):
            return bytes(value)
        return utils.wrapped(value, self.name, encoding)


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
        wrapped = utils.wrapped(value, self.name, encoding)
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
            raise TypeError(f"{self.name} must be an integer.")
        return int(value)

    def append(self, out: bytearray, value: Any) -> None:
        if self.index == 11:
            codec.append_value(out, codec.UInt(_unsigned(value, self.name, 0xFFFFFFFF)))
            return
        if not -(2**63) <= value < 2**63:
            raise OverflowError(f"{self.name} is beyond 64 bits: {value}.")
        codec.append_value(out, codec.Timestamp(value))


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

    __slots__ = ("__dict__", "__weakref__", "_changed", "_encoding", "_original", "_values")

    _fields = __slots__[2:]

    _values: list[Any]  # as `_Field.wire` gives them; those at the end may be missing
    _original: bytes | None
    _changed: int  # a bit for each field, by its position

    message_id = _IdField(0)
    user_id = _Field(1, _BINARY)
    to = _AddressField(2)
    subject = _Field(3)
    reply_to = _AddressField(4)
    correlation_id = _IdField(5)
    content_type = _Field(6, _SYMBOL)
    content_encoding = _Field(7, _SYMBOL)
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
        if self._original is not None:
            if not self._changed:
                out += self._original
                return
            came = codec.decode_value(self._original)
            came += [None] * (13 - len(came))
        values = self._values
        count = len(values)
        while count and values[count - 1] is None:
            count -= 1
        if not count:
            out.append(0x45)
            return
        start = len(out)
        out += b"\xc0\x00\x00"
        for index in range(count):
            value = values[index]
            if value is None:
                out.append(0x40)
            elif self._original is not None and not self._changed >> index & 1:
                codec.append_value(out, came[index])
            elif type(value) is bytes:
                append_text(out, _CODES[index], value)
            else:
                _FIELDS[index].append(out, value)
        close_compound(out, start, count)

    def get_properties_obj(self) -> Any:
        """The properties in AMQP's own terms, a `c_uamqp.cProperties`."""
        out = bytearray()
        self._append_to(out)
        return c_uamqp.cProperties._decoded(codec.decode_value(out))

    def __str__(self) -> str:
        return str({field.name: getattr(self, field.name) for field in _FIELDS})


_FIELDS: tuple[_Field, ...] = tuple(
    sorted((value for value in vars(MessageProperties).values() if isinstance(value, _Field)), key=lambda f: f.index)
)
_CODES = bytes(field.code for field in _FIELDS)


def received_properties(decoder: Decoder, encoding: str) -> MessageProperties:
    """Return the properties of a received message, which stand at the decoder's position."""
    start = decoder.pos
    values = decoder.fields()
    if len(values) > 13:
        raise ValueError(f"Message properties have 13 fields, these have {len(values)}.")
    chars, stop = decoder.data, decoder.pos
    properties = MessageProperties.__new__(MessageProperties)
    properties._encoding = encoding
    properties._values = values
    properties._original = chars[start:stop]
    properties._changed = 0
    return properties
