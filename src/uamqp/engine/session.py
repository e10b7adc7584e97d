"""Sessions: links by handle, transfer windows (sections 2.5, 2.7.2)."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..codec import (
    ROLE_RECEIVER,
    Attach,
    Begin,
    Detach,
    End,
    Error,
    Flow,
    Symbol,
)
from . import conditions
from .errors import Cause, CauseKind, LinkError, LocalProtocolError, PeerError, SessionError, wire_error
from .events import FlowProperties, SessionEnded, SessionOpened, SessionOpening
from .frames import transfer_prefix
from .link import Link
from .receiver import Receiver
from .sender import Sender
from .serial import MASK, add, distance
from .settlement import Unsettled
from .states import ACTIVE, CLOSED, IDLE
from .terms import (
    DEFAULT_WINDOW,
    MAX_HANDLE,
    MODE_FIRST,
    MODE_MIXED,
    MODE_SECOND,
    NO_WINDOW,
    OUTGOING_WINDOW,
    OUTPUT_FULL,
    AnySource,
    AnyTarget,
)

if TYPE_CHECKING:
    from .connection import Engine
    from .frames import TransferReader


# Windows (section 2.5.6). Each side says how many transfer frames it is ready to accept; the other counts them down.
#
# Incoming: `_window` is what we announce, `_incoming_window` is what is left of it. At half of it a flow becomes due
# (`_window_due`) that resets it to the whole. A transfer beyond it ends the session.
#
# Outgoing: `remote_incoming_window` is what the peer accepts now. A flow of the peer's gives its window as of the
# latest transfer that it has seen (next-incoming-id); `_on_flow` subtracts what we have sent since.
#
# Output waits for `Engine.data_to_send`: `_mark` tells the engine that there is some. Senders with both a queue and
# credit are in `_ready`, and take turns; a session whose window is used up stops there until a flow arrives.


class Session:
    """One session of a connection, made by `Engine.begin` or the peer's begin.

    Attributes:
        engine: the connection.
        channel: our outgoing channel number; -1 until a begin of the peer is answered.
        context: for the engine's user to use freely.
        local_state, remote_state: whether each side has begun and ended.
        remote_incoming_window: transfer frames that the peer accepts now.
        next_delivery_id: the number of the next delivery that we send.
        unsettled: its unsettled deliveries.
    """

    __slots__ = (
        "_cause",
        "_dirty",
        "_due_links",
        "_echo_due",
        "_ended",
        "_free_handles",
        "_handles",
        "_incoming_window",
        "_names",
        "_next_handle",
        "_next_incoming_id",
        "_next_outgoing_id",
        "_outgoing_window",
        "_ready",
        "_remote_handles",
        "_transfer_prefix",
        "_window",
        "_window_due",
        "channel",
        "context",
        "engine",
        "handle_max",
        "initial_id",
        "local_state",
        "next_delivery_id",
        "remote_channel",
        "remote_handle_max",
        "remote_incoming_window",
        "remote_properties",
        "remote_state",
        "unsettled",
    )

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.channel = -1
        self._transfer_prefix = b""  # of frames that are sent over the channel
        self.remote_channel: int | None = None
        self.context: Any = None
        self.local_state = IDLE
        self.remote_state = IDLE
        self.handle_max = MAX_HANDLE
        self.remote_handle_max = MAX_HANDLE
        self.remote_properties: dict[Symbol, Any] = {}
        self.initial_id = 0
        self.next_delivery_id = 0
        self._next_outgoing_id = 0
        self._outgoing_window = OUTGOING_WINDOW
        self.remote_incoming_window = 0
        self._next_incoming_id = -1  # -1 until the peer's begin
        self._window = DEFAULT_WINDOW
        self._incoming_window = DEFAULT_WINDOW
        self._window_due = False
        self._echo_due = False
        self.unsettled = Unsettled(self, engine.config.limits.unsettled)
        self._handles: dict[int, Link] = {}
        self._remote_handles: dict[int, Link] = {}
        self._names: dict[tuple[str, bool], Link] = {}
        self._free_handles: list[int] = []
        self._next_handle = 0
        self._cause: Cause | None = None  # why we have ended it, or stopped waiting for its end
        self._ended = False  # whether SessionEnded was reported
        self._ready: deque[Sender] = deque()
        self._due_links: list[Link] = []
        self._dirty = False

    def __repr__(self) -> str:
        return f"<Session {self.channel} {self.local_state.name}/{self.remote_state.name}>"

    @property
    def links(self) -> Iterable[Link]:
        """The links that are attached on either side."""
        return tuple(self._handles.values())

    @property
    def _is_unanswered(self) -> bool:
        """Whether we have begun it and the peer hasn't."""
        return self.local_state is ACTIVE and self.remote_state is IDLE

    @property
    def incoming_window(self) -> int:
        """Transfer frames that the peer may send now."""
        return self._incoming_window

    @property
    def outgoing_window(self) -> int:
        """The outgoing-window that we announce."""
        return self._outgoing_window

    # -- commands

    def _begin(
        self,
        now: float,
        *,
        incoming_window: int = DEFAULT_WINDOW,
        outgoing_window: int = OUTGOING_WINDOW,
        handle_max: int = MAX_HANDLE,
        initial_id: int = 0,
        properties: Mapping[Symbol, Any] | None = None,
        fresh_channel: bool = False,
    ) -> None:
        """Send the begin, for `Engine.begin` and `accept`."""
        for name, value in (("incoming_window", incoming_window), ("outgoing_window", outgoing_window)):
            if not 1 <= value <= MASK:
                raise LocalProtocolError(f"{name} must be from 1 to {MASK}, not {value!r}")
        if not 0 <= handle_max <= MAX_HANDLE:
            raise LocalProtocolError(f"handle_max must be from 0 to {MAX_HANDLE}, not {handle_max!r}")
        engine = self.engine
        engine.now = now
        if self.channel < 0:
            self._take_channel(fresh=fresh_channel)
        self._window = self._incoming_window = incoming_window
        self._outgoing_window = outgoing_window
        self.handle_max = handle_max
        self.initial_id = self.next_delivery_id = self._next_outgoing_id = initial_id & MASK
        begin = Begin(
            self.remote_channel,
            self._next_outgoing_id,
            incoming_window,
            outgoing_window,
            handle_max,
            (),
            (),
            dict(properties) if properties else None,
        )
        try:
            engine._send(self.channel, begin)
        except LocalProtocolError:
            if self.remote_state is IDLE:
                engine._forget_session(self)
            raise
        self.local_state = ACTIVE
        if self.remote_state is IDLE:
            engine._timers.expect_answer(self)

    def _take_channel(self, *, fresh: bool = False) -> None:
        self.channel = self.engine._take_channel(self, fresh=fresh)
        self._transfer_prefix = transfer_prefix(self.channel)

    def accept(
        self,
        now: float,
        *,
        incoming_window: int = DEFAULT_WINDOW,
        handle_max: int = MAX_HANDLE,
        initial_id: int = 0,
    ) -> None:
        """Answer the peer's begin (after `SessionOpening`). Until then, nothing more of the connection is read.

        Raises:
            LocalProtocolError: the peer hasn't begun it, or was already answered.
        """
        self._require_request()
        self._begin(now, incoming_window=incoming_window, handle_max=handle_max, initial_id=initial_id)
        self.engine._emit(SessionOpened(self))
        self.engine._resume()

    def refuse(self, now: float, error: Error) -> None:
        """Answer the peer's begin and end the session at once.

        Raises:
            LocalProtocolError: the peer hasn't begun it, or was already answered.
        """
        self._require_request()
        self._begin(now)
        self.end(now, error)
        self.engine._resume()

    def _require_request(self) -> None:
        if self.remote_state is not ACTIVE or self.local_state is not IDLE:
            raise LocalProtocolError("there is no begin of the peer to answer")

    def end(self, now: float, error: Error | None = None) -> None:
        """End the session with all its links. `SessionEnded` follows when the peer has answered.

        Raises:
            LocalProtocolError: the session hasn't begun, or has ended.
        """
        if self.local_state is not ACTIVE:
            raise LocalProtocolError("the session is not open")
        self.engine.now = now
        self._flush(self.engine.config.limits.output_bytes)
        self.engine._send(self.channel, End(error))
        self.local_state = CLOSED
        self._lose_links(self._cause)
        if self.remote_state is CLOSED:
            self.engine._forget_session(self)
        else:
            self.engine._timers.expect_answer(self)

    def attach_sender(
        self,
        now: float,
        name: str,
        *,
        source: AnySource,
        target: AnyTarget,
        snd_settle_mode: int = MODE_MIXED,
        rcv_settle_mode: int = MODE_FIRST,
        max_message_size: int = 0,
        initial_delivery_count: int = 0,
        properties: Mapping[Symbol, Any] | None = None,
        offered_capabilities: Sequence[Symbol] = (),
        desired_capabilities: Sequence[Symbol] = (),
    ) -> Sender:
        """Attach a link over which we send; `LinkOpened` or `LinkDetached` follows.

        Args:
            now: the time.
            name: unique among our links of this direction in the session.
            source: our end.
            target: where messages go; None if each message's `to` says it (anonymous relay).
            snd_settle_mode: 0 unsettled, 1 settled, 2 mixed.
            rcv_settle_mode: 0 first, 1 second.
            max_message_size: announced, in bytes; 0 leaves it out.
            initial_delivery_count: where the link's delivery-count starts.
            properties: link properties.
            offered_capabilities: extensions.
            desired_capabilities: extensions.

        Raises:
            LocalProtocolError: the session isn't open, the name is taken, a mode is unknown, or the peer's
                handle-max doesn't allow another link.
        """
        link = self._new_link(name, True, snd_settle_mode, rcv_settle_mode)
        link.source, link.target = source, target
        link._request_attach(
            now,
            max_message_size=max_message_size,
            properties=properties,
            offered_capabilities=offered_capabilities,
            desired_capabilities=desired_capabilities,
            initial_delivery_count=initial_delivery_count,
        )
        return link  # type: ignore[return-value]  # _new_link was told the direction

    def attach_receiver(
        self,
        now: float,
        name: str,
        *,
        source: AnySource,
        target: AnyTarget,
        snd_settle_mode: int = MODE_MIXED,
        rcv_settle_mode: int = MODE_FIRST,
        max_message_size: int = 0,
        properties: Mapping[Symbol, Any] | None = None,
        offered_capabilities: Sequence[Symbol] = (),
        desired_capabilities: Sequence[Symbol] = (),
    ) -> Receiver:
        """Attach a link over which we receive, without any credit yet. Otherwise as `attach_sender`.

        Args:
            max_message_size: announced and enforced, in bytes; with 0, only the engine's own limit applies.
        """
        link = self._new_link(name, False, snd_settle_mode, rcv_settle_mode)
        link.source, link.target = source, target
        link._request_attach(
            now,
            max_message_size=max_message_size,
            properties=properties,
            offered_capabilities=offered_capabilities,
            desired_capabilities=desired_capabilities,
        )
        return link  # type: ignore[return-value]

    def _new_link(self, name: str, is_sender: bool, snd_settle_mode: int, rcv_settle_mode: int) -> Link:
        if self.local_state is not ACTIVE or self.remote_state is CLOSED:
            raise LocalProtocolError("the session is not open")
        if (name, is_sender) in self._names:
            raise LocalProtocolError(f"a link named {name!r:.100} in this direction is attached already")
        if not 0 <= snd_settle_mode <= MODE_MIXED:
            raise LocalProtocolError(f"snd_settle_mode must be 0, 1 or 2, not {snd_settle_mode!r}")
        if not 0 <= rcv_settle_mode <= MODE_SECOND:
            raise LocalProtocolError(f"rcv_settle_mode must be 0 or 1, not {rcv_settle_mode!r}")
        link = self._make_link(name, is_sender)
        link.snd_settle_mode = snd_settle_mode
        link.rcv_settle_mode = rcv_settle_mode
        return link

    def _make_link(self, name: str, is_sender: bool) -> Link:
        handle = self._free_handles[0] if self._free_handles else self._next_handle
        if handle > self.remote_handle_max:
            raise LocalProtocolError(f"the peer allows only {self.remote_handle_max + 1} links in a session")
        if len(self._handles) >= self.engine.config.limits.links:
            raise LocalProtocolError(f"a session may have {self.engine.config.limits.links} links at most")
        if self._free_handles:
            heapq.heappop(self._free_handles)
        else:
            self._next_handle += 1
        link: Link = Sender(self, name, handle) if is_sender else Receiver(self, name, handle)
        self._handles[handle] = link
        self._names[(name, is_sender)] = link
        return link

    def _forget_link(self, link: Link) -> None:
        """Release the handles of a link that both sides have detached."""
        if self._handles.pop(link.handle, None) is not None:
            heapq.heappush(self._free_handles, link.handle)
        if link.remote_handle is not None:
            self._remote_handles.pop(link.remote_handle, None)
        if self._names.get((link.name, link.is_sender)) is link:
            del self._names[(link.name, link.is_sender)]
        self.engine._timers.answered(link)

    # -- output

    def _mark(self) -> None:
        """Tell the engine that there is output."""
        if not self._dirty:
            self._dirty = True
            self.engine._session_is_dirty(self)

    def _refill_links(self) -> None:
        """Let receivers ask for more, because there is room for unsettled deliveries again."""
        for link in self._handles.values():
            link._refill()

    def _sender_is_ready(self, sender: Sender) -> None:
        """Note that a sender has both a queue and credit."""
        self._ready.append(sender)
        self._mark()

    def _flow_is_due(self, link: Link) -> None:
        """Send a flow for the link with the next data."""
        self._due_links.append(link)
        self._mark()

    def _count_transfer(self) -> None:
        """Count a transfer frame that has gone out."""
        self._next_outgoing_id = add(self._next_outgoing_id, 1)
        self.remote_incoming_window -= 1

    def _flush(self, limit: int) -> bool:
        """Encode what is due: dispositions, flows, transfers. Return False if transfers still wait for room."""
        if self.engine.local_state is not ACTIVE:
            return True  # nothing may follow a close
        self.unsettled.flush()
        self._flush_flows()
        if not self._ready:
            return True
        done = self._encode_transfers(limit)
        self._flush_flows()  # those of drains that the transfers have answered
        return done

    def _flush_flows(self) -> None:
        if self._due_links:
            links, self._due_links = self._due_links, []
            for link in links:
                link._flow_due = False
                if link.local_state is ACTIVE:
                    self._send_flow(link)
        if self._window_due:
            self._send_flow(None)

    def _encode_transfers(self, limit: int) -> bool:
        ready = self._ready
        out = self.engine.output
        while ready:
            sender = ready[0]
            before = len(out)
            result = sender._encode_queued(out, limit)
            sender._report_room()
            if result == NO_WINDOW:
                return True
            if result == OUTPUT_FULL:
                if len(out) > before:
                    ready.rotate(-1)  # the next link goes first
                return False
            ready.popleft()
            sender._ready = False
        return True

    def _send_flow(self, link: Link | None) -> None:
        self._window_due = False
        self._incoming_window = self._window
        flow = Flow(
            self._next_incoming_id if self._next_incoming_id >= 0 else None,
            self._incoming_window,
            self._next_outgoing_id,
            self._outgoing_window,
        )
        if link is not None:
            flow.handle = link.handle
            link._append_flow(flow)
        if self._echo_due:
            flow.echo = True
            self._echo_due = False
        self.engine._send(self.channel, flow)

    # -- input

    def _on_begin(self, begin: Begin, channel: int) -> None:
        """Handle the peer's begin: the answer to ours, or a session of its own."""
        self.remote_channel = channel
        if self.channel < 0:
            self._take_channel()
        self.remote_state = ACTIVE
        self._next_incoming_id = begin.next_outgoing_id
        self.remote_incoming_window = begin.incoming_window
        self.remote_handle_max = begin.handle_max
        self.remote_properties = dict(begin.properties or {})
        if self.local_state is IDLE:
            self.engine._emit(SessionOpening(self))
        elif self.local_state is ACTIVE:
            self.engine._timers.answered(self)
            self.engine._emit(SessionOpened(self))

    def _on_attach(self, attach: Attach) -> None:
        """Handle the peer's attach: the answer to ours, or a link of its own."""
        taken = self._remote_handles.get(attach.handle)
        if taken is not None:
            if taken.local_state is not CLOSED:
                raise SessionError(conditions.HANDLE_IN_USE, f"handle {attach.handle} is in use")
            taken._on_detach(Detach(attach.handle, True))  # for the peer, our detach needed no answer
        if attach.handle > self.handle_max:  # section 2.7.2
            raise PeerError(conditions.FRAMING_ERROR, f"handle {attach.handle} is over handle-max {self.handle_max}")
        is_sender = attach.role == ROLE_RECEIVER
        link = self._names.get((attach.name, is_sender))
        if link is not None and link.remote_state is ACTIVE:
            self._steal(link)
            link = None
        if link is None:
            try:
                link = self._make_link(attach.name, is_sender)
            except LocalProtocolError as error:
                raise SessionError(conditions.RESOURCE_LIMIT_EXCEEDED, str(error)) from error
        self._remote_handles[attach.handle] = link
        self.engine._timers.answered(link)
        link._on_attach(attach)

    def _steal(self, link: Link) -> None:
        """End a link that the peer has stolen by attaching it anew (section 2.6.1)."""
        if link.local_state is ACTIVE:
            text = f"link {link.name!r:.100} was attached anew"
            link._fail(Cause.make(CauseKind.PROTOCOL, conditions.STOLEN, text))
        del self._names[(link.name, link.is_sender)]

    def _remote_link(self, handle: int) -> Link:
        link = self._remote_handles.get(handle)
        if link is None:
            raise SessionError(conditions.UNATTACHED_HANDLE, f"handle {handle} is not attached")
        return link

    def _on_detach(self, detach: Detach) -> None:
        """Handle the peer's detach."""
        link = self._remote_handles.get(detach.handle)
        if link is None:
            link = self._refused_without_attach(detach.handle)
        elif link.local_state is IDLE and detach.error is not None and self._take_as_answer(link):
            link = self._remote_link(detach.handle)
        link._on_detach(detach)

    def _take_as_answer(self, link: Link) -> bool:
        """See `Link.take_as_answer`."""
        attach = link.remote_attach
        ours = self._names.get((link.name, not link.is_sender))
        if attach is None or link.local_state is not IDLE or ours is None or not ours._is_unanswered:
            return False
        flow = link._give_way()
        self._remote_handles[attach.handle] = ours
        self.engine._timers.answered(ours)
        ours._on_attach(attach)
        if flow is not None:
            ours._receive_flow(flow)
        return True

    def _refused_without_attach(self, handle: int) -> Link:
        """Return the link of ours that the peer detaches with a handle that it never attached.

        That is our handle, or just one link is waiting for an answer.
        """
        link = self._handles.get(handle)
        if link is not None and link._is_unanswered:
            return link
        waiting = [link for link in self._handles.values() if link._is_unanswered]
        return waiting[0] if len(waiting) == 1 else self._remote_link(handle)

    def _on_transfer(self, transfer: TransferReader, data: bytes, pos: int, end: int) -> None:
        """Handle one transfer frame; its payload is in `data` from `pos` to `end`."""
        if self._incoming_window <= 0:
            raise SessionError(conditions.WINDOW_VIOLATION, "a transfer came while the incoming-window was 0")
        self._incoming_window -= 1
        self._next_incoming_id = add(self._next_incoming_id, 1)
        if self._incoming_window <= self._window >> 1 and not self._window_due:
            self._window_due = True
            self._mark()
        link = self._remote_handles.get(transfer.handle)
        if link is None:
            raise SessionError(conditions.UNATTACHED_HANDLE, f"handle {transfer.handle} is not attached")
        if link.local_state is CLOSED:
            return  # we have detached: what the peer sends now remains with it
        if link.local_state is IDLE:
            text = f"link {link.name!r:.100} has no credit: its attach wasn't answered yet"
            link._refuse_early(Cause.make(CauseKind.PROTOCOL, conditions.TRANSFER_LIMIT_EXCEEDED, text))
            return
        try:
            link._on_transfer(transfer, data, pos, end)
        except LinkError as error:
            error.link._fail(Cause.make(CauseKind.PROTOCOL, error.condition, error.description))

    def _on_flow(self, flow: Flow) -> None:
        """Apply the session's windows, and a link's credit (section 2.5.6)."""
        start = flow.next_incoming_id if flow.next_incoming_id is not None else self.initial_id
        in_flight = max(0, distance(start, self._next_outgoing_id))
        self.remote_incoming_window = max(0, flow.incoming_window - in_flight)
        if self._ready:
            self._mark()
        if flow.handle is not None:
            self._remote_link(flow.handle)._receive_flow(flow)
            return
        if flow.echo:
            self._window_due = True
            self._mark()
        if flow.properties:
            self.engine._emit(FlowProperties(self, None, flow.properties))

    def _on_end(self, end: End) -> None:
        """Handle the peer's end, an answer to ours or not."""
        engine = self.engine
        self.remote_state = CLOSED
        if self.local_state is CLOSED:
            cause = self._cause
        else:
            cause = Cause.from_peer(end.error, "end")
            if self.local_state is IDLE:
                self._begin(engine.now)
            self.local_state = CLOSED
            engine._send(self.channel, End())
        self._lose_links(cause)
        engine._forget_session(self)
        self._report_end(cause)

    def _report_end(self, cause: Cause | None) -> None:
        if not self._ended:
            self._ended = True
            self.engine._emit(SessionEnded(self, cause))

    def _fail(self, error: SessionError) -> None:
        """End the session for an error of the peer's."""
        if self.local_state is IDLE:
            self._begin(self.engine.now)
        if self._cause is None:
            self._cause = Cause.make(CauseKind.PROTOCOL, error.condition, error.description)
        self.end(self.engine.now, wire_error(error.condition, error.description))

    def _on_unanswered(self) -> None:
        """End the session, because the peer hasn't answered our begin or end within the link time-out."""
        engine = self.engine
        if self.local_state is ACTIVE and self.remote_state is IDLE:
            what = "begin"
        elif self.local_state is CLOSED and self.remote_state is not CLOSED:
            what = "end"
        else:
            return
        text = f"the peer didn't answer the {what} of a session within {engine.config.link_timeout:g} seconds"
        cause = Cause.make(CauseKind.TIMEOUT, conditions.INTERNAL_ERROR, text)
        if what == "begin":
            # The session stays known, so that a late answer isn't taken for a violation.
            self.local_state = CLOSED
            engine._send(self.channel, End(cause.error))
        else:
            cause = self._cause or cause
        self._lose_links(cause)
        self._report_end(cause)

    def _lost(self, cause: Cause | None) -> None:
        """End the session together with its connection."""
        self._lose_links(cause)
        self._report_end(self._cause or cause)
        self.local_state = self.remote_state = CLOSED

    def _lose_links(self, cause: Cause | None) -> None:
        links = tuple(self._handles.values())
        self._handles.clear()
        self._remote_handles.clear()
        self._names.clear()
        self._ready.clear()
        self._due_links.clear()
        self.unsettled.lose()
        for link in links:
            self.engine._timers.answered(link)
            link._lost(cause)
