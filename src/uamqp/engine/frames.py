"""Frames: the header (section 2.3), and the two performatives of the data path, transfer and disposition.

These two are read and written here without an object per frame; every other performative goes through its class in
`uamqp.codec`. Offsets into the chunk are checked once per item; whatever is out of the ordinary falls back to the
generic decoder, which has the messages for it.
"""

from __future__ import annotations

from struct import Struct

from ..codec import ACCEPTED, Composite, DecodeError, Disposition, EncodeError, Transfer, decode_composite
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
    """Return what is wrong with a frame of `size` bytes: it is less than a header, or over the limit."""
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
        LocalProtocolError: it can't be encoded; `out` is as it was.
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


def append_transfer_frame(out: bytearray, channel: int, fields: bytes, count: int, payload: bytes | memoryview) -> None:
    """Append a transfer frame whose `count` encoded fields are given."""
    size = len(fields) + 1
    out += _HEADER.pack(14 + len(fields) + len(payload), 2, FRAME_AMQP, channel)
    out += _TRANSFER_LIST
    out.append(size)
    out.append(count)
    out += fields
    out += payload


def transfer_fields(handle: bytes, delivery_id: int, tag: bytes, message_format: int, settled: bool) -> bytes:
    """Return the first five fields of a transfer: handle to settled.

    Args:
        handle: the link's handle, already encoded.
    """
    return b"".join(
        (
            handle,
            b"\x70",
            _UINT.pack(delivery_id),
            b"\xa0",
            bytes((len(tag),)),
            tag,
            b"\x43" if message_format == 0 else uint_bytes(message_format),
            b"\x41" if settled else b"\x42",
        )
    )


def continuation_fields(handle: bytes, more: bool) -> tuple[bytes, int]:
    """Return the fields, and their number, of a transfer that continues a delivery."""
    return (handle + _MORE, 6) if more else (handle, 1)


def append_disposition(
    out: bytearray, channel: int, receiver: bool, first: int, last: int, settled: bool, state: bytes
) -> None:
    """Append a disposition frame for the deliveries `first` to `last`.

    Args:
        receiver: True when we are the receiver of these deliveries.
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
        """Read the transfer that starts at `pos` (at its descriptor); return where its payload starts.

        Raises:
            DecodeError: it isn't a well-formed transfer.
        """
        if end - pos >= 12 and data[pos + 3] == 0xC0:
            stop = pos + 5 + data[pos + 4]
            if stop <= end and self._read_small(data, pos + 6, stop, data[pos + 5]):
                return stop
        return self._read_any(data, pos, end)

    def _read_small(self, data: bytes, pos: int, end: int, count: int) -> bool:
        """Read `count` fields in the encodings that are in common use; False if there is anything else."""
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
            self.delivery_id = (data[pos + 1] << 24) | (data[pos + 2] << 16) | (data[pos + 3] << 8) | data[pos + 4]
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
                self.delivery_tag = data[pos + 2 : stop]
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
        transfer, payload = decode_composite(data, pos, end)
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


def read_disposition(data: bytes, pos: int, end: int) -> Disposition:
    """Read the disposition at `pos` (at its descriptor).

    The form that acknowledges a range (five fields, accepted, uints of 1 or 4 bytes) is read here; anything else goes
    through the generic decoder.

    Raises:
        DecodeError: it isn't a well-formed disposition.
    """
    if end - pos >= 14 and data[pos + 3] == 0xC0 and data[pos + 5] == 5 and data[end - 4 : end] == b"\x00\x53\x24\x45":
        role, first_code = data[pos + 6], data[pos + 7]
        at = pos + 8
        first = last = -1
        if first_code == 0x70 and end - at >= 4:
            first = _UINT.unpack_from(data, at)[0]
            at += 4
        elif first_code == 0x52:
            first = data[at]
            at += 1
        elif first_code == 0x43:
            first = 0
        last_code = data[at]
        if last_code == 0x70 and end - at >= 5:
            last = _UINT.unpack_from(data, at + 1)[0]
            at += 5
        elif last_code == 0x52:
            last = data[at + 1]
            at += 2
        elif last_code == 0x43:
            last = 0
            at += 1
        if first >= 0 and last >= 0 and at + 5 == end and data[at] in (0x41, 0x42) and role in (0x41, 0x42):
            return Disposition(role == 0x41, first, last, data[at] == 0x41, ACCEPTED)
    disposition, _ = decode_composite(data, pos, end)
    if not isinstance(disposition, Disposition):
        raise DecodeError(f"expected a disposition, got {disposition.NAME}")
    return disposition
