"""A small AMQP 1.0 codec for tests, independent of the library: it imports nothing from `uamqp`.

It is written for reading, not for speed, and it is strict: what it decodes must be well formed, of the types
the specification gives, and complete (mandatory fields). Encoding lets a test choose every byte: `wide()`,
`Raw`, `Composite(padded=..., symbolic=...)`. `frames` has message sections and frames.

Values. Encoding takes None, bool, str (string), bytes (binary), float (double), uuid.UUID, list, dict and the
typed `Value`s made by `uint(5)`, `sym("x")` and so on; a bare int is refused except in a field whose type is
known. Decoding gives None, bool, list, dict, `Array`, `Described`, `Composite`, and `Value` for the rest.
A Value equals a Value of the same kind and value, and also the plain Python value. A composite's fields of a
known primitive type decode to the plain Python value, for their type has been checked.
"""

from __future__ import annotations

import struct
import uuid as uuid_module
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .definitions import (
    BY_CODE,
    BY_SYMBOL,
    COMPOSITES,
    NUMBERS,
    STATES,
    Definition,
    Field,
)

MAX_COUNT = 1 << 20
MAX_DEPTH = 40

# code -> (kind, struct format of the value, or of the size and count)
FIXED: dict[int, tuple[str, str]] = {
    0x50: ("ubyte", ">B"),
    0x60: ("ushort", ">H"),
    0x70: ("uint", ">I"),
    0x52: ("uint", ">B"),
    0x80: ("ulong", ">Q"),
    0x53: ("ulong", ">B"),
    0x51: ("byte", ">b"),
    0x61: ("short", ">h"),
    0x71: ("int", ">i"),
    0x54: ("int", ">b"),
    0x81: ("long", ">q"),
    0x55: ("long", ">b"),
    0x72: ("float", ">f"),
    0x82: ("double", ">d"),
    0x74: ("decimal32", ">4s"),
    0x84: ("decimal64", ">8s"),
    0x94: ("decimal128", ">16s"),
    0x73: ("char", ">I"),
    0x83: ("timestamp", ">q"),
    0x98: ("uuid", ">16s"),
    0x56: ("boolean", ">B"),
}
EMPTY: dict[int, tuple[str, Any]] = {
    0x40: ("null", None),
    0x41: ("boolean", True),
    0x42: ("boolean", False),
    0x43: ("uint", 0),
    0x44: ("ulong", 0),
    0x45: ("list", []),
}
VARIABLE: dict[int, tuple[str, str]] = {
    0xA0: ("binary", ">B"),
    0xB0: ("binary", ">I"),
    0xA1: ("string", ">B"),
    0xB1: ("string", ">I"),
    0xA3: ("symbol", ">B"),
    0xB3: ("symbol", ">I"),
}
COMPOUND: dict[int, tuple[str, str]] = {
    0xC0: ("list", ">B"),
    0xD0: ("list", ">I"),
    0xC1: ("map", ">B"),
    0xD1: ("map", ">I"),
}
ARRAYS: dict[int, str] = {0xE0: ">B", 0xF0: ">I"}

WIDEST: dict[str, int] = {
    "boolean": 0x56,
    "ubyte": 0x50,
    "ushort": 0x60,
    "uint": 0x70,
    "ulong": 0x80,
    "byte": 0x51,
    "short": 0x61,
    "int": 0x71,
    "long": 0x81,
    "float": 0x72,
    "double": 0x82,
    "decimal32": 0x74,
    "decimal64": 0x84,
    "decimal128": 0x94,
    "char": 0x73,
    "timestamp": 0x83,
    "uuid": 0x98,
    "binary": 0xB0,
    "string": 0xB1,
    "symbol": 0xB3,
    "list": 0xD0,
    "map": 0xD1,
    "array": 0xF0,
}


class WireError(ValueError):
    """The bytes, or a value to encode, are not AMQP 1.0."""


# ---------------------------------------------------------------- values


class Value:
    """A primitive with its AMQP type; `code` forces the constructor byte (None: the shortest that fits)."""

    __slots__ = ("code", "kind", "value")

    def __init__(self, kind: str, value: Any, code: int | None = None) -> None:
        self.kind = kind
        self.value = value
        self.code = code

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Value):
            return self.kind == other.kind and bool(self.value == other.value)
        if other is None or isinstance(other, bool):
            return False
        return bool(self.value == other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"{self.kind}({self.value!r})"


class Array:
    """An array: its elements' constructor byte (and descriptor, if they are described) and the elements."""

    __slots__ = ("code", "descriptor", "items", "own_code")

    def __init__(self, code: int, items: Iterable[Any], descriptor: Any = None, own_code: int | None = None) -> None:
        self.code = code
        self.items = list(items)
        self.descriptor = descriptor
        self.own_code = own_code

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Array):
            return (_kind_of_code(self.code), self.items, self.descriptor) == (
                _kind_of_code(other.code),
                other.items,
                other.descriptor,
            )
        return isinstance(other, list) and self.items == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        described = f"{self.descriptor!r} " if self.descriptor is not None else ""
        return f"array<{described}{_kind_of_code(self.code)}>{self.items!r}"


class Described:
    """A described value whose descriptor the specification does not define."""

    __slots__ = ("descriptor", "value")

    def __init__(self, descriptor: Any, value: Any) -> None:
        self.descriptor = descriptor
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Described):
            return NotImplemented
        return (self.descriptor, self.value) == (other.descriptor, other.value)

    def __hash__(self) -> int:
        return hash((self.descriptor, self.value))

    def __repr__(self) -> str:
        return f"described({self.descriptor!r}, {self.value!r})"


class Raw:
    """Bytes that go out as they are, wherever a value may stand."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)

    def __repr__(self) -> str:
        return f"Raw({self.data.hex()})"


class Composite:
    """A composite that the specification defines, its fields by name; a field absent or null is None.

    `padded` sends all fields, trailing nulls too; `symbolic` uses the symbolic descriptor; `extra` are values
    after the last field (malformed); `wide` uses list32.
    """

    __slots__ = ("extra", "fields", "name", "padded", "symbolic", "wide")

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        *,
        padded: bool = False,
        symbolic: bool = False,
        wide: bool = False,
        extra: Iterable[Any] = (),
    ) -> None:
        self.name = name
        given = dict(fields or {})
        names = [field.name for field in COMPOSITES[name].fields]
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise WireError(f"{name} has no field {', '.join(unknown)}; its fields are {', '.join(names)}")
        self.fields: dict[str, Any] = {field: given.get(field) for field in names}
        self.padded = padded
        self.symbolic = symbolic
        self.wide = wide
        self.extra = list(extra)

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]

    def get(self, field: str) -> Any:
        """The field's value, its default where the specification has one and the field is null."""
        value = self.fields[field]
        return COMPOSITES[self.name].by_name[field].default if value is None else value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Composite):
            return NotImplemented
        return self.name == other.name and all(self.get(name) == other.get(name) for name in self.fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.fields.items() if value is not None)
        return f"{self.name}({shown})"


def ubyte(value: int) -> Value:
    return Value("ubyte", value)


def ushort(value: int) -> Value:
    return Value("ushort", value)


def uint(value: int) -> Value:
    return Value("uint", value)


def ulong(value: int) -> Value:
    return Value("ulong", value)


def byte(value: int) -> Value:
    return Value("byte", value)


def short(value: int) -> Value:
    return Value("short", value)


def int_(value: int) -> Value:
    return Value("int", value)


def long(value: int) -> Value:
    return Value("long", value)


def float_(value: float) -> Value:
    return Value("float", value)


def double(value: float) -> Value:
    return Value("double", value)


def decimal(raw: bytes) -> Value:
    """A decimal32, 64 or 128 by the length of its raw bytes."""
    return Value(f"decimal{len(raw) * 8}", raw)


def char(value: str) -> Value:
    return Value("char", value)


def timestamp(milliseconds: int) -> Value:
    return Value("timestamp", milliseconds)


def uuid(value: uuid_module.UUID) -> Value:
    return Value("uuid", value)


def binary(value: bytes) -> Value:
    return Value("binary", value)


def string(value: str) -> Value:
    return Value("string", value)


def sym(value: str) -> Value:
    return Value("symbol", value)


def symbols(*names: str) -> Array:
    """An array of symbols, as a field with multiple="true" carries them."""
    return Array(0xB3, [sym(name) for name in names])


def wide(value: Any) -> Value:
    """The same value in its widest encoding: `wide(uint(0))`, `wide(True)`, `wide([])`, `wide("text")`."""
    typed = _typed(value)
    return Value(typed.kind, typed.value, WIDEST[typed.kind])


def _typed(value: Any) -> Value:
    if isinstance(value, Value):
        return value
    if isinstance(value, bool):
        return Value("boolean", value)
    for python_type, kind in (
        (str, "string"),
        (bytes, "binary"),
        (float, "double"),
        (uuid_module.UUID, "uuid"),
        (list, "list"),
        (tuple, "list"),
        (dict, "map"),
    ):
        if isinstance(value, python_type):
            return Value(kind, value)
    if isinstance(value, int):
        raise WireError(f"{value!r} has no AMQP type here: say uint({value}), long({value}) or another")
    raise WireError(f"{value!r} is no AMQP value")


def _kind_of_code(code: int) -> str:
    for table in (FIXED, VARIABLE, COMPOUND):
        if code in table:
            return table[code][0]
    if code in EMPTY:
        return EMPTY[code][0]
    if code in ARRAYS:
        return "array"
    raise WireError(f"0x{code:02x} is no AMQP constructor")


# ---------------------------------------------------------------- encoding


def encode(value: Any) -> bytes:
    """The bytes of one value, its constructor included."""
    if value is None:
        return b"\x40"
    if isinstance(value, Raw):
        return value.data
    if isinstance(value, Described):
        return b"\x00" + encode(value.descriptor) + encode(value.value)
    if isinstance(value, Composite):
        return encode_composite(value)
    if isinstance(value, Array):
        code = 0xF0 if value.own_code is None else value.own_code
        return bytes([code]) + _array_body(code, value)
    typed = _typed(value)
    code = _shortest(typed) if typed.code is None else typed.code
    return bytes([code]) + _body(code, typed.value)


def _shortest(typed: Value) -> int:
    kind, value = typed.kind, typed.value
    if kind == "boolean":
        return 0x41 if value else 0x42
    if kind in ("uint", "ulong"):
        zero, small = (0x43, 0x52) if kind == "uint" else (0x44, 0x53)
        return zero if value == 0 else small if value < 256 else WIDEST[kind]
    if kind in ("int", "long"):
        small = 0x54 if kind == "int" else 0x55
        return small if -128 <= value < 128 else WIDEST[kind]
    if kind in ("binary", "string", "symbol"):
        return WIDEST[kind] - 0x10 if len(_octets(kind, value)) < 256 else WIDEST[kind]
    if kind in ("list", "map"):
        if kind == "list" and not value:
            return 0x45
        count, items = _items(value)
        return WIDEST[kind] - 0x10 if len(items) < 255 and count < 256 else WIDEST[kind]
    return WIDEST[kind]


def _octets(kind: str, value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if not isinstance(value, str):
        raise WireError(f"{kind} takes str or bytes, not {value!r}")
    return value.encode("ascii" if kind == "symbol" else "utf-8")


def _items(value: Any) -> tuple[int, bytes]:
    if isinstance(value, dict):
        value = list(value.items())
    flat = [part for item in value for part in (item if isinstance(item, tuple) else (item,))]
    return len(flat), b"".join(encode(part) for part in flat)


def _body(code: int, value: Any) -> bytes:
    """The bytes after the constructor; what an array repeats."""
    if code in EMPTY:
        return b""
    if code in FIXED:
        kind, form = FIXED[code]
        if kind == "char":
            value = ord(value) if isinstance(value, str) else value
        elif kind == "uuid":
            value = value.bytes
        elif kind == "boolean":
            value = int(value)
        try:
            return struct.pack(form, value)
        except struct.error as error:
            raise WireError(f"{value!r} does not fit in {kind} (0x{code:02x}): {error}") from None
    if code in VARIABLE:
        kind, form = VARIABLE[code]
        data = _octets(kind, value)
        return struct.pack(form, len(data)) + data
    if code in COMPOUND:
        form = COMPOUND[code][1]
        count, items = _items(value)
        return struct.pack(form, len(items) + struct.calcsize(form)) + struct.pack(form, count) + items
    if code in ARRAYS and isinstance(value, Array):
        return _array_body(code, value)
    raise WireError(f"0x{code:02x} is no AMQP constructor for {value!r}")


def _array_body(code: int, array: Array) -> bytes:
    form = ARRAYS[code]
    head = b"" if array.descriptor is None else b"\x00" + encode(array.descriptor)
    items = b"".join(_body(array.code, item.value if isinstance(item, Value) else item) for item in array.items)
    inner = head + bytes([array.code]) + items
    return struct.pack(form, len(inner) + struct.calcsize(form)) + struct.pack(form, len(array.items)) + inner


# ---------------------------------------------------------------- decoding


class Reader:
    """Decodes values from `data`, from `pos` up to `end`; WireError for whatever is not well formed."""

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None, depth: int = 0) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else end
        self.depth = depth

    def take(self, count: int) -> bytes:
        if count > self.end - self.pos:
            raise WireError(f"{count} bytes wanted at {self.pos}, {self.end - self.pos} there")
        self.pos += count
        return self.data[self.pos - count : self.pos]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self) -> Any:
        code = self.number(">B")
        if code != 0x00:
            return self.body(code)
        descriptor = self.value()
        return _described(descriptor, self.value())

    def body(self, code: int) -> Any:
        if code in EMPTY:
            kind, value = EMPTY[code]
            return [] if kind == "list" else Value(kind, value, code) if kind in ("uint", "ulong") else value
        if code in FIXED:
            return self._fixed(code)
        if code in VARIABLE:
            kind, form = VARIABLE[code]
            data = self.take(self.number(form))
            try:
                text = data if kind == "binary" else data.decode("ascii" if kind == "symbol" else "utf-8")
            except UnicodeDecodeError as error:
                raise WireError(f"{kind} is not well encoded: {error}") from None
            return Value(kind, text, code)
        if code in COMPOUND:
            return self._compound(code)
        if code in ARRAYS:
            return self._array(code)
        raise WireError(f"0x{code:02x} at {self.pos - 1} is no AMQP constructor")

    def _fixed(self, code: int) -> Any:
        kind, form = FIXED[code]
        value = self.number(form)
        if kind == "boolean":
            if value > 1:
                raise WireError(f"a boolean of {value}")
            return bool(value)
        if kind == "char":
            if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
                raise WireError(f"a char of 0x{value:x}")
            value = chr(value)
        elif kind == "uuid":
            value = uuid_module.UUID(bytes=value)
        return Value(kind, value, code)

    def _inner(self, form: str) -> tuple[Reader, int]:
        size = self.number(form)
        if size < struct.calcsize(form):
            raise WireError(f"a size of {size} leaves no room for the count")
        start = self.pos
        self.take(size)
        if self.depth >= MAX_DEPTH:
            raise WireError(f"nested deeper than {MAX_DEPTH}")
        inner = Reader(self.data, start, start + size, self.depth + 1)
        count = inner.number(form)
        if count > MAX_COUNT:
            raise WireError(f"a count of {count}")
        return inner, count

    def _compound(self, code: int) -> Any:
        kind, form = COMPOUND[code]
        inner, count = self._inner(form)
        items = [inner.value() for _ in range(count)]
        inner.done(kind)
        if kind == "list":
            return items
        if count % 2:
            raise WireError(f"a map of {count} keys and values")
        result: dict[Any, Any] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            try:
                if key in result:
                    raise WireError(f"the key {key!r} twice in a map")
                result[key] = value
            except TypeError:
                raise WireError(f"a map key that cannot be one in Python: {key!r}") from None
        return result

    def _array(self, code: int) -> Array:
        inner, count = self._inner(ARRAYS[code])
        element = inner.number(">B")
        descriptor = None
        if element == 0x00:
            descriptor = inner.value()
            element = inner.number(">B")
        items = [inner.body(element) for _ in range(count)]
        inner.done("array")
        return Array(element, items, descriptor, own_code=code)

    def done(self, what: str) -> None:
        if self.pos != self.end:
            raise WireError(f"{self.end - self.pos} bytes left over after {what}")


def decode(data: bytes) -> Any:
    """The one value that `data` holds, all of it."""
    reader = Reader(data)
    value = reader.value()
    reader.done("the value")
    return value


def definition_of(descriptor: Any) -> Definition | None:
    if isinstance(descriptor, Value) and descriptor.kind == "ulong":
        return BY_CODE.get(descriptor.value)
    if isinstance(descriptor, Value) and descriptor.kind == "symbol":
        return BY_SYMBOL.get(descriptor.value)
    return None


def _described(descriptor: Any, value: Any) -> Any:
    definition = definition_of(descriptor)
    if definition is None or definition.shape:
        return Described(descriptor, value)
    return _to_composite(definition, value, descriptor.kind == "symbol")


# ---------------------------------------------------------------- composites


def encode_composite(composite: Composite) -> bytes:
    """The described list of a composite; a plain value in a field takes the field's type."""
    definition = COMPOSITES[composite.name]
    values = [_field_to_wire(field, composite.fields[field.name]) for field in definition.fields]
    values += composite.extra
    if not composite.padded:
        while values and values[-1] is None:
            values.pop()
    descriptor = sym(definition.symbol) if composite.symbolic else ulong(definition.code)
    return b"\x00" + encode(descriptor) + encode(wide(values) if composite.wide else values)


def _field_to_wire(field: Field, value: Any) -> Any:
    if field.multiple and isinstance(value, (list, tuple)):
        return symbols(*value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and field.kind in NUMBERS:
        return Value(field.kind, value)
    if isinstance(value, str) and field.kind in ("symbol", "string"):
        return Value(field.kind, value)
    if isinstance(value, dict) and field.kind in ("fields", "map"):
        return {sym(key) if type(key) is str else key: item for key, item in value.items()}
    return value


def _to_composite(definition: Definition, value: Any, symbolic: bool) -> Composite:
    if not isinstance(value, list):
        raise WireError(f"{definition.name} must be a list, not {value!r}")
    if len(value) > len(definition.fields):
        raise WireError(f"{definition.name} has {len(definition.fields)} fields, not {len(value)}: {value!r}")
    values = value + [None] * (len(definition.fields) - len(value))
    fields = {}
    for field, item in zip(definition.fields, values, strict=True):
        if item is None:
            if field.mandatory:
                raise WireError(f"{definition.name}.{field.name} is mandatory and missing: {value!r}")
            continue
        fields[field.name] = _field_from_wire(definition, field, item)
    return Composite(definition.name, fields, symbolic=symbolic, padded=bool(value) and value[-1] is None)


def _field_from_wire(definition: Definition, field: Field, item: Any) -> Any:
    if field.multiple and isinstance(item, Array):
        if _kind_of_code(item.code) != field.kind or item.descriptor is not None:
            raise WireError(f"{definition.name}.{field.name} must hold {field.kind}s: {item!r}")
        return [element.value for element in item.items]
    if not _FIELD_CHECKS.get(field.kind, _primitive(field.kind))(item):
        raise WireError(f"{definition.name}.{field.name} must be {field.kind}: {item!r}")
    if isinstance(item, Value) and field.kind != "any":
        return [item.value] if field.multiple else item.value
    return item


def _primitive(kind: str) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, Value) and item.kind == kind


def _is_one_of(*names: str) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, Described) or (isinstance(item, Composite) and item.name in names)


_FIELD_CHECKS: dict[str, Callable[[Any], bool]] = {
    "any": lambda item: True,
    "boolean": lambda item: isinstance(item, bool),
    "map": lambda item: isinstance(item, dict),
    "fields": lambda item: isinstance(item, dict) and all(isinstance(k, Value) and k.kind == "symbol" for k in item),
    "error": lambda item: isinstance(item, Composite) and item.name == "error",
    "source": _is_one_of("source"),
    "target": _is_one_of("target", "coordinator"),
    "state": _is_one_of(*STATES),
}


def _maker(name: str) -> Callable[..., Composite]:
    def make(**fields: Any) -> Composite:
        return Composite(name, fields)

    make.__doc__ = f"A {name}: its fields are {', '.join(field.name for field in COMPOSITES[name].fields) or 'none'}."
    return make


source = _maker("source")
target = _maker("target")
coordinator = _maker("coordinator")
declare = _maker("declare")
discharge = _maker("discharge")
declared = _maker("declared")
transactional_state = _maker("transactional_state")
received = _maker("received")
accepted = _maker("accepted")
rejected = _maker("rejected")
released = _maker("released")
modified = _maker("modified")


def error(condition: str, description: str | None = None, info: dict[Any, Any] | None = None) -> Composite:
    return Composite("error", {"condition": condition, "description": description, "info": info})
