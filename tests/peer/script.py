"""A scripted AMQP peer: expectations and answers, frame by frame. It imports nothing of the library.

    peer.expect_header("AMQP")
    peer.send_header("AMQP")
    opened = peer.expect("open", container_id="me", idle_time_out=ABSENT)
    peer.send("open", container_id="peer", max_frame_size=4096)

`Peer` works over a `ByteSource`: `MemoryPeer` (here) for the engine, which has no I/O, and `ScriptedServer`
(in `server`) for the blocking API. What does not match raises `ScriptFailure`, with what was expected, what
came and what went before. A frame that came and was never expected fails in `finish()`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from .codec import Composite, WireError, encode_composite
from .definitions import COMPOSITES, SASL_BODIES
from .frames import EMPTY_FRAME, HEADERS, Frame, decode_frame, frame
from .track import RECEIVER, SENDER, Tracker

__all__ = ["ABSENT", "ANY", "RECEIVER", "SENDER", "ByteSource", "MemoryPeer", "Peer", "ScriptFailure"]


class _Marker:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


ANY = _Marker("ANY")
"""Matches whatever is there, but something must be."""
ABSENT = _Marker("ABSENT")
"""Matches a field that is absent or null. In `send`: leaves a field out that would be filled in."""


class ScriptFailure(AssertionError):
    """What came is not what the script expected."""


class ByteSource(Protocol):
    """Where a peer's bytes come from and go to."""

    def read(self, timeout: float) -> bytes | None:
        """Some bytes; b"" once the other side has closed; None if nothing came in time."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def matches(expected: Any, actual: Any, default: Any = None) -> bool:
    """Whether a field's value is what was expected; `default` stands for an absent value."""
    if expected is ANY:
        return actual is not None
    if expected is ABSENT:
        return actual is None
    if actual is None:
        actual = default
    if callable(expected):
        return bool(expected(actual))
    if isinstance(actual, Composite) and isinstance(expected, str):
        return actual.name == expected
    if isinstance(actual, Composite) and isinstance(expected, dict):
        return not differences(actual, expected)
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)


def differences(composite: Composite, expected: dict[str, Any]) -> list[str]:
    """A line for each field that is not as expected."""
    definition = COMPOSITES[composite.name]
    unknown = sorted(set(expected) - set(definition.by_name))
    if unknown:
        raise ValueError(f"{composite.name} has no field {', '.join(unknown)}")
    return [
        f"{name}: expected {value!r}, came {composite.fields[name]!r}"
        for name, value in expected.items()
        if not matches(value, composite.fields[name], definition.by_name[name].default)
    ]


class Peer:
    """One end of a connection that follows a script.

    timeout: seconds that any wait may take. split: write in pieces of so many bytes. max_frame_size: the
    largest frame that may come; 512 until this peer has sent its open, then what that said.
    strict: whether the tracker's findings (see `track`) fail the script; if not, they are kept in `findings`.
    """

    def __init__(self, byte_source: ByteSource, timeout: float = 10.0) -> None:
        self.byte_source = byte_source
        self.timeout = timeout
        self.split: int | None = None
        self.max_frame_size = 512
        self.strict = True
        self.findings: list[str] = []
        self.tracker = Tracker()
        self.history: list[str] = []
        self.ignored: list[Frame] = []
        self._ignored_names: set[str] = set()
        self._buffer = bytearray()
        self._eof = False
        self._closed = False

    @property
    def saw_the_end(self) -> bool:
        """The other side has closed the stream."""
        return self._eof

    # -------------------------------------------------------- what comes

    def expect_header(self, kind: str) -> None:
        """The next 8 bytes are the protocol header "AMQP", "SASL" or "TLS"."""
        if not self._fill(8):
            self.fail(f"the {kind} header", self._what_is_there())
        raw = self._cut(8)
        if raw != HEADERS[kind]:
            self.fail(f"the {kind} header {HEADERS[kind].hex()}", f"{raw.hex()} ({raw!r})")
        self.history.append(f"<- {kind} header")

    def read_frame(self, expected: str = "a frame") -> Frame:
        """The next frame, whatever it is, unless it is of a kind to ignore."""
        came = self._next(self.timeout, expected)
        if came is None:
            self.fail(expected, self._what_is_there())
        return came

    def expect(self, name: str, /, *, channel: Any = None, payload: bytes | None = None, **fields: Any) -> Frame:
        """The next frame is `name`; the fields given match, and the payload and the channel if given.

        A field matches by ANY, ABSENT, a callable, a dict (some fields of a composite), a str (a composite's
        name), or by equality, where an absent field with a default equals that default.
        """
        asked = dict(fields) if payload is None else {**fields, "payload": payload}
        text = f"{name}({', '.join(f'{key}={value!r}' for key, value in asked.items())})"
        if channel is not None:
            text = f"[{channel}] {text}"
        came = self.read_frame(name)
        if came.name != name:
            self.fail(text, repr(came))
        wrong = differences(came.body, fields) if came.body is not None else []
        if channel is not None and not matches(channel, came.channel):
            wrong.append(f"channel: expected {channel!r}, came {came.channel}")
        if payload is not None and came.payload != payload:
            wrong.append(f"payload: expected {_short(payload)}, came {_short(came.payload)}")
        if wrong:
            self.fail(text, repr(came), wrong)
        return came

    def expect_empty_frame(self) -> Frame:
        """The next frame is an empty one, as heartbeats are."""
        return self.expect("empty")

    def expect_nothing(self, seconds: float = 0.2) -> None:
        """Nothing is there; over a socket, nothing comes for so many seconds. Ignored frames don't count."""
        came = self._next(seconds, "nothing")
        if came is not None:
            self.fail("nothing", repr(came))

    def expect_eof(self) -> None:
        """The other side closes the connection, and sends nothing before that."""
        came = self._next(self.timeout, "the end of the stream")
        if came is not None or not self._eof:
            self.fail("the end of the stream", "nothing" if came is None else repr(came))
        self.history.append("<- end of stream")

    def ignore(self, *names: str) -> None:
        """From now on, skip frames of these names ("empty", "flow", ...) where they aren't expected."""
        self._ignored_names |= set(names)

    def finish(self) -> None:
        """The end of the script: a frame that is there and was not expected fails."""
        came = self._next(0.0, "nothing more")
        if came is not None:
            self.fail("nothing more", repr(came))

    # -------------------------------------------------------- what goes

    def send_header(self, kind: str) -> None:
        self.history.append(f"-> {kind} header")
        self._write(HEADERS[kind])

    def send(
        self,
        name: str,
        /,
        *,
        channel: int = 0,
        payload: bytes = b"",
        padded: bool = False,
        symbolic: bool = False,
        **fields: Any,
    ) -> None:
        """Sends a frame. begin and flow get their session's numbers where they are not given."""
        filled = {**self.tracker.defaults(name, channel), **fields}
        body = Composite(name, {key: None if value is ABSENT else value for key, value in filled.items()})
        body.padded, body.symbolic = padded, symbolic
        raw = frame(encode_composite(body), payload, channel=channel, type_=int(name in SASL_BODIES))
        sent = Frame(int(name in SASL_BODIES), channel, body, payload, raw)
        self.tracker.goes(sent)
        if name == "open":
            self.max_frame_size = int(body.get("max_frame_size"))
        self.history.append(f"-> {sent}")
        self._write(raw)

    def send_empty_frame(self) -> None:
        self.send_raw(EMPTY_FRAME)

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are; the tracker does not see them."""
        self.history.append(f"-> raw {_short(data)}")
        self._write(data)

    def send_delivery(
        self,
        payload: bytes,
        *,
        channel: int = 0,
        handle: int = 0,
        tag: bytes | None = None,
        delivery_id: int | None = None,
        frame_payload: int | None = None,
        **fields: Any,
    ) -> int:
        """Sends a whole delivery, in several transfers of `frame_payload` bytes if given; returns its id."""
        number = self.tracker.next_delivery_id(channel) if delivery_id is None else delivery_id
        size = frame_payload or max(len(payload), 1)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for index, piece in enumerate(pieces):
            first = {
                "delivery_id": number,
                "delivery_tag": str(number).encode() if tag is None else tag,
                "message_format": 0,
            }
            more = {"more": True} if index + 1 < len(pieces) else {}
            every = {**(first if index == 0 else {}), **more, **fields}
            self.send("transfer", channel=channel, payload=piece, handle=handle, **every)
        return number

    def close_socket(self) -> None:
        """Closes the connection, politely for TCP, at once for AMQP."""
        if not self._closed:
            self._closed = True
            self.history.append("-> end of stream")
            self.byte_source.close()

    # -------------------------------------------------------- the usual sequences, as the accepting side

    def accept_sasl(
        self,
        mechanisms: Iterable[str] = ("ANONYMOUS",),
        *,
        expect_mechanism: Any = ANY,
        expect_response: Any = None,
        code: int = 0,
    ) -> Frame:
        """The SASL exchange of a server with no challenges; returns the client's sasl-init."""
        self.expect_header("SASL")
        self.send_header("SASL")
        self.send("sasl_mechanisms", sasl_server_mechanisms=list(mechanisms))
        wanted = {"mechanism": expect_mechanism}
        if expect_response is not None:
            wanted["initial_response"] = expect_response
        init = self.expect("sasl_init", **wanted)
        self.send("sasl_outcome", code=code)
        return init

    def accept_open(self, expect: dict[str, Any] | None = None, **answer: Any) -> Frame:
        """AMQP headers and opens; `answer` are fields of this peer's open. Returns the client's."""
        self.expect_header("AMQP")
        self.send_header("AMQP")
        came = self.expect("open", **(expect or {}))
        self.send("open", **{"container_id": "peer", **answer})
        return came

    def accept_begin(self, expect: dict[str, Any] | None = None, *, channel: int | None = None, **answer: Any) -> Frame:
        """Expects begin and answers it, on the channel it came on unless another is given."""
        came = self.expect("begin", **{"remote_channel": ABSENT, **(expect or {})})
        mine = came.channel if channel is None else channel
        self.send("begin", channel=mine, **{"remote_channel": came.channel, **answer})
        return came

    def accept_attach(
        self,
        role: bool | None = None,
        expect: dict[str, Any] | None = None,
        *,
        handle: int | None = None,
        **answer: Any,
    ) -> Frame:
        """Expects attach (of `role`, theirs) and mirrors it; `answer` are the fields that differ."""
        wanted = dict(expect or {})
        if role is not None:
            wanted["role"] = role
        came = self.expect("attach", **wanted)
        channel = self.tracker.our_channel(came.channel)
        mirror = {
            "name": came["name"],
            "handle": came["handle"] if handle is None else handle,
            "role": not came["role"],
            "snd_settle_mode": came["snd_settle_mode"],
            "rcv_settle_mode": came["rcv_settle_mode"],
            "source": came["source"],
            "target": came["target"],
        }
        if came["role"] == RECEIVER:
            mirror["initial_delivery_count"] = 0
        self.send("attach", channel=channel, **{**mirror, **answer})
        return came

    def refuse_attach(self, error: Composite, expect: dict[str, Any] | None = None) -> Frame:
        """Expects attach and refuses it: an attach whose own terminus is null, then a closing detach."""
        refused = (expect or {}).get("role")
        came = self.accept_attach(refused, expect, **_NO_TERMINUS)
        channel = self.tracker.our_channel(came.channel)
        self.send("detach", channel=channel, handle=came["handle"], closed=True, error=error)
        return came

    def grant(self, credit: int, *, channel: int = 0, handle: int = 0, **fields: Any) -> None:
        """As a receiver: a flow that sets the link's credit, counted from the deliveries that have come."""
        count = self.tracker.delivery_count(channel, handle)
        wanted = {"handle": handle, "delivery_count": count, "link_credit": credit, **fields}
        self.send("flow", channel=channel, **wanted)

    def accept_detach(self, **expect: Any) -> Frame:
        """Expects detach and answers it."""
        came = self.expect("detach", **expect)
        handle, channel = self.tracker.our_handle(came)
        self.send("detach", channel=channel, handle=handle, closed=came.get("closed"))
        return came

    def accept_end(self, **expect: Any) -> Frame:
        """Expects end and answers it."""
        came = self.expect("end", **expect)
        channel = self.tracker.our_channel(came.channel)
        self.send("end", channel=channel)
        return came

    def accept_close(self, **expect: Any) -> Frame:
        """Expects close and answers it."""
        came = self.expect("close", **expect)
        self.send("close")
        return came

    # -------------------------------------------------------- ... and as the connecting side

    def connect_sasl(
        self, mechanism: str = "ANONYMOUS", response: bytes | None = b"", *, code: Any = 0, **init: Any
    ) -> Frame:
        """The SASL exchange of a client with no challenges; returns the server's sasl-mechanisms."""
        self.send_header("SASL")
        self.expect_header("SASL")
        offered = self.expect("sasl_mechanisms")
        self.send("sasl_init", mechanism=mechanism, initial_response=response, **init)
        self.expect("sasl_outcome", code=code)
        return offered

    def connect_open(self, expect: dict[str, Any] | None = None, **fields: Any) -> Frame:
        """AMQP headers and opens, this side first; returns the server's open."""
        self.send_header("AMQP")
        self.send("open", **{"container_id": "peer", **fields})
        self.expect_header("AMQP")
        return self.expect("open", **(expect or {}))

    # -------------------------------------------------------- inside

    def fail(self, expected: str, came: str, details: Iterable[str] = ()) -> NoReturn:
        lines = [f"expected {expected}", f"came     {came}", *(f"  {line}" for line in details)]
        lines += ["before that:", *(f"  {line}" for line in self.history[-20:])]
        raise ScriptFailure("\n".join(lines))

    def _write(self, data: bytes) -> None:
        step = self.split or len(data)
        for at in range(0, len(data), step):
            self.byte_source.write(data[at : at + step])

    def _fill(self, count: int, timeout: float | None = None) -> bool:
        """Whether `count` bytes are in the buffer, waiting for them if need be."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while len(self._buffer) < count:
            if self._eof:
                return False
            data = self.byte_source.read(max(deadline - time.monotonic(), 0.0))
            if data is None:
                return False
            self._eof = data == b""
            self._buffer += data
        return True

    def _cut(self, count: int) -> bytes:
        raw = bytes(self._buffer[:count])
        del self._buffer[:count]
        return raw

    def _next(self, timeout: float, expected: str) -> Frame | None:
        """The next frame that is not to be ignored; None if none begins in time or the stream ends."""
        while self._fill(1, timeout):
            raw = self._read_raw_frame(expected)
            try:
                came = decode_frame(raw)
            except WireError as error:
                self.fail(expected, f"a bad frame: {error}: {raw.hex()}")
            self.history.append(f"<- {came}")
            findings = self.tracker.came(came)
            if findings and self.strict:
                self.fail("what the specification allows", repr(came), findings)
            self.findings += findings
            if came.name == expected or came.name not in self._ignored_names:
                return came
            self.ignored.append(came)
        return None

    def _read_raw_frame(self, expected: str) -> bytes:
        if not self._fill(8):
            self.fail(expected, self._what_is_there())
        size = int.from_bytes(self._buffer[:4], "big")
        if not 8 <= size <= self.max_frame_size:
            head = bytes(self._buffer[:16])
            limit = f"the limit is {self.max_frame_size}"
            self.fail(expected, f"a frame of {size} bytes, {limit}: {head.hex()} ({head!r})")
        if not self._fill(size):
            self.fail(expected, f"{len(self._buffer)} bytes of a frame of {size}: {self._what_is_there()}")
        return self._cut(size)

    def _what_is_there(self) -> str:
        rest = bytes(self._buffer)
        end = ", then the end of the stream" if self._eof else ""
        if not rest:
            return "the end of the stream" if self._eof else "nothing"
        size = int.from_bytes(rest[:4], "big")
        if 8 <= size <= len(rest):
            try:
                return f"{decode_frame(rest[:size])}{end}"
            except WireError as error:
                return f"a bad frame ({error}): {rest[:size].hex()}{end}"
        return f"{_short(rest)}{end}"


_NO_TERMINUS: dict[str, Any] = {"source": None, "target": None}


def _short(data: bytes) -> str:
    return repr(data) if len(data) <= 60 else f"{data[:60]!r}... ({len(data)} bytes)"


class MemorySource:
    """Bytes by hand, or by functions: `pull()` fetches, `push(data)` delivers (b"" is the end)."""

    def __init__(self, pull: Callable[[], Iterable[bytes]] | None, push: Callable[[bytes], None] | None) -> None:
        self.pull = pull
        self.push = push
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.eof = False

    def read(self, timeout: float) -> bytes | None:
        if self.pull is not None:
            for piece in self.pull():
                self.inbox += piece
        data = bytes(self.inbox)
        self.inbox.clear()
        if data:
            return data
        return b"" if self.eof else None

    def write(self, data: bytes) -> None:
        if self.push is not None:
            self.push(data)
        else:
            self.outbox += data

    def close(self) -> None:
        if self.push is not None:
            self.push(b"")


class MemoryPeer(Peer):
    """A peer without I/O. By hand: `feed(data)` what the engine wrote, `take()` what it is to read.

    With `pull` and `push` it fetches and delivers on its own, as each `expect` and `send` needs:
    `MemoryPeer(engine.data_to_send, lambda data: engine.receive_data(data, now))`.
    """

    def __init__(
        self,
        pull: Callable[[], Iterable[bytes]] | None = None,
        push: Callable[[bytes], None] | None = None,
    ) -> None:
        self.memory = MemorySource(pull, push)
        super().__init__(self.memory)

    def feed(self, data: bytes) -> None:
        self.memory.inbox += data

    def feed_eof(self) -> None:
        self.memory.eof = True

    def take(self) -> bytes:
        data = bytes(self.memory.outbox)
        self.memory.outbox.clear()
        return data
