"""A conversation that runs by itself: an application on each side that does a bit of everything when events ask for it.

Recorded once, it is what the tests cut in pieces and damage, and what fuzz/ starts from. Imports only uamqp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from uamqp.codec import ACCEPTED, RELEASED, DeliveryState, Error, Modified, Rejected, Source, Symbol, Target
from uamqp.engine import (
    Engine,
    EngineConfig,
    IncomingDelivery,
    Limits,
    LocalProtocolError,
    OutgoingDelivery,
    Role,
    sasl,
)
from uamqp.engine import events as ev
from uamqp.engine.states import EndpointState

START = 1000.0
ROLES = ("client", "server")

Turn = bytes
"""What one side hears before it has its next say."""

ERROR = Error(Symbol("test:error"), "because", {Symbol("why"): "not"})
OUTCOMES: list[DeliveryState | None] = [ACCEPTED, RELEASED, Rejected(ERROR), Modified(True, False), None]
PAYLOADS = [b"", b"\x00Su\xa0\x05hello", b"x" * 700, b"settled", b"last"]


def talk_config(role: str) -> EngineConfig:
    """The configuration of one side. Limits are low, so that fuzzing meets them."""
    limits = Limits(
        frame_size=4096,
        message_size=20_000,
        buffered_bytes=40_000,
        sessions=3,
        links=4,
        unsettled=20,
        overrun=1,
        output_bytes=3000,
        sasl_rounds=2,
        sasl_frame_size=1024,
    )
    if role == "client":
        return EngineConfig(
            "client",
            hostname="example",
            max_frame_size=1024,
            idle_timeout=60.0,
            mechanisms=[sasl.External(), sasl.Plain("user", "password"), sasl.Anonymous()],
            limits=limits,
        )
    return EngineConfig(
        "server",
        role=Role.SERVER,
        max_frame_size=512,
        channel_max=7,
        idle_timeout=30.0,
        server_mechanisms=("PLAIN", "ANONYMOUS"),
        properties={Symbol("product"): "talk"},
        limits=limits,
    )


class Talk:
    """The application of one engine. Whatever happens, it only asks for what an honest one could ask for."""

    def __init__(self, engine: Engine, role: str) -> None:
        self.engine = engine
        self.role = role
        self.sent: list[OutgoingDelivery] = []
        self.settled = 0
        self.ended = 0
        self.handlers: dict[type, Callable[[Any], None]] = {
            ev.SaslInit: self.on_sasl,
            ev.SaslResponse: self.on_sasl,
            ev.ConnectionOpening: self.on_connection_opening,
            ev.ConnectionOpened: self.on_connection_opened,
            ev.SessionOpening: self.on_opening,
            ev.SessionOpened: self.on_session_opened,
            ev.SessionEnded: self.on_session_ended,
            ev.LinkOpening: self.on_opening,
            ev.LinkOpened: self.on_link_opened,
            ev.LinkDetached: self.on_link_detached,
            ev.CreditChanged: self.on_credit,
            ev.ReceiverDrained: self.on_drained,
            IncomingDelivery: self.on_delivery,
            OutgoingDelivery: self.on_outcome,
        }

    def react(self, event: Any) -> None:
        """Do what the event asks for; what has become impossible meanwhile is left."""
        handler = self.handlers.get(type(event))
        if handler is None:
            return
        try:
            handler(event)
        except LocalProtocolError:
            pass

    def start(self) -> None:
        if self.role == "client":
            self.engine.open(START)

    def on_sasl(self, event: Any) -> None:
        self.engine.sasl_outcome(self.engine.now, 0)

    def on_connection_opening(self, event: Any) -> None:
        self.engine.open(self.engine.now)

    def on_connection_opened(self, event: Any) -> None:
        if self.role == "client":
            self.engine.begin(self.engine.now, incoming_window=3, initial_id=2**32 - 2)

    def on_opening(self, event: Any) -> None:
        endpoint = event.session if type(event) is ev.SessionOpening else event.link
        options: dict[str, Any] = {"initial_delivery_count": 2**32 - 1} if type(event) is ev.LinkOpening else {}
        endpoint.accept(self.engine.now, **options)

    def on_session_opened(self, event: ev.SessionOpened) -> None:
        if self.role == "client":
            termini: dict[str, Any] = {"source": Source("here"), "target": Target("there")}
            event.session.attach_sender(self.engine.now, "out", rcv_settle_mode=1, **termini)
            event.session.attach_receiver(self.engine.now, "in", **termini)

    def on_session_ended(self, event: ev.SessionEnded) -> None:
        if self.role == "client":
            self.engine.close(self.engine.now)

    def on_link_opened(self, event: Any) -> None:
        link = event.link
        if link.is_sender:
            return
        if self.role == "client":
            link.set_credit(4)
        else:
            link.auto_credit(2)

    def on_link_detached(self, event: ev.LinkDetached) -> None:
        self.ended += 1
        session = event.link.session
        if self.role == "client" and self.ended == 2 and session.local_state is EndpointState.ACTIVE:
            session.end(self.engine.now, ERROR)

    def on_credit(self, event: ev.CreditChanged) -> None:
        sender = event.sender
        if sender.context is None and sender.credit:
            sender.context = "sent"
            for number, payload in enumerate(PAYLOADS):
                self.sent.append(sender.send(payload, tag=b"tag %d" % number, settled=number == 3))
        if sender.drain:
            sender.drained()

    def on_drained(self, event: ev.ReceiverDrained) -> None:
        event.receiver.detach(self.engine.now)

    def on_delivery(self, delivery: IncomingDelivery) -> None:
        receiver = delivery.link
        receiver.taken()
        if not delivery.settled:
            delivery.settle(OUTCOMES[self.settled % len(OUTCOMES)])
            self.settled += 1
        if self.role == "client" and receiver.credit == 0:
            receiver.set_credit(3, drain=True)

    def on_outcome(self, delivery: OutgoingDelivery) -> None:
        if self.role == "client" and not delivery.link.queued and not delivery.link.session.unsettled.outgoing:
            delivery.link.detach(self.engine.now, ERROR)


def describe(event: Any) -> str:
    """An event as it is now: its kind, and all that it says."""
    kind = type(event).__name__
    if isinstance(event, IncomingDelivery):
        said = (event.link.name, event.delivery_id, event.tag, event.payload, event.settled, event.remote_state)
    elif isinstance(event, OutgoingDelivery):
        said = (event.link.name, event.delivery_id, event.tag, event.sent, event.lost, event.remote_state)  # type: ignore[assignment]
    elif isinstance(event, ev.CreditChanged):
        said = (event.sender.name, event.sender.drain)  # type: ignore[assignment]
    else:
        # Not by repr: that of an endpoint shows the state at the time of asking.
        names = [getattr(event, name, None) for name in ("cause", "closed", "open", "mechanism")]
        said = (*names, getattr(getattr(event, "link", None), "name", ""))  # type: ignore[assignment]
    return f"{kind} {said!r}"


def say(engine: Engine) -> bytes:
    """Everything that the engine wants to send now."""
    said = bytearray()
    while pieces := engine.data_to_send():
        said += b"".join(pieces)
    return bytes(said)


def turn(engine: Engine, talk: Talk, events: list[Any], described: list[str]) -> bytes:
    """React to all events and return what there is to say, until neither is left."""
    said = b""
    while True:
        new = engine.events()
        for event in new:
            events.append(event)
            described.append(describe(event))
            talk.react(event)
        more = say(engine)
        said += more
        if not new and not more:
            return said


def record() -> dict[str, list[Turn]]:
    """What each side hears, turn by turn, in the whole conversation."""
    engines = {role: Engine(talk_config(role), START) for role in ROLES}
    talks = {role: Talk(engines[role], role) for role in ROLES}
    heard: dict[str, list[Turn]] = {role: [] for role in ROLES}
    talks["client"].start()
    quiet = 0
    speaker, listener = ROLES
    while quiet < 2:
        said = turn(engines[speaker], talks[speaker], [], [])
        quiet = 0 if said else quiet + 1
        if said:
            heard[listener].append(said)
            engines[listener].receive_data(said, START)
        speaker, listener = listener, speaker
    return heard


def replay(
    role: str,
    turns: Iterable[Sequence[bytes]],
    *,
    eager: bool = False,
    engine: Engine | None = None,
    events: list[Any] | None = None,
    talk: Talk | None = None,
    output: bytearray | None = None,
) -> list[str]:
    """Feed a conversation in these pieces, and return the events.

    Args:
        turns: the pieces of each turn.
        eager: let the application have its say after each piece, and not only after each turn.
        engine: the engine to feed; None makes one.
        talk: an application that has its start behind it; None makes one and starts it.
        events, output: take the events themselves, and what the engine says.
    """
    engine = engine if engine is not None else Engine(talk_config(role), START)
    collected: list[Any] = events if events is not None else []
    said = output if output is not None else bytearray()
    described: list[str] = []
    if talk is None:
        talk = Talk(engine, role)
        talk.start()
        said += turn(engine, talk, collected, described)
    for pieces in turns:
        for piece in pieces:
            engine.receive_data(piece, engine.now)
            if eager:
                said += turn(engine, talk, collected, described)
        said += turn(engine, talk, collected, described)
    return described
