"""What a message's fields take (sections 3.2.1 and 3.2.4), as checks of the arguments of `Message`.

Each returns the value as the codec takes it, or raises an error that names the field, its value and what would be
right: `TypeError` for a wrong type, `EncodeError` for what AMQP has no encoding for.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from ..codec import Array, DecodeError, Described, EncodeError, Timestamp, UByte, UInt, ULong
from ..codec import values as codec_values
from .checks import flag, integer, moment, shown, with_zone, wrong_type

MessageId: TypeAlias = "str | int | uuid.UUID | bytes"
"""A message-id or correlation-id (section 3.2.11). An integer goes out as ulong."""

Body: TypeAlias = (
    bool | int | float | str | bytes | bytearray | memoryview | uuid.UUID | Decimal | datetime
    | list[Any] | tuple[Any, ...] | dict[Any, Any] | Described
    | codec_values.Decimal32 | codec_values.Decimal64 | codec_values.Decimal128 | None
)  # fmt: skip
"""What a message may have as its body: see `Message`."""

# Places of the fields, in the order of the specification.
DURABLE, PRIORITY, TTL, FIRST_ACQUIRER, DELIVERY_COUNT = range(5)
(
    MESSAGE_ID,
    USER_ID,
    TO,
    SUBJECT,
    REPLY_TO,
    CORRELATION_ID,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    EXPIRY_TIME,
    CREATION_TIME,
    GROUP_ID,
    GROUP_SEQUENCE,
    REPLY_TO_GROUP_ID,
) = range(13)

_MAX_TTL = UInt.MAX  # milliseconds
_MILLISECOND = timedelta(milliseconds=1)
_BODIES = (
    str,
    bytes,
    int,
    float,
    list,
    tuple,
    dict,
    uuid.UUID,
    Decimal,
    datetime,
    Described,
    Array,
    codec_values.Decimal32,
    codec_values.Decimal64,
    codec_values.Decimal128,
)
_CLASSIC = "uamqp.message"
_OWN = "Message of uamqp.aio, uamqp.sync or uamqp.messaging"
_BODY = "bytes, a str or another AMQP value (None, bool, int, float, list, dict, datetime, UUID, Decimal, Described)"


def text(name: str, value: Any) -> str:
    """Return text, which may be empty."""
    if not isinstance(value, str):
        raise wrong_type(name, value, "a str")
    return value


def symbol(name: str, value: Any) -> str:
    """Return ASCII text."""
    if not text(name, value).isascii():
        raise EncodeError(f"{name} takes ASCII text only, not {shown(value)}")
    found: str = value
    return found


def identifier(name: str, value: Any) -> MessageId:
    """Return a message-id or correlation-id."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= ULong.MAX:
            raise EncodeError(f"{name} as a number must be from 0 to 2**64-1, not {shown(value)}")
    elif not isinstance(value, (str, uuid.UUID, bytes)):
        raise wrong_type(name, value, "a str, an int, a UUID or bytes")
    found: MessageId = value
    return found


def binary(name: str, value: Any) -> bytes:
    """Return bytes."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        hint = " (encode it, for instance with .encode())" if isinstance(value, str) else ""
        raise TypeError(f"{wrong_type(name, value, 'bytes')}{hint}")
    return bytes(value)


def sequence(name: str, value: Any) -> list[Any]:
    """Return a list."""
    if not isinstance(value, (list, tuple)):
        raise wrong_type(name, value, "a list")
    return list(value)


def number(name: str, value: Any, maximum: int) -> int:
    """Return an integer from 0 to `maximum`."""
    return int(integer(name, value, 0, maximum, EncodeError))


def priority(name: str, value: Any) -> int:
    """Return a priority."""
    return number(name, value, UByte.MAX)


def sequence_number(name: str, value: Any) -> int:
    """Return a sequence number."""
    return number(name, value, UInt.MAX)


def time(name: str, value: Any) -> Timestamp:
    """Return a point in time as AMQP's milliseconds."""
    return moment(name, value, EncodeError)


def milliseconds(name: str, value: Any) -> int:
    """Return a time span in milliseconds, rounded up: what isn't over at once doesn't become so."""
    if isinstance(value, timedelta):
        found = value // _MILLISECOND + (1 if value % _MILLISECOND else 0)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(name, value, "a timedelta or a number of seconds")
    elif not 0 <= value <= _MAX_TTL:  # far too long already, and no NaN
        found = -1
    else:
        found = -int(-value * 1000 // 1)
    if not 0 <= found <= _MAX_TTL:
        raise EncodeError(f"{name} must be from 0 to 2**32-1 milliseconds (49 days), not {shown(value)}")
    return found


def mapping(name: str, value: Any) -> dict[Any, Any]:
    """Return a copy of a mapping. Its keys are checked when it is encoded."""
    if type(value) is not dict and not isinstance(value, Mapping):  # asked first, as it takes the least time
        raise wrong_type(name, value, "a mapping")
    return dict(value)


def body(value: Any) -> Any:
    """Return a body that is an AMQP value: see `Message`."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value if type(value) is bytes else bytes(value)
    if isinstance(value, datetime):
        with_zone("body", value, EncodeError)
    if value is not None and not isinstance(value, _BODIES) and not hasattr(value, "__amqp_encode__"):
        if type(value).__module__ == _CLASSIC:
            raise TypeError(f"a {type(value).__name__} of uamqp 1.6's API isn't for this one: make a {_OWN}")
        raise wrong_type("body", value, _BODY)
    return value


HEADER_NAMES = ("durable", "priority", "ttl", "first_acquirer", "delivery_count")

PROPERTY_NAMES = (
    "message_id", "user_id", "to", "subject", "reply_to", "correlation_id", "content_type", "content_encoding",
    "expiry_time", "creation_time", "group_id", "group_sequence", "reply_to_group_id",
)  # fmt: skip

SETTABLE = frozenset(
    (
        *PROPERTY_NAMES, *HEADER_NAMES[:3],
        "body", "format", "application_properties", "annotations", "delivery_annotations", "footer",
    )
)  # fmt: skip
"""The attributes of a message to send that may be set."""

_PROPERTY_CHECKS: tuple[Callable[[str, Any], Any], ...] = (
    identifier, binary, text, text, text, identifier, symbol, symbol, time, time, text, sequence_number, text,
)  # fmt: skip

_AS_IT_IS = tuple(str if check in (text, identifier) else None for check in _PROPERTY_CHECKS)
"""The type of each property that needs no check."""

_HEADER_MAXIMA = (1, UByte.MAX, _MAX_TTL, 1, UInt.MAX)

_HEADER_CHECKS: tuple[Callable[[str, Any], Any], ...] = (flag, priority, milliseconds)


def checked_property(index: int, value: Any) -> Any:
    """Return a property, or None, as the codec takes it."""
    if value is None or type(value) is _AS_IT_IS[index]:
        return value
    return _PROPERTY_CHECKS[index](PROPERTY_NAMES[index], value)


def check_properties(found: list[Any]) -> None:
    """Replace 13 properties by what the codec takes."""
    for index in range(13):
        value = found[index]
        if value is not None and type(value) is not _AS_IT_IS[index]:
            found[index] = _PROPERTY_CHECKS[index](PROPERTY_NAMES[index], value)


def checked_header(index: int, value: Any) -> Any:
    """Return a field of the header, or None, as the codec takes it."""
    return None if value is None else _HEADER_CHECKS[index](HEADER_NAMES[index], value)


def new_header(durable: Any, priority: Any, ttl: Any) -> list[Any]:
    """Return the fields of a header."""
    return [checked_header(DURABLE, durable), checked_header(PRIORITY, priority), checked_header(TTL, ttl), None, None]


def checked_field(index: int, value: Any) -> Any:
    """Return a field of a received header, or None, if it has the type that it should have."""
    kind = bool if index in (DURABLE, FIRST_ACQUIRER) else int
    is_right = value is None or (isinstance(value, kind) and (kind is bool or type(value) is not bool))
    if is_right and (value is None or 0 <= value <= _HEADER_MAXIMA[index]):
        return value
    raise misread(HEADER_NAMES[index], value)


def checked_identifier(index: int, value: Any) -> MessageId | None:
    """Return a received message-id or correlation-id in Python's own types."""
    if value is None or isinstance(value, (str, bytes, uuid.UUID)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int) and not isinstance(value, (bool, Timestamp)) and value >= 0:
        return int(value)
    raise misread(PROPERTY_NAMES[index], value)


def copied(section: Any) -> Any:
    """Return a section, or a copy of it if it is decoded and may be changed."""
    return copy.deepcopy(section) if isinstance(section, (list, dict, tuple)) else section


def misread(name: str, value: object) -> DecodeError:
    """Return the error for a field that the sender has given a wrong type."""
    return DecodeError(f"{name} of a received message has the wrong type: {type(value).__name__}, {shown(value)}")
