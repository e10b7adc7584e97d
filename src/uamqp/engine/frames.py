"""Frames: the header (section 2.3), and the two performatives of the data path, transfer and disposition.

These two are read and written here without an object per frame; every other performative goes through its class in
`uamqp.codec`. Offsets into the chunk are checked once per item; anything unusual falls back to the generic decoder,
which has the error messages for it.
"""

from __future__ import annotations

from struct import Struct

from ..codec import (
    ACCEPTED,
    ROLE_RECEIVER,
    Composite,
    DecodeError,
    Disposition,
    EncodeError,
    Transfer,
    decode_composite,
)
from ..codec.decode import u32
from . import conditions
from .errors import LocalProtocolError, PeerError

FRAME_AMQP = 0
FRAME_SASL = 1
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

_HEADER = Struct(">IBBH")
_UINT = Struct(">I")
_DISPOSITION = Struct(">IBBH4sBBBBIBIB")

_TRANSFER_LIST = b"\x00\x53\x14\xc0"
_DISPOSITION_LIST = b"\x00\x53\x15\xc0"
_MORE = b"\x40\x40\x40\x40\x41"


def frame_size_error(size: int, limit: int) -> PeerError:
    """Return the error for a frame of `size` bytes, which is less than a header or over the limit."""
    if size < 8:
        return PeerError(conditions.FRAMING_ERROR, f"a frame of {size} bytes is smaller than a frame header")
    return PeerError(conditions.FRAMING_ERROR, f"a frame of {size} bytes is over the limit of {limit} bytes")


def uint_bytes(value: int) -> bytes:
    """Return `value` encoded as an AMQP uint."""
    if value == 0:
        return b"\x43"
    if value <= 255:
        return bytes((0x52, value))
    return b"\x70" + _UINT.pack(value)


def append_frame(
    out: bytearray, channel: int, performative: Composite, payload: bytes = b"", frame_type: int = FRAME_AMQP
) -> None:
    """Append one whole frame to `out`.

    Raises:
        LocalProtocolError: it can't be encoded; `out` is unchanged.
    """
    start = len(out)
    out += b"\x00\x00\x00\x00\x00\x00\x00\x00"
    try:
        performative.append_to(out)
    except EncodeError as error:
        del out[start:]
        raise LocalProtocolError(f"{performative.NAME} can't be encoded: {error}") from error
    out += payload
    _HEADER.pack_into(out, start, len(out) - start, 2, frame_type, channel)


def append_uint32(out: bytearray, value: int) -> None:
    """Append the four bytes of `value`."""
    out.append(value >> 24 & 0xFF)
    out.append(value >> 16 & 0xFF)
    out.append(value >> 8 & 0xFF)
    out.append(value & 0xFF)


def _put_uint32(chars: bytearray, at: int, value: int) -> None:
    """Write the four bytes of `value` at `at`, where there must be room for them."""
    chars[at] = value >> 24 & 0xFF
    chars[at + 1] = value >> 16 & 0xFF
    chars[at + 2] = value >> 8 & 0xFF
    chars[at + 3] = value & 0xFF


def transfer_prefix(channel: int) -> bytes:
    """Return the part of a channel's transfer frames between the frame's size and the size of the list."""
    return bytes((2, FRAME_AMQP, channel >> 8, channel & 0xFF)) + _TRANSFER_LIST


def transfer_size(handle: bytes, tag: bytes, message_format: bytes) -> int:
    """Return the size of a delivery's first frame without its payload and without the flag that more follows."""
    return 22 + len(handle) + len(tag) + len(message_format)


def append_transfer(
    out: bytearray,
    prefix: bytes,
    handle: bytes,
    delivery_id: int,
    tag: bytes,
    message_format: bytes,
    settled: bool,
    more: bool,
    payload: bytes,
) -> None:
    """Append the first frame of a delivery.

    Args:
        prefix: see `transfer_prefix`.
        handle: encoded.
        message_format: encoded.
        more: whether the payload continues in other frames.
    """
    size = transfer_size(handle, tag, message_format) + (1 if more else 0)
    append_uint32(out, size + len(payload))
    out += prefix
    out.append(size - 13)
    out.append(6 if more else 5)
    out += handle
    out.append(0x70)
    append_uint32(out, delivery_id)
    out.append(0xA0)
    out.append(len(tag))
    out += tag
    out += message_format
    out.append(0x41 if settled else 0x42)
    if more:
        out.append(0x41)
    out += payload


class TransferHead:
    """The part before the payload in a link's usual transfers: a single frame, a counter as tag, format 0.

    It is made once, and each transfer fills in what differs.

    Attributes:
        size: its length in bytes.
    """

    __slots__ = ("_bytes", "_delivery_id", "size")

    def __init__(self, prefix: bytes, handle: bytes) -> None:
        head = bytearray()
        append_transfer(head, prefix, handle, 0, b"\x00\x00\x00\x00", uint_bytes(0), False, False, b"")
        self._bytes = head
        self._delivery_id = 14 + len(handle) + 1  # its position
        self.size = len(head)

    def append(self, out: bytearray, delivery_id: int, tag: int, settled: bool, payload: bytes) -> None:
        """Append a transfer; `tag` is the number that makes a tag of four bytes."""
        head = self._bytes
        at = self._delivery_id
        if not 4 <= at <= len(head) - 10:
            raise IndexError("this head isn't one of a transfer")
        chars = head  # char *: `at` has room for ten bytes, as was checked above
        _put_uint32(chars, 0, self.size + len(payload))
        _put_uint32(chars, at, delivery_id)
        _put_uint32(chars, at + 6, tag)
        head[self.size - 1] = 0x41 if settled else 0x42
        out += head
        out += payload


def append_continuation(out: bytearray, prefix: bytes, handle: bytes, more: bool, payload: memoryview) -> None:
    """Append a frame that continues a delivery; see `append_transfer` for the arguments."""
    fields = handle + _MORE if more else handle
    append_uint32(out, 14 + len(fields) + len(payload))
    out += prefix
    out.append(len(fields) + 1)
    out.append(6 if more else 1)
    out += fields
    out += payload


def continuation_size(handle: bytes, more: bool) -> int:
    """Return the size of a frame that continues a delivery, without its payload."""
    return 14 + len(handle) + (len(_MORE) if more else 0)


def append_disposition(
    out: bytearray, channel: int, receiver: bool, first: int, last: int, settled: bool, state: bytes
) -> None:
    """Append a disposition frame for the deliveries `first` to `last`.

    Args:
        receiver: whether we are the receiver of these deliveries.
        state: the encoded delivery state; empty for none.
    """
    if len(state) > 200:
        _append_long_disposition(out, channel, receiver, first, last, settled, state)
        return
    fields = 13 + len(state)
    out += _DISPOSITION.pack(
        13 + fields,
        2,
        FRAME_AMQP,
        channel,
        _DISPOSITION_LIST,
        fields,
        5 if state else 4,
        0x41 if receiver else 0x42,
        0x70,
        first,
        0x70,
        last,
        0x41 if settled else 0x42,
    )
    out += state


def _append_long_disposition(
    out: bytearray, channel: int, receiver: bool, first: int, last: int, settled: bool, state: bytes
) -> None:
    fields = b"".join(
        (
            b"\x41" if receiver else b"\x42",
            uint_bytes(first),
            uint_bytes(last),
            b"\x41" if settled else b"\x42",
            state,
        )
    )
    out += _HEADER.pack(20 + len(fields), 2, FRAME_AMQP, channel)
    out += b"\x00\x53\x15\xd0" + _UINT.pack(len(fields) + 4) + _UINT.pack(5)
    out += fields


class TransferReader:
    """Reads transfers, one at a time, into its own attributes: the fields of section 2.7.5.

    One reader serves a whole connection; `None` stands for an absent delivery-id, tag or message-format.
    """

    __slots__ = (
        "aborted",
        "delivery_id",
        "delivery_tag",
        "handle",
        "message_format",
        "more",
        "rcv_settle_mode",
        "resume",
        "settled",
        "state",
    )

    def __init__(self) -> None:
        self.handle = 0
        self.delivery_id: int | None = None
        self.delivery_tag: bytes | None = None
        self.message_format: int | None = None
        self.settled = False
        self.more = False
        self.rcv_settle_mode: int | None = None
        self.state: object | None = None
        self.resume = False
        self.aborted = False

    def read(self, data: bytes, pos: int, end: int) -> int:
        """Read the transfer that starts at `pos` (at its descriptor), and return where its payload starts.

        Raises:
            DecodeError: the transfer is malformed.
        """
        if end - pos >= 12 and data[pos + 3] == 0xC0:
            stop = pos + 5 + data[pos + 4]
            if stop <= end and self._read_small(data, pos + 6, stop, data[pos + 5]):
                return stop
        return self._read_any(data, pos, end)

    def _read_small(self, data: bytes, pos: int, end: int, count: int) -> bool:
        """Read `count` fields in the usual encodings; return False if there are any others."""
        if count < 1 or count > 6 or end - pos < count:
            return False
        code = data[pos]
        if code == 0x43:
            self.handle = 0
            pos += 1
        elif code == 0x52 and end - pos > 1:
            self.handle = data[pos + 1]
            pos += 2
        else:
            return False
        self.delivery_id = None
        self.delivery_tag = None
        self.message_format = None
        self.settled = self.more = self.resume = self.aborted = False
        self.rcv_settle_mode = None
        self.state = None
        if count == 1:
            return pos == end
        if pos >= end:
            return False
        code = data[pos]
        if code == 0x70 and end - pos > 4:
            self.delivery_id = u32(data, pos + 1)
            pos += 5
        elif code == 0x52 and end - pos > 1:
            self.delivery_id = data[pos + 1]
            pos += 2
        elif code == 0x43:
            self.delivery_id = 0
            pos += 1
        elif code == 0x40:
            pos += 1
        else:
            return False
        return self._read_small_rest(data, pos, end, count)

    def _read_small_rest(self, data: bytes, pos: int, end: int, count: int) -> bool:
        if count > 2:
            if end - pos > 1 and data[pos] == 0xA0:
                stop = pos + 2 + data[pos + 1]
                if stop > end:
                    return False
                chars = data  # char *: `stop` is within the frame, as was checked above
                self.delivery_tag = chars[pos + 2 : stop]
                pos = stop
            elif pos < end and data[pos] == 0x40:
                pos += 1
            else:
                return False
        if count > 3:
            if pos >= end:
                return False
            code = data[pos]
            if code == 0x43:
                self.message_format = 0
                pos += 1
            elif code == 0x40:
                pos += 1
            elif code == 0x52 and end - pos > 1:
                self.message_format = data[pos + 1]
                pos += 2
            else:
                return False
        if count > 4:
            if pos >= end:
                return False
            code = data[pos]
            if code == 0x41:
                self.settled = True
            elif code != 0x42 and code != 0x40:
                return False
            pos += 1
        if count > 5:
            if pos >= end:
                return False
            code = data[pos]
            if code == 0x41:
                self.more = True
            elif code != 0x42 and code != 0x40:
                return False
            pos += 1
        return pos == end

    def _read_any(self, data: bytes, pos: int, end: int) -> int:
        transfer, payload = decode_composite(data, pos, end, True)
        if not isinstance(transfer, Transfer):
            raise DecodeError(f"expected a transfer, got {transfer.NAME}")
        self.handle = transfer.handle
        self.delivery_id = transfer.delivery_id
        self.delivery_tag = transfer.delivery_tag
        self.message_format = transfer.message_format
        self.settled = bool(transfer.settled)
        self.more = bool(transfer.more)
        self.rcv_settle_mode = transfer.rcv_settle_mode
        self.state = transfer.state
        self.resume = bool(transfer.resume)
        self.aborted = bool(transfer.aborted)
        return payload


class DispositionReader:
    """Reads dispositions, one at a time, into its own attributes: the fields of section 2.7.6.

    One reader serves a whole connection. `receiver` is True if the peer is the receiver of the deliveries; `last`
    equals `first` if the frame leaves it out.
    """

    __slots__ = ("first", "last", "receiver", "settled", "state")

    def __init__(self) -> None:
        self.receiver = False
        self.first = 0
        self.last = 0
        self.settled = False
        self.state: object | None = None

    def read(self, data: bytes, pos: int, end: int) -> None:
        """Read the disposition at `pos` (at its descriptor).

        Raises:
            DecodeError: the disposition is malformed.
        """
        if not self._read_accepted(data, pos, end):
            disposition, _ = decode_composite(data, pos, end, True)
            if not isinstance(disposition, Disposition):
                raise DecodeError(f"expected a disposition, got {disposition.NAME}")
            self.receiver = disposition.role == ROLE_RECEIVER
            self.first = disposition.first
            self.last = disposition.first if disposition.last is None else disposition.last
            self.settled = bool(disposition.settled)
            self.state = disposition.state

    def _read_accepted(self, data: bytes, pos: int, end: int) -> bool:
        """Read the form that accepts one or a range: five fields, uints of 0, 1 or 4 bytes; return False for others."""
        if end - pos < 14 or data[pos + 3] != 0xC0 or data[pos + 4] != end - pos - 5 or data[pos + 5] != 5:
            return False
        if data[end - 4] != 0x00 or data[end - 3] != 0x53 or data[end - 2] != 0x24 or data[end - 1] != 0x45:
            return False
        role, code = data[pos + 6], data[pos + 7]
        at = pos + 8
        if code == 0x70 and end - at >= 9:
            self.first = u32(data, at)
            at += 4
        elif code == 0x52:
            self.first = data[at]
            at += 1
        elif code == 0x43:
            self.first = 0
        else:
            return False
        code = data[at]
        if code == 0x70 and end - at >= 9:
            self.last = u32(data, at + 1)
            at += 5
        elif code == 0x52:
            self.last = data[at + 1]
            at += 2
        elif code == 0x43:
            self.last = 0
            at += 1
        elif code == 0x40:
            self.last = self.first
            at += 1
        else:
            return False
        settled = data[at]
        if at + 5 != end or (settled != 0x41 and settled != 0x42) or (role != 0x41 and role != 0x42):
            return False
        self.receiver = role == 0x41
        self.settled = settled == 0x41
        self.state = ACCEPTED
        return True
