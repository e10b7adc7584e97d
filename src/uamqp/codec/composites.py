"""Composite types (section 1.4 of the AMQP 1.0 specification): fields, checks, the registry of descriptors.

The composites are in definitions, terminus, outcomes, transactions, performatives, sasl and sections; importing those
fills the registry.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, TypeVar

from .decode import Decoder
from .encode import (
    append_binary,
    append_boolean,
    append_string,
    append_symbol,
    append_timestamp,
    append_ubyte,
    append_uint,
    append_ulong,
    append_ushort,
    append_value,
    check_nesting,
    close_compound,
)
from .errors import DecodeError, EncodeError
from .limits import MAX_SIZE
from .values import Array, Described, Symbol, Timestamp, ULong

REQUIRED: Any = None
"""The default of a mandatory field after an optional one: encoding without a value is an error."""

RESTRICTED: dict[str, str] = {
    "role": "boolean",
    "sender-settle-mode": "ubyte",
    "receiver-settle-mode": "ubyte",
    "handle": "uint",
    "seconds": "uint",
    "milliseconds": "uint",
    "delivery-tag": "binary",
    "delivery-number": "sequence-no",
    "transfer-number": "sequence-no",
    "sequence-no": "uint",
    "message-format": "uint",
    "ietf-language-tag": "symbol",
    "fields": "map",
    "annotations": "map",
    "filter-set": "map",
    "node-properties": "fields",
    "terminus-durability": "uint",
    "terminus-expiry-policy": "symbol",
    "sasl-code": "ubyte",
}
"""Restricted types with which composites' fields are declared, and the types that they restrict."""

# Restricted integer types with a closed set of choices, from 0 to this number.
_HIGHEST_CHOICE = {
    "sender-settle-mode": 2,
    "receiver-settle-mode": 1,
    "terminus-durability": 2,
    "sasl-code": 4,
}

_HIGHEST = {"ubyte": 0xFF, "ushort": 0xFFFF, "uint": 0xFFFFFFFF, "ulong": 0xFFFFFFFFFFFFFFFF}

# Map types whose keys are symbols (or ulongs, in "annotations").
_SYMBOL_KEYED = ("fields", "annotations", "filter-set", "node-properties")


class Field:
    """A field of a composite as the specification defines it.

    Args:
        name: the specification's name.
        type: the specification's type.
        mandatory: whether the field needs a value.
        default: the specification's default, as a Python value.
        multiple: whether the field may have several values.
        requires: the archetype that a value of type "*" must provide ("source", "delivery-state", ...).

    Attributes:
        attribute: the Python name.
        base: the primitive type, or "error" or "*".
        highest: the largest value of an unsigned integer; None for other types.
        symbol_keyed: whether it is a map whose keys are symbols.
        nests: whether values may be nested, and so have to be checked together with their composite.
    """

    __slots__ = (
        "attribute",
        "base",
        "default",
        "highest",
        "mandatory",
        "multiple",
        "name",
        "nests",
        "requires",
        "symbol_keyed",
        "type",
    )

    def __init__(
        self,
        name: str,
        type: str,
        mandatory: bool = False,
        default: Any = None,
        multiple: bool = False,
        requires: str | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.mandatory = mandatory
        self.default = () if multiple else default
        self.multiple = multiple
        self.requires = requires
        self.attribute = name.replace("-", "_")
        base = type
        while base in RESTRICTED:
            base = RESTRICTED[base]
        self.base = base
        self.highest: int | None = _HIGHEST_CHOICE.get(type, _HIGHEST.get(base))
        self.symbol_keyed = type in _SYMBOL_KEYED
        self.nests = base in ("map", "*", "error")

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.type!r})"


class Composite:
    """Base of all composite types. Subclasses are dataclasses with slots, with their fields in wire order.

    Attributes:
        DESCRIPTOR: the numeric descriptor.
        NAME: the symbolic descriptor.
        FIELDS: the definition of each field.
        PROVIDES: the archetypes for which the specification allows the type.
    """

    __slots__ = ()

    DESCRIPTOR: ClassVar[int]
    NAME: ClassVar[str]
    FIELDS: ClassVar[tuple[Field, ...]] = ()
    PROVIDES: ClassVar[tuple[str, ...]] = ()

    def append_to(self, out: bytearray) -> None:
        """Append the encoding. Fields that are None or the default become null, or are omitted at the end.

        Raises:
            EncodeError: a mandatory field is None, or a field has the wrong type. `out` is unchanged.
        """
        start = len(out)
        try:
            self._append_to(out)
        except BaseException:
            del out[start:]
            raise

    def _append_to(self, out: bytearray) -> None:
        out += b"\x00\x53"
        out.append(self.DESCRIPTOR)
        start = len(out)
        out += b"\xc0\x00\x00"
        count = nulls = 0
        nests = False
        for field in self.FIELDS:
            value = getattr(self, field.attribute)
            if not field.mandatory and (value is None or _is_default(field, value)):
                nulls += 1
                continue
            if nulls:
                out += b"\x40" * nulls
                count += nulls
                nulls = 0
            try:
                if value is None:
                    raise EncodeError("is mandatory and can't be None")
                append_field(out, field, value)
            except EncodeError as error:
                raise type(error)(f"{_short(self)}.{field.name}: {error}") from None
            if field.nests:
                nests = True
            count += 1
        if count:
            close_compound(out, start, count)
        else:
            out[start:] = b"\x45"
        if nests:
            check_nesting(bytes(out[start:]), 0, type(self).__qualname__)

    def encode(self) -> bytes:
        """Return the encoding, including the descriptor.

        Raises:
            EncodeError: see `append_to`.
        """
        out = bytearray()
        self._append_to(out)
        return bytes(out)

    __amqp_encode__ = encode

    @classmethod
    def from_fields(  # noqa: PYI019 (Self needs Python 3.11)
        cls: type[_CompositeT], values: list[Any], tolerant: bool = False
    ) -> _CompositeT:
        """Return the composite with these decoded fields (typed mapping).

        Args:
            values: the fields; trailing ones may be missing.
            tolerant: whether a settle mode or durability unknown to the specification counts as missing.

        Raises:
            DecodeError: the fields are invalid.
        """
        fields = cls.FIELDS
        given = len(values)
        if given > len(fields):
            raise DecodeError(f"{_short(cls)} has {len(fields)} fields, got {given}")
        checked: list[Any] = []
        for index, field in enumerate(fields):
            value = values[index] if index < given else None
            if value is not None:
                try:
                    value = _checked_multiple(field, value) if field.multiple else _checked(field, value, tolerant)
                except DecodeError as error:
                    raise DecodeError(f"{_short(cls)}.{field.name}: {error}") from None
            elif field.mandatory:
                raise DecodeError(f"{_short(cls)}.{field.name} is mandatory and missing")
            else:
                value = field.default
            checked.append(value)
        return cls(*checked)


_CompositeT = TypeVar("_CompositeT", bound=Composite)

COMPOSITES_BY_CODE: dict[int, type[Composite]] = {}
COMPOSITES_BY_NAME: dict[str, type[Composite]] = {}


def register(cls: type[_CompositeT]) -> type[_CompositeT]:
    """Register a composite by both of its descriptors. A class decorator."""
    COMPOSITES_BY_CODE[cls.DESCRIPTOR] = cls
    COMPOSITES_BY_NAME[cls.NAME] = cls
    return cls


def composite_class(descriptor: Any) -> type[Composite] | None:
    """Return the class for a numeric or symbolic descriptor, or None."""
    if isinstance(descriptor, int):
        return COMPOSITES_BY_CODE.get(descriptor) if type(descriptor) is ULong else None
    return COMPOSITES_BY_NAME.get(descriptor) if isinstance(descriptor, str) else None


def decode_composite(
    data: bytes, pos: int = 0, end: int | None = None, tolerant: bool = False
) -> tuple[Composite, int]:
    """Return the composite encoded at `pos`, and the position after it.

    Args:
        data: the encoded bytes.
        pos: where the composite starts.
        tolerant: see `Composite.from_fields`.

    Raises:
        DecodeError: there is no valid composite.
    """
    decoder = Decoder(data, pos, end)
    if decoder.pos + 3 <= decoder.end and data[pos] == 0x00 and data[pos + 1] == 0x53:
        descriptor: Any = data[pos + 2]
        cls = COMPOSITES_BY_CODE.get(descriptor)
        decoder = Decoder(data, pos + 3, end)
    elif decoder.pos < decoder.end and data[pos] == 0x00:
        decoder = Decoder(data, pos + 1, end)
        descriptor = decoder.value()
        cls = composite_class(descriptor)
    else:
        raise DecodeError(f"expected a composite at offset {pos}")
    if cls is None:
        raise DecodeError(f"no composite has the descriptor {descriptor!r:.80} (offset {pos})")
    values = decoder.value()
    if type(values) is not list:
        raise DecodeError(f"{_short(cls)} at offset {pos}: expected a list, got {amqp_type_name(values)}")
    return cls.from_fields(values, tolerant), decoder.pos


def resolve(value: Any, tolerant: bool = False) -> Any:
    """Return a `Described` with a known descriptor as the composite, and anything else unchanged."""
    if type(value) is not Described:
        return value
    cls = composite_class(value.descriptor)
    if cls is None:
        return value
    if type(value.value) is not list:
        raise DecodeError(f"{_short(cls)}: expected a list, got {amqp_type_name(value.value)}")
    return cls.from_fields(value.value, tolerant)


def amqp_type_name(value: Any) -> str:
    """Return the name of the AMQP type of a value in the typed mapping, for error texts."""
    if value is None:
        return "null"
    names = {
        "bool": "boolean",
        "float": "double",
        "bytes": "binary",
        "str": "string",
        "dict": "map",
        "Float": "float",
    }
    name = type(value).__name__
    return names.get(name, name.lower())


def _short(composite: Composite | type[Composite]) -> str:
    return composite.NAME.split(":")[1]


def _is_default(field: Field, value: Any) -> bool:
    if field.multiple:
        return isinstance(value, (tuple, list, set, frozenset)) and not value
    default = field.default
    # Without the comparison of types, 0 would count as the default of a boolean.
    return default is not None and bool(value == default) and isinstance(value, bool) is isinstance(default, bool)


def _wrong(field: Field, value: Any) -> str:
    return f"expected {field.type if field.type != '*' else field.requires}, got {amqp_type_name(value)}"


# -- decoding: every check returns the value as the declared Python type


def _checked_multiple(field: Field, value: Any) -> tuple[Any, ...]:
    if type(value) is Array:
        if value.descriptors:
            raise DecodeError(f"expected {field.type}, got an array of described values")
        return tuple([_checked(field, item) for item in value])
    return (_checked(field, value),)


def _checked(field: Field, value: Any, tolerant: bool = False) -> Any:
    base = field.base
    if field.highest is not None:
        if not isinstance(value, int) or type(value) is bool or type(value) is Timestamp:
            raise DecodeError(_wrong(field, value))
        if not 0 <= value <= field.highest:
            if tolerant and field.type in _HIGHEST_CHOICE and not field.mandatory:
                return field.default
            raise DecodeError(f"{field.type} takes 0 to {field.highest}, got {int(value)}")
        return int(value)
    if base == "boolean":
        if type(value) is not bool:
            raise DecodeError(_wrong(field, value))
        return value
    if base == "symbol":
        if type(value) is Symbol:
            return value
        if type(value) is not str:
            raise DecodeError(_wrong(field, value))
        return Symbol(value)
    if base == "string":
        if type(value) is not str and type(value) is not Symbol:
            raise DecodeError(_wrong(field, value))
        return str(value)
    if base == "map":
        if type(value) is not dict:
            raise DecodeError(_wrong(field, value))
        return _checked_map(field, value)
    if base == "binary":
        if type(value) is not bytes:
            raise DecodeError(_wrong(field, value))
        return value
    if base == "timestamp":
        if type(value) is not Timestamp:
            raise DecodeError(_wrong(field, value))
        return value
    return _checked_any(field, value, tolerant)


def _checked_map(field: Field, value: dict[Any, Any]) -> dict[Any, Any]:
    if field.symbol_keyed:
        for key in value:
            if type(key) is not Symbol:
                value = _symbol_keyed(field, value)
                break
    if field.type == "node-properties" and "lifetime-policy" in value:
        value[Symbol("lifetime-policy")] = resolve(value["lifetime-policy"])
    elif field.name == "unsettled":
        for key, state in value.items():
            value[key] = resolve(state)
    return value


def _symbol_keyed(field: Field, value: dict[Any, Any]) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for key, item in value.items():
        if isinstance(key, str):
            key = Symbol(key)
        elif field.type != "annotations" or not isinstance(key, int):
            raise DecodeError(f"expected {field.type} with symbols as keys, got {amqp_type_name(key)}")
        result[key] = item
    return result


def _checked_any(field: Field, value: Any, tolerant: bool) -> Any:
    """Return the value of a field of type "error", or of type "*" with its required archetype."""
    requires = field.requires
    if field.base == "error":
        requires = "error"
    if requires == "address":
        if isinstance(value, str):
            return str(value)
        if type(value) is Described:
            return value
        raise DecodeError(_wrong(field, value))
    if requires == "message-id":
        return _checked_message_id(field, value)
    if requires == "txn-id":
        if type(value) is not bytes and type(value) is not Described:
            raise DecodeError(_wrong(field, value))
        return value
    if requires in ("source", "target", "delivery-state", "outcome", "error"):
        if type(value) is not Described:
            raise DecodeError(_wrong(field, value))
        resolved = resolve(value, tolerant)
        if isinstance(resolved, Composite):
            if requires not in resolved.PROVIDES:
                raise DecodeError(f"expected {requires}, got {_short(resolved)}")
        elif requires == "error":
            raise DecodeError(f"expected error, got a value with descriptor {value.descriptor!r:.80}")
        return resolved
    return value


def _checked_message_id(field: Field, value: Any) -> Any:
    kind = type(value)
    if kind is ULong or kind is str or kind is uuid.UUID or kind is bytes:
        return value
    if kind is Symbol:
        return str(value)
    if isinstance(value, int) and kind is not bool and kind is not Timestamp and value >= 0:
        return ULong(value)
    raise DecodeError(_wrong(field, value))


# -- encoding: by the field's type, accepting various Python types


def append_field(out: bytearray, field: Field, value: Any, depth: int = 0) -> None:
    """Append the value of a composite's field, which mustn't be None.

    Args:
        depth: nesting depth of the value so far; 0 if the whole composite is checked afterwards.

    Raises:
        EncodeError: the value has the wrong type, or is out of range.
        NestingError: the value is nested too deep.
    """
    if not field.multiple:
        _append_single(out, field, value, depth)
        return
    if isinstance(value, (str, bytes)) or not isinstance(value, (tuple, list, set, frozenset)):
        _append_single(out, field, value)
    elif len(value) == 1:
        for item in value:
            _append_single(out, field, item)
    else:
        _append_symbols(out, field, value)


def _append_symbols(out: bytearray, field: Field, values: Any) -> None:
    start = len(out)
    out += b"\xe0\x00\x00\xa3"
    encoded = []
    for item in values:
        if not isinstance(item, str):
            raise EncodeError(_wrong(field, item))
        try:
            encoded.append(item.encode())
        except UnicodeEncodeError as error:
            raise EncodeError(f"text has no UTF-8 encoding: {error.reason}") from None
    wide = any(len(data) > 0xFF for data in encoded)
    if wide:
        out[-1] = 0xB3
    for data in encoded:
        if len(data) > MAX_SIZE:
            raise EncodeError(f"{len(data)} bytes are more than AMQP can encode in one value")
        out += len(data).to_bytes(4 if wide else 1, "big")
        out += data
    close_compound(out, start, len(encoded))


def _append_single(out: bytearray, field: Field, value: Any, depth: int = 0) -> None:
    base = field.base
    if field.highest is not None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise EncodeError(_wrong(field, value))
        if not 0 <= value <= field.highest:
            raise EncodeError(f"{field.type} takes 0 to {field.highest}, got {int(value)}")
        if base == "uint":
            append_uint(out, value)
        elif base == "ulong":
            append_ulong(out, value)
        elif base == "ubyte":
            append_ubyte(out, value)
        else:
            append_ushort(out, value)
    elif base == "boolean":
        if not isinstance(value, bool):
            raise EncodeError(_wrong(field, value))
        append_boolean(out, value)
    elif base == "symbol" or base == "string":
        if not isinstance(value, str):
            raise EncodeError(_wrong(field, value))
        if base == "symbol":
            append_symbol(out, value)
        else:
            append_string(out, value)
    elif base == "binary":
        if not isinstance(value, (bytes, bytearray)):
            raise EncodeError(_wrong(field, value))
        append_binary(out, value)
    elif base == "timestamp":
        if not isinstance(value, int) or isinstance(value, bool):
            raise EncodeError(_wrong(field, value))
        append_timestamp(out, value)
    elif base == "map":
        if not isinstance(value, dict):
            raise EncodeError(_wrong(field, value))
        append_value(out, _keys_as_symbols(value) if field.symbol_keyed else value)
    else:
        _append_any(out, field, value, depth)


def _keys_as_symbols(value: dict[Any, Any]) -> dict[Any, Any]:
    for key in value:
        if type(key) is str:
            return {Symbol(key) if type(key) is str else key: item for key, item in value.items()}
    return value


def _append_any(out: bytearray, field: Field, value: Any, depth: int) -> None:
    """Append the value of a field of type "error", or of type "*" with its required archetype."""
    requires = "error" if field.base == "error" else field.requires
    if isinstance(value, Composite):
        if requires not in value.PROVIDES and requires != "global-tx-id":
            raise EncodeError(f"expected {requires}, got {_short(value)}")
    elif requires == "message-id":
        if isinstance(value, int) and not isinstance(value, bool):
            append_ulong(out, value)
            return
        if isinstance(value, str):
            append_string(out, value)
            return
        if not isinstance(value, (bytes, bytearray, uuid.UUID)):
            raise EncodeError(f"expected ulong, uuid, binary or string, got {amqp_type_name(value)}")
    elif requires == "address" and isinstance(value, str):
        append_string(out, value)
        return
    elif not (
        (type(value) is Described and requires != "error")
        or (requires == "txn-id" and isinstance(value, (bytes, bytearray)))
        or requires == "global-tx-id"
        or hasattr(type(value), "__amqp_encode__")
    ):
        raise EncodeError(_wrong(field, value))
    append_value(out, value, depth)
