"""What the broker reads and writes of an encoded message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.codec import (
    DecodeError,
    Header,
    Properties,
    Symbol,
    append_section_header,
    append_value,
    scan_sections,
)
from uamqp.testing.envelope import NO_HEADER, read_header, read_to, with_annotations, with_header
from uamqp.testing.views import MessageView

DATA = b"\x00\x53\x75\xa0\x05hello"
# the same header with its descriptor as ulong and as symbol
WIDE = b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x70\xc0\x04\x03\x40\x40\x43"
NAMED = b"\x00\xa3\x10amqp:header:list\xc0\x04\x03\x40\x40\x43"


def notes(values: dict[str, object], code: int = 0x72) -> bytes:
    out = bytearray()
    append_section_header(out, code)
    append_value(out, {Symbol(key): value for key, value in values.items()})
    return bytes(out)


def view(payload: bytes) -> MessageView:
    return MessageView(payload, 1, 0)


@pytest.mark.parametrize("payload", [b"", DATA, notes({"a": 1}), b"garbage", b"\x00\xa3\x01x\x40"])
def test_no_header(payload: bytes) -> None:
    assert read_header(payload) is NO_HEADER


@pytest.mark.parametrize("start", [WIDE, NAMED])
def test_a_header_with_an_unusual_descriptor(start: bytes) -> None:
    info = read_header(start + DATA)
    assert info.encoded == start
    assert info.header.ttl == 0
    assert with_header(start + DATA, 1, None) == Header(ttl=0, delivery_count=1).encode() + DATA


@pytest.mark.parametrize(
    "payload", [b"\x00", b"\x00\x53\x70", b"\x00\x53\x70\xa1\x01x", b"\x00\x53\x70\xc0\x03\x01\x54\x01"]
)
def test_a_malformed_header(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        read_header(payload)


def test_a_new_delivery_count_leaves_the_rest_alone() -> None:
    header = Header(durable=True, priority=7, ttl=1000, first_acquirer=True)
    changed = with_header(header.encode() + DATA, 3, 400)
    info = read_header(changed)
    assert info.header == Header(True, 7, 400, False, 3)
    assert changed[len(info.encoded) :] == DATA
    assert read_header(with_header(DATA, 1, None)).header == Header(delivery_count=1)
    assert read_header(with_header(header.encode() + DATA, 0, None)).header == header


@given(
    st.builds(
        Header,
        durable=st.none() | st.booleans(),
        priority=st.none() | st.integers(0, 255),
        ttl=st.none() | st.integers(0, 2**32 - 1),
        first_acquirer=st.none() | st.booleans(),
    ),
    st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**32 - 1),
)
def test_any_header_can_be_changed(header: Header, count: int, ttl: int | None) -> None:
    info = read_header(with_header(header.encode() + DATA, count, ttl))
    assert (info.header.delivery_count or 0) == count
    assert info.header.ttl == (header.ttl if ttl is None else ttl)
    assert info.header.priority in {header.priority, 4 if header.priority == 4 else None, header.priority}


@pytest.mark.parametrize("head", [b"", Header(ttl=1).encode(), notes({"d": 1}, 0x71)])
@pytest.mark.parametrize("old", [b"", notes({"x-a": 1, "x-reason": "old"}), notes({})])
def test_annotations_are_added(head: bytes, old: bytes) -> None:
    tail = Properties(to="q").encode() + DATA
    changed = with_annotations(head + old + tail, {"x-reason": "new"})
    assert changed.startswith(head)
    assert changed.endswith(tail)
    assert len([code for code, _, _ in scan_sections(changed) if code == 0x72]) == 1
    kept = {"x-a": 1} if b"x-a" in old else {}
    assert view(changed).annotations == {**kept, "x-reason": "new"}


def test_sections_in_an_unusual_order_stay_in_it() -> None:
    payload = notes({"x": 1}) + notes({"d": 1}, 0x71) + DATA
    changed = with_annotations(payload, {"y": 2})
    assert view(changed).annotations == {"x": 1, "y": 2}
    assert changed.endswith(notes({"d": 1}, 0x71) + DATA)


@pytest.mark.parametrize("payload", [b"garbage", b"\x00\x53\x72\xc1\x05\x02", DATA[:-1]])
def test_what_cannot_be_read_is_not_annotated(payload: bytes) -> None:
    assert with_annotations(payload, {"x": 1}) == payload


def test_to() -> None:
    assert read_to(Header(ttl=1).encode() + Properties(message_id=1, to="q").encode() + DATA) == "q"
    assert read_to(Properties(message_id=1).encode() + DATA) is None
    assert read_to(DATA) is None
    with pytest.raises(DecodeError):
        read_to(b"garbage")


def test_a_view_reads_what_is_in_a_message() -> None:
    application = bytearray()
    append_section_header(application, 0x74)
    append_value(application, {"k": 1})
    payload = Properties(subject="s").encode() + bytes(application) + DATA + DATA
    message = view(payload)
    assert message.body == b"hellohello"
    assert message.properties == Properties(subject="s")
    assert message.application_properties == {"k": 1}
    assert message.annotations == {}
    assert view(b"").body is None
    assert view(b"").properties is None
    assert view(b"\x00\x53\x77\xa1\x02hi").body == "hi"
    assert view(b"\x00\x53\x76\x45\x00\x53\x76\xc0\x03\x01\x54\x01").body == [[], [1]]
