"""The common part of senders and receivers: attach, detach, negotiated settings (sections 2.6, 2.7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..codec import (
    ROLE_RECEIVER,
    ROLE_SENDER,
    Attach,
    Detach,
    Error,
    Flow,
    Symbol,
)
from . import conditions
from .errors import Cause, CauseKind, LocalProtocolError
from .events import FlowProperties, LinkDetached, LinkOpened, LinkOpening
from .frames import uint_bytes
from .states import ACTIVE, CLOSED, IDLE
from .terms import MODE_FIRST, MODE_MIXED, MODE_SECOND, AnySource, AnyTarget

if TYPE_CHECKING:
    from .delivery import OutgoingDelivery
    from .frames import TransferReader
    from .session import Session


class Link:
    """One end of a link, made by `Session.attach_sender`, `Session.attach_receiver` or the peer's attach.

    Attributes:
        session: the session it is attached to.
        name: the link's name, which together with its direction identifies the link between two containers.
        context: for the engine's user to use freely.
        local_state, remote_state: whether each side has attached and detached.
        source, target: our side's termini, as in our attach.
        snd_settle_mode: 0 unsettled, 1 settled, 2 mixed; the negotiated one once both sides have attached.
        rcv_settle_mode: 0 first, 1 second; the negotiated one once both sides have attached.
        remote_attach: the peer's attach, None until it arrives.
    """

    __slots__ = (
        "_cause",
        "_ended",
        "_flow_due",
        "_handle_bytes",
        "_held_flow",
        "_refused",
        "_request",
        "context",
        "handle",
        "local_state",
        "name",
        "rcv_settle_mode",
        "remote_attach",
        "remote_handle",
        "remote_state",
        "session",
        "snd_settle_mode",
        "source",
        "target",
    )

    is_sender = False

    def __init__(self, session: Session, name: str, handle: int) -> None:
        self.session = session
        self.name = name
        self.handle = handle
        self.remote_handle: int | None = None
        self.context: Any = None
        self.local_state = IDLE
        self.remote_state = IDLE
        self.source: AnySource = None
        self.target: AnyTarget = None
        self.snd_settle_mode = MODE_MIXED
        self.rcv_settle_mode = MODE_FIRST
        self.remote_attach: Attach | None = None
        self._request: Attach | None = None
        self._handle_bytes = uint_bytes(handle)
        self._flow_due = False
        self._held_flow: Flow | None = None  # arrived before we answered the attach
        self._refused = False
        self._cause: Cause | None = None  # why we have detached, or ended without
        self._ended = False  # whether LinkDetached was reported

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r:.100} {self.local_state.name}/{self.remote_state.name}>"

    # -- what the peer's attach says

    @property
    def remote_source(self) -> AnySource:
        """The source in the peer's attach; None before it, or when the peer refuses the link."""
        attach = self.remote_attach
        return attach.source if attach is not None else None

    @property
    def remote_target(self) -> AnyTarget:
        """The target in the peer's attach; None before it, or when the peer refuses the link."""
        attach = self.remote_attach
        return attach.target if attach is not None else None

    @property
    def remote_properties(self) -> dict[Symbol, Any]:
        """The link properties in the peer's attach."""
        attach = self.remote_attach
        return dict(attach.properties or {}) if attach is not None else {}

    @property
    def remote_max_message_size(self) -> int:
        """The largest message in bytes that the peer accepts; 0 if it gave no limit."""
        attach = self.remote_attach
        return (attach.max_message_size or 0) if attach is not None else 0

    @property
    def _is_unanswered(self) -> bool:
        """Whether we have attached and the peer hasn't."""
        return self.local_state is ACTIVE and self.remote_state is IDLE

    @property
    def is_refused(self) -> bool:
        """Whether the peer answered our attach without its terminus, so that its detach follows (section 2.6.3)."""
        if self.remote_attach is None or self._request is None:
            return False
        if self.is_sender:  # without a target of ours, it is the anonymous relay
            return self.remote_target is None and self.target is not None
        return self.remote_source is None and self.source is not None

    @property
    def is_open(self) -> bool:
        """Whether both sides are attached."""
        return self.local_state is ACTIVE and self.remote_state is ACTIVE

    # -- commands

    def accept(
        self,
        now: float,
        *,
        source: AnySource = None,
        target: AnyTarget = None,
        snd_settle_mode: int | None = None,
        rcv_settle_mode: int | None = None,
        max_message_size: int = 0,
        properties: Mapping[Symbol, Any] | None = None,
        offered_capabilities: Sequence[Symbol] = (),
        initial_delivery_count: int = 0,
    ) -> None:
        """Answer the peer's attach (after `LinkOpening`). Whatever isn't given is echoed from it.

        Raises:
            LocalProtocolError: the peer hasn't attached, or was already answered.
        """
        remote = self._require_request()
        self.source = source if source is not None else remote.source
        self.target = target if target is not None else remote.target
        self.snd_settle_mode = remote.snd_settle_mode if snd_settle_mode is None else snd_settle_mode
        self.rcv_settle_mode = remote.rcv_settle_mode if rcv_settle_mode is None else rcv_settle_mode
        self._send_attach(
            now,
            max_message_size=max_message_size,
            properties=properties,
            offered_capabilities=offered_capabilities,
            desired_capabilities=(),
            initial_delivery_count=initial_delivery_count,
        )
        self._opened()
        flow, self._held_flow = self._held_flow, None
        if flow is not None:
            self._apply_flow(flow)

    def refuse(self, now: float, error: Error) -> None:
        """Refuse the peer's attach: answer without a terminus, then detach with `error` (section 2.6.3).

        Raises:
            LocalProtocolError: the peer hasn't attached, or it was answered already.
        """
        remote = self._require_request()
        self.source, self.target = (remote.source, None) if not self.is_sender else (None, remote.target)
        self._refused = True
        self._send_attach(now)
        self.detach(now, error)

    def take_as_answer(self) -> bool:
        """Take the peer's attach (after `LinkOpening`) as the answer to an attach of ours of the same name.

        Such an answer has our own role, which is wrong, but Azure IoT Hub sends it to refuse a link. This link is then
        over, and ours continues with the answer. For users that want no links of the peer's making.

        Returns:
            Whether a link of ours in the other direction is waiting for its answer.
        """
        return self.session._take_as_answer(self)

    def detach(self, now: float, error: Error | None = None, *, closed: bool = True) -> None:
        """Detach. `LinkDetached` follows when the peer has answered; until then, what it sends is dropped.

        Args:
            now: the time.
            error: why; None if nothing is wrong.
            closed: True closes the link; False suspends it, so that its terminus outlives it.

        Raises:
            LocalProtocolError: the link isn't attached.
        """
        if self.local_state is not ACTIVE:
            raise LocalProtocolError(f"link {self.name!r:.100} is not attached")
        session = self.session
        engine = session.engine
        engine.now = now
        session._flush(engine.config.limits.output_bytes)  # what doesn't fit stays here, and is reported as unsent
        engine._send(session.channel, Detach(self.handle, closed, error))
        self.local_state = CLOSED
        self._lose_deliveries()
        if self.remote_state is CLOSED:
            session._forget_link(self)
        else:
            engine._timers.expect_answer(self)

    # -- for the session

    def _request_attach(self, now: float, **fields: Any) -> None:
        """Send the attach of a link of ours; if that fails, leave nothing behind."""
        try:
            self._send_attach(now, **fields)
        except LocalProtocolError:
            self.session._forget_link(self)
            raise

    def _require_request(self) -> Attach:
        if self.session.local_state is not ACTIVE:
            raise LocalProtocolError("the session of the link hasn't begun, or has ended")
        remote = self.remote_attach
        if remote is None or self.local_state is not IDLE or self.remote_state is not ACTIVE:
            raise LocalProtocolError(f"link {self.name!r:.100} has no attach of the peer to answer")
        return remote

    def _send_attach(
        self,
        now: float,
        *,
        max_message_size: int = 0,
        properties: Mapping[Symbol, Any] | None = None,
        offered_capabilities: Sequence[Symbol] = (),
        desired_capabilities: Sequence[Symbol] = (),
        initial_delivery_count: int = 0,
    ) -> None:
        session = self.session
        session.engine.now = now
        self._prepare(max_message_size, initial_delivery_count)
        attach = Attach(
            self.name,
            self.handle,
            ROLE_SENDER if self.is_sender else ROLE_RECEIVER,
            self.snd_settle_mode,
            self.rcv_settle_mode,
            self.source,
            self.target,
            None,
            False,
            initial_delivery_count if self.is_sender else None,
            max_message_size or None,
            tuple(offered_capabilities),
            tuple(desired_capabilities),
            dict(properties) if properties else None,
        )
        self._request = attach
        session.engine._send(session.channel, attach)
        self.local_state = ACTIVE
        if self.remote_state is IDLE:
            session.engine._timers.expect_answer(self)

    def _on_attach(self, attach: Attach) -> None:
        """Handle the peer's attach: the answer to ours, or a link of its own."""
        self.remote_attach = attach
        self.remote_handle = attach.handle
        self.remote_state = ACTIVE
        if self.local_state is IDLE:
            self.session.engine._emit(LinkOpening(self))
        elif self.local_state is ACTIVE:
            self._opened()

    def _opened(self) -> None:
        remote = self.remote_attach
        if remote is None:
            return
        if self.is_sender:  # section 2.7.3: each side's own mode applies
            self.rcv_settle_mode = remote.rcv_settle_mode
        else:
            self.snd_settle_mode = remote.snd_settle_mode
            # A sender that answers with mode first never settles by itself: we would wait for it forever.
            if remote.rcv_settle_mode != MODE_SECOND:
                self.rcv_settle_mode = MODE_FIRST
        self._negotiate(remote)
        if self.is_refused:
            self.session.engine._timers.expect_answer(self)  # a detach has to follow
        if not self._refused:
            self.session.engine._emit(LinkOpened(self))

    def _on_detach(self, detach: Detach) -> None:
        """Handle the peer's detach, an answer to ours or not."""
        engine = self.session.engine
        self.remote_state = CLOSED
        if self.local_state is ACTIVE:
            self.session.unsettled.flush()  # what is queued stays here, to be sent elsewhere perhaps
            self.local_state = CLOSED
            engine._send(self.session.channel, Detach(self.handle, detach.closed))
            cause: Cause | None = Cause.from_peer(detach.error, "detach")
        elif self.local_state is IDLE:
            # The peer attached and detached before we answered: answer both.
            self._attach_refused()
            self.local_state = CLOSED
            engine._send(self.session.channel, Detach(self.handle, detach.closed))
            cause = Cause.from_peer(detach.error, "detach")
        else:
            cause = self._cause
        self._lose_deliveries()
        self.session._forget_link(self)
        self._report_end(cause, bool(detach.closed))

    def _report_end(self, cause: Cause | None, closed: bool) -> None:
        if not self._ended:
            self._ended = True
            self.session.engine._emit(LinkDetached(self, cause, closed))

    def _give_way(self) -> Flow | None:
        """End, because the peer's attach answers another link's; return the flow that waits for our attach."""
        self.local_state = self.remote_state = CLOSED
        self.session._forget_link(self)
        self._report_end(None, False)
        return self._held_flow

    def _attach_refused(self) -> None:
        """Answer the peer's attach with one without a terminus; a detach has to follow."""
        self._refused = True
        self._send_attach(self.session.engine.now)

    def _refuse_early(self, cause: Cause) -> None:
        """Refuse the peer's attach because of an error in it, before the engine's user has answered it."""
        self._attach_refused()
        self._fail(cause)

    def _fail(self, cause: Cause) -> None:
        """End the link for an error of the peer's or a time-out: detach with the error, remember the cause."""
        if self.local_state is not ACTIVE:
            return
        engine = self.session.engine
        if self._cause is None:
            self._cause = cause
        self.detach(engine.now, cause.error)

    def _on_unanswered(self) -> None:
        """End the link, because the peer hasn't answered our attach or detach within the link time-out."""
        if self.local_state is ACTIVE and self.remote_state is IDLE:
            what = "attach"
        elif self.local_state is CLOSED and self.remote_state is not CLOSED:
            what = "detach"
        elif self.local_state is ACTIVE and self.is_refused:
            what = "attach, except for a refusal without a reason,"
        else:
            return
        engine = self.session.engine
        seconds = engine.config.link_timeout
        text = f"the peer didn't answer the {what} of link {self.name!r:.100} within {seconds:g} seconds"
        cause = Cause.make(CauseKind.TIMEOUT, conditions.INTERNAL_ERROR, text)
        if what != "detach":
            # The link stays known, so that a late answer isn't taken for a violation.
            self.local_state = CLOSED
            engine._send(self.session.channel, Detach(self.handle, True, cause.error))
        else:
            cause = self._cause or cause
        self._lose_deliveries()
        self._report_end(cause, False)

    def _lost(self, cause: Cause | None) -> None:
        """End the link together with its session."""
        known = self.local_state is not IDLE or self.remote_state is not IDLE
        if not known:
            return
        self._lose_deliveries()
        self.local_state = self.remote_state = CLOSED
        self._report_end(self._cause or cause, False)

    # -- for the subclasses

    def _prepare(self, max_message_size: int, initial_delivery_count: int) -> None:
        """Apply the settings of our own attach."""
        raise NotImplementedError

    def _negotiate(self, attach: Attach) -> None:
        """Apply the settings of the peer's attach."""
        raise NotImplementedError

    def _lose_deliveries(self) -> None:
        """Give up on the link's deliveries, because the link is ending."""
        raise NotImplementedError

    def _receive_flow(self, flow: Flow) -> None:
        """Handle a flow for this link. Receivers give credit along with their attach: that waits for our answer."""
        if self.local_state is ACTIVE:
            self._apply_flow(flow)
        elif self.local_state is IDLE:
            self._held_flow = flow

    def _apply_flow(self, flow: Flow) -> None:
        self._on_flow(flow)
        if flow.properties:
            self.session.engine._emit(FlowProperties(self.session, self, flow.properties))

    def _on_flow(self, flow: Flow) -> None:
        """Apply a flow for this link."""
        raise NotImplementedError

    def _append_flow(self, flow: Flow) -> None:
        """Fill in the link's part of a flow that is about to go out."""
        raise NotImplementedError

    def _on_transfer(self, transfer: TransferReader, data: bytes, pos: int, end: int) -> None:
        """Handle one transfer frame; its payload is in `data` from `pos` to `end`."""
        raise NotImplementedError

    def _on_disposition(self, delivery: OutgoingDelivery, settled: bool, state: object | None) -> None:
        """Handle what the receiver says about a delivery."""
        raise NotImplementedError

    def _refill(self) -> None:
        """Ask for more deliveries if there is room for them."""
        raise NotImplementedError

    def _ask_for_flow(self) -> None:
        """Send a flow for this link with the next data."""
        if not self._flow_due:
            self._flow_due = True
            self.session._flow_is_due(self)
