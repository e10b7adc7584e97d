"""Faults that a test can make the embedded broker have.

`Faults` are the knobs; `WireFaults` applies those that concern the bytes of one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..codec import ROLE_SENDER, Accepted, Disposition, Error, Modified, Rejected, Released, Symbol, decode_composite

Outcome = Accepted | Rejected | Released | Modified
OutcomeRule = Callable[[str, bytes], Outcome | None]
AttachRule = Callable[[str | None, bool], Error | None]

PERFORMATIVES = {
    "open": 0x10,
    "begin": 0x11,
    "attach": 0x12,
    "flow": 0x13,
    "transfer": 0x14,
    "disposition": 0x15,
    "detach": 0x16,
    "end": 0x17,
    "close": 0x18,
}
SILENT = frozenset({*PERFORMATIVES, "header", "sasl", "heartbeat"})
_OPEN, _BEGIN, _ATTACH, _FLOW = 0x10, 0x11, 0x12, 0x13
_DISPOSITION, _DETACH, _END, _CLOSE = 0x15, 0x16, 0x17, 0x18


def error(condition: str, description: str | None = None, info: dict[str, Any] | None = None) -> Error:
    """Return an AMQP error, with which to refuse something (section 2.8.14).

    Args:
        condition: such as "amqp:not-found".
        description: the reason in words.
        info: further information, by symbol.
    """
    return Error(Symbol(condition), description, {Symbol(key): value for key, value in info.items()} if info else None)


def connection_redirect(host: str, port: int, hostname: str | None = None) -> Error:
    """Return the error that sends a client to another broker (section 2.8.16); for `Faults.refuse_open`.

    Args:
        host: where to connect to.
        port: where to connect to.
        hostname: what to put into open.hostname there; the host by default.
    """
    info = {"hostname": hostname or host, "network-host": host, "port": port}
    return error("amqp:connection:redirect", f"go to {host}:{port}", info)


def link_redirect(host: str, port: int, address: str, hostname: str | None = None) -> Error:
    """Return the error that sends a link to another broker (section 2.8.18); for `Faults.refuse_attach`."""
    info = {"hostname": hostname or host, "network-host": host, "port": port, "address": address}
    return error("amqp:link:redirect", f"go to {host}:{port}", info)


class Faults:
    """The broker's knobs. Set them at any time, from any thread; they take effect at once, until `clear`.

    Frames and bytes are counted from the start of the connection, or from when a knob for cutting was turned. When
    their knob is turned back, withheld credit and outcomes are sent after all.

    Attributes:
        delay: seconds by which everything that the broker sends is delayed.
        write_size: bytes written at a time, each in a turn of its own; None for no limit.
        cut_after_bytes_in, cut_after_bytes_out: bytes received or sent on a connection after which it is cut. The
            reactions to them are still sent. None means never.
        cut_after_frames_in, cut_after_frames_out: likewise frames: AMQP and SASL frames, without protocol headers and
            empty frames.
        cut_times: how many connections are cut in all; None for any number.
        refuse_connections: whether to close every new socket at once.
        refuse_sasl: SASL outcome code with which to refuse every client: 1 auth, 2 sys, 3 sys-perm, 4 sys-temp; None
            refuses none.
        refuse_open: answer every open with an open and a close with this error.
        refuse_begin: answer every begin with a begin and an end with this error.
        refuse_attach: refuse every attach with this error; or a function of the address (None for the anonymous relay
            or a dynamic node) and whether the client wants to send, which returns the error or None.
        withhold_credit: whether to give senders no more credit.
        withhold_outcomes: whether to keep messages as usual without saying so.
        withhold_settlement: whether to settle nothing: an accepted message gets its outcome unsettled, and a client
            that waits for our settlement after its own outcome (rcv-settle-mode second) waits forever.
        outcome: what senders are told instead of accepted, without keeping the message; or a function of the address
            and the encoded message, which returns an outcome, or None for the usual one.
        silent: what is never sent: performatives by name ("open" to "close"), "sasl" (its frames), "header" (anything
            at all), "heartbeat" (empty frames). Without an answer to its close, a client's socket stays open.
    """

    __slots__ = (
        "_changed",
        "_cuts",
        "cut_after_bytes_in",
        "cut_after_bytes_out",
        "cut_after_frames_in",
        "cut_after_frames_out",
        "cut_times",
        "delay",
        "outcome",
        "refuse_attach",
        "refuse_begin",
        "refuse_connections",
        "refuse_open",
        "refuse_sasl",
        "silent",
        "withhold_credit",
        "withhold_outcomes",
        "withhold_settlement",
        "write_size",
    )

    _changed: Callable[[], None] | None
    _cuts: int
    delay: float
    write_size: int | None
    cut_after_bytes_in: int | None
    cut_after_bytes_out: int | None
    cut_after_frames_in: int | None
    cut_after_frames_out: int | None
    cut_times: int | None
    refuse_connections: bool
    refuse_sasl: int | None
    refuse_open: Error | None
    refuse_begin: Error | None
    refuse_attach: Error | AttachRule | None
    withhold_credit: bool
    withhold_outcomes: bool
    withhold_settlement: bool
    outcome: Outcome | OutcomeRule | None
    silent: Iterable[str]

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        object.__setattr__(self, "_changed", changed)
        object.__setattr__(self, "_cuts", 0)
        for name in _CHECKS:
            object.__setattr__(self, name, _DEFAULTS.get(name))

    def clear(self) -> None:
        """Turn every knob back."""
        for name in _CHECKS:
            object.__setattr__(self, name, _DEFAULTS.get(name))
        if self._changed is not None:
            self._changed()

    def __setattr__(self, name: str, value: Any) -> None:
        check = _CHECKS.get(name)
        if check is None:
            raise AttributeError(f"there is no knob {name!r}; there are: {', '.join(sorted(_CHECKS))}")
        object.__setattr__(self, name, check(name, value))
        if name.startswith("cut_after"):
            object.__setattr__(self, "_cuts", self._cuts + 1)
        if self._changed is not None:
            self._changed()

    def __repr__(self) -> str:
        turned = [name for name in _CHECKS if getattr(self, name) != _DEFAULTS.get(name)]
        return f"<Faults {', '.join(f'{name}={getattr(self, name)!r}' for name in turned) or 'none'}>"

    @property
    def cuts(self) -> int:
        """A number that changes whenever a knob for cutting is turned."""
        return self._cuts

    @property
    def on_input(self) -> bool:
        """Whether any of the knobs for what a connection receives is turned."""
        return self.cut_after_bytes_in is not None or self.cut_after_frames_in is not None

    @property
    def on_output(self) -> bool:
        """Whether any of the knobs for what a connection sends is turned."""
        return (
            self.delay > 0
            or self.write_size is not None
            or bool(self.silent)
            or self.withhold_settlement
            or self.cut_after_bytes_out is not None
            or self.cut_after_frames_out is not None
        )


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return value


def _seconds(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value <= 3600:
        raise ValueError(f"{name} is a number of seconds from 0 to 3600, not {value!r}")
    return float(value)


def _count(name: str, value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(f"{name} is None or an integer of at least 0, not {value!r}")
    return value


def _size(name: str, value: Any) -> int | None:
    if value == 0:
        raise ValueError(f"{name} is None or an integer of at least 1, not 0")
    return _count(name, value)


def _code(name: str, value: Any) -> int | None:
    if value is not None and value not in {1, 2, 3, 4}:
        raise ValueError(f"{name} is None or one of 1, 2, 3, 4, not {value!r}")
    return value  # type: ignore[no-any-return]


def _error(name: str, value: Any) -> Error | None:
    if isinstance(value, str):
        return error(value)
    if value is not None and not isinstance(value, Error):
        raise TypeError(f"{name} is None, an Error or the name of a condition, not {value!r}")
    return value


def _error_or_rule(name: str, value: Any) -> Error | AttachRule | None:
    return value if callable(value) else _error(name, value)


def _outcome(name: str, value: Any) -> Outcome | OutcomeRule | None:
    if value is None or callable(value) or isinstance(value, (Accepted, Rejected, Released, Modified)):
        return value  # type: ignore[no-any-return]
    raise TypeError(f"{name} is None, Accepted, Rejected, Released, Modified or a function, not {value!r}")


def _names(name: str, value: Any) -> frozenset[str]:
    names = frozenset([value] if isinstance(value, str) else value)
    if unknown := names - SILENT:
        raise ValueError(f"{name} takes {', '.join(sorted(SILENT))}, not {', '.join(sorted(map(repr, unknown)))}")
    return names


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "delay": _seconds,
    "write_size": _size,
    "cut_after_bytes_in": _count,
    "cut_after_bytes_out": _count,
    "cut_after_frames_in": _count,
    "cut_after_frames_out": _count,
    "cut_times": _count,
    "refuse_connections": _flag,
    "refuse_sasl": _code,
    "refuse_open": _error,
    "refuse_begin": _error,
    "refuse_attach": _error_or_rule,
    "withhold_credit": _flag,
    "withhold_outcomes": _flag,
    "withhold_settlement": _flag,
    "outcome": _outcome,
    "silent": _names,
}
_DEFAULTS: dict[str, Any] = {
    "delay": 0.0,
    "refuse_connections": False,
    "withhold_credit": False,
    "withhold_outcomes": False,
    "withhold_settlement": False,
    "silent": frozenset(),
}


class FrameCounter:
    """Counts the frames that pass in one direction, wherever the data is split."""

    __slots__ = ("_head", "_left", "frames")

    def __init__(self) -> None:
        self.frames = 0
        self._head = b""  # the first bytes of a frame, up to eight
        self._left = 0  # how much of the frame is still to come

    def feed(self, data: bytes, limit: int | None) -> int:
        """Count the frames in more data.

        Args:
            data: the next data.
            limit: number of frames in all after which to stop; None for never.

        Returns:
            How many bytes of it are within the limit.
        """
        pos = 0
        while limit is None or self.frames < limit:
            if not self._left:
                take = min(8 - len(self._head), len(data) - pos)
                self._head += data[pos : pos + take]
                pos += take
                if len(self._head) < 8:
                    return len(data)
                head, self._head = self._head, b""
                if head[:4] == b"AMQP":
                    continue
                size = max(8, int.from_bytes(head[:4], "big"))
                self._left = size - 8
                if not self._left:
                    continue  # an empty frame
            take = min(self._left, len(data) - pos)
            pos += take
            self._left -= take
            if self._left:
                return len(data)
            self.frames += 1
        return pos


class WireFaults:
    """Applies the knobs for bytes to one connection.

    Counting starts with the connection, or when a knob for cutting is turned.
    """

    __slots__ = (
        "_bytes_in",
        "_bytes_out",
        "_cuts",
        "_faults",
        "_frames_in",
        "_frames_out",
        "_mute",
        "_mute_channels",
        "_mute_links",
    )

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._mute = False  # whether the open wasn't sent, so that nothing else can be
        self._mute_channels: set[int] = set()  # likewise the begin of a session
        self._mute_links: set[tuple[int, int]] = set()  # likewise an attach: channel and handle
        self._cuts = faults.cuts
        self._bytes_in = 0
        self._bytes_out = 0
        self._frames_in = FrameCounter()
        self._frames_out = FrameCounter()

    def incoming(self, data: bytes) -> bytes | None:
        """Return the part of the input that the broker sees before the connection is cut, or None without a cut."""
        faults = self._faults
        self._catch_up()
        keep, self._bytes_in, cut = _within(
            data, self._frames_in, faults.cut_after_frames_in, self._bytes_in, faults.cut_after_bytes_in
        )
        return data[:keep] if cut and self._take_cut() else None

    def outgoing(self, data: bytes) -> tuple[bytes, bool]:
        """Return what is sent of the frames from the engine, and whether to cut the connection after that."""
        faults = self._faults
        self._catch_up()
        if faults.silent or faults.withhold_settlement or self.mute:
            data = b"".join([self._changed(frame) for frame in split_frames(data)])
        keep, self._bytes_out, cut = _within(
            data, self._frames_out, faults.cut_after_frames_out, self._bytes_out, faults.cut_after_bytes_out
        )
        return (data[:keep], True) if cut and self._take_cut() else (data, False)

    def _catch_up(self) -> None:
        if self._cuts != self._faults.cuts:
            self._cuts = self._faults.cuts
            self._bytes_in = self._bytes_out = self._frames_in.frames = self._frames_out.frames = 0

    def _take_cut(self) -> bool:
        times = self._faults.cut_times
        if times is None:
            return True
        if times == 0:
            return False
        self._faults.cut_times = times - 1
        return True

    @property
    def mute(self) -> bool:
        """Whether something must not be sent because what should have preceded it wasn't."""
        return self._mute or bool(self._mute_channels) or bool(self._mute_links)

    def _changed(self, frame: bytes) -> bytes:
        """Return the frame as it is sent; empty if it isn't."""
        faults = self._faults
        silent = faults.silent
        if "header" in silent or self._mute:
            return b""
        if frame[:4] == b"AMQP":
            return frame
        start = frame[4] * 4
        if len(frame) <= start:
            return b"" if "heartbeat" in silent else frame
        if frame[5] == 1:
            return b"" if "sasl" in silent else frame
        code = frame[start + 2]
        dropped = any(PERFORMATIVES[name] == code for name in silent if name in PERFORMATIVES)
        if self._is_unheard_of(frame, start, code, dropped) or dropped:
            return b""
        return _unsettled(frame, start) if code == _DISPOSITION and faults.withhold_settlement else frame

    def _is_unheard_of(self, frame: bytes, start: int, code: int, dropped: bool) -> bool:
        """Keep track of what the peer doesn't know of; return whether the frame belongs to such a thing."""
        channel = int.from_bytes(frame[6:8], "big")
        if dropped and code == _OPEN:
            self._mute = True
        elif dropped and code == _BEGIN:
            self._mute_channels.add(channel)
        elif channel in self._mute_channels:
            if code == _END:
                self._mute_channels.discard(channel)
            return code not in {_OPEN, _CLOSE}
        elif (dropped and code == _ATTACH) or (self._mute_links and code in {_FLOW, _DETACH}):
            performative, _ = decode_composite(frame, start)
            link = (channel, getattr(performative, "handle", -1))
            if code == _ATTACH:
                self._mute_links.add(link)
            elif link in self._mute_links:
                if code == _DETACH:
                    self._mute_links.discard(link)
                return True
        return False


def _within(
    data: bytes, counter: FrameCounter, frame_limit: int | None, count: int, limit: int | None
) -> tuple[int, int, bool]:
    """Return how much of the data is within the limits, the number of bytes in all, and whether that was the end."""
    keep = counter.feed(data, frame_limit)
    cut = frame_limit is not None and counter.frames >= frame_limit
    total = count + len(data)
    if limit is not None and total >= limit:
        keep = min(keep, max(0, limit - count))
        cut = True
    return keep, total, cut


def _unsettled(frame: bytes, start: int) -> bytes:
    """Return the disposition without its settlement; empty if nothing is left of it."""
    disposition, _ = decode_composite(frame, start)
    if not isinstance(disposition, Disposition) or not disposition.settled:
        return frame
    if disposition.role == ROLE_SENDER:
        return b""
    disposition.settled = False
    body = disposition.encode()
    return (start + len(body)).to_bytes(4, "big") + frame[4:start] + body


def split_frames(data: bytes) -> list[bytes]:
    """Return the protocol headers and frames that the data consists of, which must be complete."""
    found = []
    pos = 0
    while pos < len(data):
        size = 8 if data[pos : pos + 4] == b"AMQP" else max(8, int.from_bytes(data[pos : pos + 4], "big"))
        found.append(data[pos : pos + size])
        pos += size
    return found
