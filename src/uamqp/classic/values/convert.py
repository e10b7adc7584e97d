"""Helpers of the 1.6 API: AMQP values from Python values, shared access tokens, connection strings."""

from __future__ import annotations

import calendar
import datetime
import decimal
import logging
import uuid
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ... import codec
from ...core import shared_access_signature
from ...transport.sansio.clock import wall
from . import native
from .arguments import text

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "create_sas_token",
    "data_factory",
    "datetime",
    "fields",
    "get_running_loop",
    "logger",
    "parse_connection_string",
    "properties",
    "symbols",
    "wrapped",
]

logger = logging.getLogger("uamqp.utils")  # as in 1.6


def parse_connection_string(connect_str: str) -> dict[str, str]:
    """Return the parts of a connection string ``Name=value;Name=value``; it may end with a semicolon.

    Raises:
        ValueError: a part has no equals sign.
    """
    if not isinstance(connect_str, str):
        raise TypeError(f"connect_str must be str, not {type(connect_str).__name__}.")
    parts = {}
    for number, part in enumerate(connect_str.split(";"), 1):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            # Without the part itself, which may contain a key.
            raise ValueError(f"Part {number} of the connection string has no '='; it must be 'Name=value'.")
        parts[name] = value
    if not parts:
        raise ValueError("The connection string is empty; it must be 'Name=value;Name=value'.")
    return parts


def create_sas_token(
    key_name: bytes,
    shared_access_key: bytes,
    scope: bytes,
    expiry: datetime.timedelta = datetime.timedelta(hours=1),
) -> bytes:
    """Return a shared access signature: ``SharedAccessSignature sr=..&sig=..&se=..&skn=..``.

    Args:
        key_name: the name of the key, used as given: quote it if necessary.
        shared_access_key: the key.
        scope: what the token is for, used as given: quote it if necessary.
        expiry: how long the token is valid from now.

    Raises:
        ValueError: `expiry` isn't positive.
    """
    for name, value in (("key_name", key_name), ("shared_access_key", shared_access_key), ("scope", scope)):
        if not isinstance(value, (bytes, bytearray)):
            raise TypeError(f"{name} must be bytes, not {type(value).__name__}.")
    if not isinstance(expiry, datetime.timedelta):
        raise TypeError(f"expiry must be a datetime.timedelta, not {type(expiry).__name__}.")
    time = wall()
    return shared_access_signature(shared_access_key, scope, key_name, int(time + expiry.total_seconds()), time)


def get_running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop; without one, log a warning and return the thread's current loop."""
    import asyncio  # noqa: PLC0415 (the blocking front does without)

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        logger.warning("No running event loop")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return asyncio.get_event_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


def _convert_py_number(value: int) -> native.AMQPValue:
    """Return an int as AMQP int if it fits into 32 bits, otherwise as long.

    Raises:
        ValueError: it doesn't fit into 64 bits.
    """
    if -(2**31) <= value < 2**31:
        return native.int_value(value)
    if -(2**63) <= value < 2**63:
        return native.long_value(value)
    raise ValueError(
        f"{int(value)} is beyond AMQP's 64-bit long; wrap it in types.AMQPuLong if it is below 2**64,"
        " or send it as float, decimal.Decimal or text."
    )


def _timestamp(value: datetime.datetime) -> native.AMQPValue:
    seconds = calendar.timegm(value.utctimetuple())
    return native.timestamp_value(seconds * 1000 + value.microsecond // 1000)


_TYPED = (
    codec.Symbol,
    codec.Char,
    codec.UByte,
    codec.UShort,
    codec.UInt,
    codec.ULong,
    codec.Byte,
    codec.Short,
    codec.Long,
    codec.Timestamp,
    codec.Float,
    codec.Decimal32,
    codec.Decimal64,
    codec.Decimal128,
    codec.Array,
    codec.Described,
)
"""Types whose values already have an AMQP type."""


def _scalar(value: Any, encoding: str) -> native.AMQPValue | None:
    if isinstance(value, bool):
        return native.bool_value(value)
    if isinstance(value, _TYPED):
        return native.value_of(value)
    if isinstance(value, str):
        return native.string_value(value.encode(encoding))
    if isinstance(value, bytes):
        return native.string_value(value)
    if isinstance(value, uuid.UUID):
        return native.uuid_value(value)
    if isinstance(value, (bytearray, memoryview)):
        return native.binary_value(bytes(value))
    if isinstance(value, int):
        return _convert_py_number(value)
    if isinstance(value, float):
        return native.double_value(value)
    if isinstance(value, datetime.datetime):
        return _timestamp(value)
    if isinstance(value, decimal.Decimal):
        return native.value_of(codec.Decimal128.from_decimal(value))
    return None


def data_factory(value: Any, encoding: str = "UTF-8") -> Any:
    """Return the AMQP value that a Python value is sent as.

    This takes ``None``, ``bool``, ``int`` (int if it fits into 32 bits, otherwise long), ``float`` (double),
    ``decimal.Decimal`` (decimal128), ``uuid.UUID``, ``datetime.datetime`` (timestamp; naive ones count as UTC), ``str``
    and ``bytes`` (string), ``bytearray`` and ``memoryview`` (binary), ``list``, ``tuple`` and ``set`` (list), ``dict``
    (map), the classes of `types` (or anything else with a ``c_data``), the codec's, and AMQP values.

    Raises:
        TypeError: the value is of any other type.
        ValueError: an int doesn't fit into 64 bits, or the value is nested too deeply.
    """
    try:
        return converted(value, encoding)
    except RecursionError:
        raise ValueError("The value is nested too deep.") from None


def converted(value: Any, encoding: str) -> Any:
    """Return what `data_factory` does.

    Raises:
        RecursionError: the value is nested too deeply for Python.
    """
    if value is None:
        return native.null_value()
    if hasattr(value, "c_data"):
        return value.c_data
    if isinstance(value, native.AMQPValue):
        return value
    scalar = _scalar(value, encoding)
    if scalar is not None:
        return scalar
    if isinstance(value, dict):
        entries = native.dict_value()
        for key, item in value.items():
            entries[converted(key, encoding)] = converted(item, encoding)
        return entries
    if isinstance(value, (list, set, frozenset, tuple)):
        return native.ListValue([converted(item, encoding) for item in value])
    raise TypeError(f"A value of type {type(value).__name__} has no AMQP type; see the classes in uamqp.types.")


def wrapped(value: Any, argument: str, encoding: str = "UTF-8") -> Any:
    """Return what `data_factory` makes of an argument; errors name the argument."""
    try:
        return data_factory(value, encoding)
    except TypeError as error:
        raise TypeError(f"{argument}: {error}") from error
    except UnicodeError:
        raise
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from error


def fields(values: Mapping[Any, Any], encoding: str = "UTF-8") -> dict[Any, Any]:
    """Return a map for link properties, error info or annotations, in the form that the codec's composites take.

    Keys (text or bytes, wrapped in `types` or not) become symbols, as the specification requires, and ints become
    ulong. The values are sent as `data_factory` says.

    Raises:
        TypeError: a key is of another type.
    """
    return {_field_name(key, encoding): data_factory(value, encoding) for key, value in values.items()}


def properties(values: Any, argument: str, encoding: str = "UTF-8") -> dict[Any, Any] | None:
    """Return connection or link properties as they go on the wire, or None if there are none.

    Raises:
        TypeError: it isn't a dict, or a key isn't text; the error names the argument.
    """
    if not values:
        return None
    if not isinstance(values, Mapping):
        raise TypeError(f"{argument} must be a dictionary, not {type(values).__name__}.")
    try:
        found = fields(values, encoding)
        codec.encode_value([found])  # as in an open or attach: this fails now if it can't be encoded
    except TypeError as error:
        raise TypeError(f"{argument}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from error
    for key in found:
        if not isinstance(key, codec.Symbol):
            raise TypeError(f"The keys of {argument} must be text: {key!r} is none.")
    return found


def _field_name(key: Any, encoding: str) -> Any:
    if not isinstance(key, (str, bytes, int)):
        key = data_factory(key, encoding).value
    if isinstance(key, bytes):
        return codec.Symbol(key, encoding)
    if isinstance(key, str):
        return codec.Symbol(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return codec.ULong(key)
    raise TypeError(f"The keys of a map like this are text, not {type(key).__name__}.")


def symbols(values: Any, encoding: str = "UTF-8", argument: str = "Capabilities") -> tuple[codec.Symbol, ...]:
    """Return capabilities as the codec takes them.

    They may be given as None, one name, a list or tuple of names, or a `types.AMQPArray`, wrapped by `data_factory` or
    not; names are text, bytes or `types.AMQPSymbol`.

    Raises:
        TypeError: they are anything else; the error names the argument.
    """
    if values is None:
        return ()
    try:
        plain = data_factory(values, encoding).value
    except (TypeError, ValueError):
        plain = None
    if isinstance(plain, bytes):
        plain = [plain]
    if not isinstance(plain, list) or not all(isinstance(name, bytes) for name in plain):
        raise TypeError(
            f"{argument} are a list of names (str, bytes or types.AMQPSymbol), not {type(values).__name__}."
        )
    return tuple([codec.Symbol(text(name, argument, encoding)) for name in plain])
