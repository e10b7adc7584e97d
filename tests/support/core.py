"""A connection core with a scripted peer at the other end, without I/O, and an owner that notes what it hears."""

from __future__ import annotations

from typing import Any

from tests.peer.script import SENDER, MemoryPeer
from uamqp.codec import Source, Target
from uamqp.core import (
    ConnectionCore,
    LinkCore,
    LinkHandler,
    LinkSettings,
    LinkState,
    ReceiverCore,
    SenderCore,
    SessionCore,
)
from uamqp.engine import Cause, EngineConfig, IncomingDelivery, OutgoingDelivery


class Owner:
    """Owns everything, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.causes: list[Cause | None] = []
        self.deliveries: list[IncomingDelivery] = []
        self.raises: Exception | None = None

    def note(self, what: str) -> None:
        self.heard.append(what)
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise error

    def on_connection_opened(self) -> None:
        self.note("connection open")

    def on_connection_closed(self, cause: Cause | None) -> None:
        self.causes.append(cause)
        self.note("connection closed")

    def on_attach(self, link: LinkCore) -> None:
        self.note("attach")

    def on_link_state(self, previous: LinkState, state: LinkState) -> None:
        self.note(f"{previous.value} to {state.value}")


class Handler(LinkHandler):
    """Handles links, and has the owner note what it hears."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        self.owner.deliveries.append(delivery)
        self.owner.note(f"delivery {delivery.delivery_id}")

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        self.owner.note(f"outcome of {delivery.context}")

    def on_credit(self, now: float) -> bool:
        self.owner.note("credit")
        return False


class Client:
    """A connection core with a scripted peer at the other end."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.now = 0.0
        self.owner = Owner()
        self.core = ConnectionCore(self.owner)
        self.engine = self.core.start(config or EngineConfig("me"), self.now)
        self.peer = MemoryPeer(lambda: map(bytes, self.engine.data_to_send()), self.receive)
        self.session = SessionCore(self.core, incoming_window=100)

    def receive(self, data: bytes) -> None:
        self.engine.receive_data(data, self.now)
        self.core.handle_events(self.now)

    def tick(self, now: float) -> None:
        self.now = now
        self.engine.tick(now)
        self.core.handle_events(now)

    def sender(self, **settings: Any) -> SenderCore:
        name = settings.pop("name", "s")
        core = SenderCore(self.session, LinkSettings(name, Source("me"), Target("q"), **settings), self.owner)
        core.handler = Handler(self.owner)
        return core

    def receiver(self, **settings: Any) -> ReceiverCore:
        name = settings.pop("name", "r")
        core = ReceiverCore(self.session, LinkSettings(name, Source("q"), Target("me"), **settings), self.owner)
        core.handler = Handler(self.owner)
        return core


def opened_sender(client: Client, credit: int = 10) -> SenderCore:
    """A sender of the client, open, with credit; nothing of that is noted."""
    sender = client.sender()
    sender.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    if credit:
        client.peer.grant(credit)
    client.owner.heard.clear()
    return sender
