"""A message's body (sections 3.2.6 to 3.2.8) unless it is a single data section, which `Message` sees to itself.

The content of a data or sequence body of several sections is a tuple of them; an AMQP value is itself.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ..codec import DATA, SEQUENCE, VALUE, decode_value
from ..codec.encode import append_value
from ..codec.message import Bounds, append_data, body_code, body_parts
from ..codec.sections import append_section_header

BodyKind: TypeAlias = Literal["data", "value", "sequence"]

NO_BODY, UNKNOWN = 0, -1
"""What stands for the code of a body's sections if there are none, and if nobody has looked yet."""

KINDS: dict[int, BodyKind] = {DATA: "data", SEQUENCE: "sequence", VALUE: "value"}


def append_body(out: bytearray, code: int, content: Any) -> None:
    """Append a body whose sections have this code.

    Raises:
        EncodeError: a value in it has no encoding.
    """
    if code == VALUE:
        append_section_header(out, VALUE)
        append_value(out, content)
    elif code == DATA:
        for chunk in content:
            append_data(out, chunk)
    elif code == SEQUENCE:
        for items in content:
            append_section_header(out, SEQUENCE)
            append_value(out, items)


def decoded_body(payload: bytes, bounds: Bounds) -> Any:
    """Return the content of a received body; None if there is none.

    Raises:
        DecodeError: a value in it can't be decoded.
    """
    code = body_code(bounds)
    if code == DATA:
        return tuple(body_parts(payload, bounds))
    if code == SEQUENCE:
        return tuple([decode_value(part) for part in body_parts(payload, bounds)])  # no closure: this is a C function
    if code == VALUE:
        return decode_value(body_parts(payload, bounds)[0])
    return None


def described(code: int, content: Any) -> str:
    """Return what a body is, for people, without showing it."""
    if code == DATA:
        size = len(content) if type(content) is bytes else sum(map(len, content))
        return f"{size} bytes of data"
    if code == SEQUENCE:
        return "a sequence"
    return "no body" if code == NO_BODY else f"a value ({type(content).__name__})"
