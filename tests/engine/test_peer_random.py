"""Random conversations with a peer that mostly keeps to the specification, and sometimes doesn't.

Whatever it says: the engine raises nothing, answers with well-formed frames that the peer's tracker has nothing
against, ends with one ConnectionClosed, and never asks for a tick that changes nothing.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.peer import codec
from tests.peer.frames import Frame
from tests.peer.script import ABSENT, RECEIVER, SENDER
from tests.support.effort import examples
from tests.support.peered import Rig, error
from uamqp.codec import ACCEPTED, RELEASED, Error, Rejected, Source, Symbol, Target
from uamqp.engine import IncomingDelivery, Limits, LocalProtocolError, Sender, Session
from uamqp.engine.events import ConnectionClosed, ConnectionOpening, LinkOpening, SessionOpening

NUMBERS = [0, 0, 0, 1, 1, 2, 3, 7, 100, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
STATES = [
    None,
    codec.accepted(),
    codec.released(),
    codec.rejected(error=error("amqp:not-allowed", "no")),
    codec.modified(delivery_failed=True),
    codec.received(section_number=0, section_offset=3),
    codec.transactional_state(txn_id=codec.binary(b"t"), outcome=codec.accepted()),
]
LIES = ["is ahead of ours", "we have sent up to", "they have sent up to", "is ahead of what we sent"]
FAULTS = [None, None, None, error("amqp:internal-error", "oops"), error("com.example:long", "x" * 300)]


class Chaos:
    """A connection between an engine with a busy user and a busy peer, both led by one random number generator."""

    def __init__(self, seed: int, *, wild: bool) -> None:
        self.random = random.Random(seed)
        self.wild = wild  # the peer breaks rules, and says numbers that make no sense
        self.rig = Rig(self.random.choice([None, None, 1, 7]))
        self.peer = self.rig.peer
        self.peer.timeout = 0.0
        self.peer.strict = not wild
        self.ended = 0
        self.channels: list[int] = []
        self.handles: dict[int, list[tuple[int, bool]]] = {}
        self.sessions: list[Session] = []
        self.links: list[Any] = []
        self.deliveries: list[Any] = []
        self.open()

    def open(self) -> None:
        pick = self.random.choice
        limits = Limits(unsettled=pick([3, 1000]), output_bytes=pick([200, 10**6]), links=pick([3, 100]))
        config = {"idle_timeout": pick([None, 30.0]), "limits": limits, "link_timeout": pick([1.0, 30.0])}
        theirs = {
            "max_frame_size": pick([512, 65536, 2**32 - 1]),
            "channel_max": pick([0, 2, 65535]) if self.wild else 65535,
            "idle_time_out": pick([None, 100, 60_000]),
        }
        if self.random.random() < 0.5:
            self.rig.open(theirs, **config)
        else:
            self.rig.open_server(theirs, **config)

    # ---------------------------------------------------- one step

    def step(self) -> None:
        roll = self.random.random()
        if roll < 0.55:
            self.peer_says()
        elif roll < 0.9:
            self.user_does()
        else:
            self.time_goes()
        self.look()

    def time_goes(self) -> None:
        rig = self.rig
        rig.now += self.random.choice([0.0, 0.01, 1.0, 4.0])
        deadline = rig.engine.next_deadline()
        if deadline is not None and deadline <= rig.now:
            rig.engine.tick(rig.now)
            self.look()
            again = rig.engine.next_deadline()
            assert again is None or again > rig.now, "a tick that changes nothing"

    def look(self) -> None:
        """Read what the engine says, and handle its events as an application might."""
        while (came := self.peer._next(0.0, "anything")) is not None:
            self.hear(came)
        for event in self.rig.drop_events():
            assert not self.ended, "an event after ConnectionClosed"
            try:
                self.handle(event)
            except LocalProtocolError:
                pass
        while (came := self.peer._next(0.0, "anything")) is not None:
            self.hear(came)
        # Who lies about its own numbers has them quoted back.
        wrong = [finding for finding in self.peer.findings if not any(lie in finding for lie in LIES)]
        assert not wrong, "\n".join([*wrong, *self.peer.history[-30:]])

    def hear(self, came: Frame) -> None:
        """Now and then the peer answers as it should."""
        if self.random.random() < 0.2:
            return
        channel = self.peer.tracker.our_channel(came.channel)
        if came.name == "begin" and came["remote_channel"] is None:
            mine = self.free_channel()
            self.channels.append(mine)
            self.peer.send("begin", channel=mine, remote_channel=came.channel, incoming_window=self.window())
        elif (
            came.name == "attach" and channel in self.channels and (came["name"], not came["role"]) not in self.names()
        ):
            self.attach(channel, came["name"], not came["role"])
        elif came.name == "detach":
            handle, channel = self.peer.tracker.our_handle(came)
            if (handle, SENDER) in self.handles.get(channel, []) or (handle, RECEIVER) in self.handles.get(channel, []):
                self.detach(channel, handle)
        elif came.name == "end" and channel in self.channels:
            self.end(channel)
        elif came.name == "close":
            self.peer.send("close")

    def names(self) -> set[tuple[str, bool]]:
        found = set()
        for session in self.peer.tracker.by_our_channel.values():
            found |= {(link.name, not link.they_send) for link in session.by_our_handle.values()}
        return {(name, not they_send) for name, they_send in found}

    def handle(self, event: Any) -> None:
        rig, chance = self.rig, self.random.random()
        if type(event) is ConnectionClosed:
            self.ended += 1
        elif type(event) is ConnectionOpening:
            rig.engine.open(rig.now)
        elif type(event) is SessionOpening:
            if chance < 0.9:
                event.session.accept(rig.now, incoming_window=self.random.choice([1, 5, 2048]))
                self.sessions.append(event.session)
            else:
                event.session.refuse(rig.now, Error(Symbol("amqp:not-allowed"), "no"))
        elif type(event) is LinkOpening:
            if chance < 0.9:
                event.link.accept(rig.now)
                self.links.append(event.link)
            else:
                event.link.refuse(rig.now, Error(Symbol("amqp:not-found"), "no"))
        elif isinstance(event, IncomingDelivery):
            event.link.taken()
            self.deliveries.append(event)

    # ---------------------------------------------------- the user

    def user_does(self) -> None:
        verbs = ["begin", "attach", "send", "send", "send", "credit", "credit", "settle", "settle", "leave"]
        try:
            getattr(self, f"user_{self.random.choice(verbs)}")()
        except LocalProtocolError:
            pass

    def user_begin(self) -> None:
        pick = self.random.choice
        window, start = pick([1, 3, 2048]), pick([0, 2**32 - 2])
        self.sessions.append(self.rig.engine.begin(self.rig.now, incoming_window=window, initial_id=start))

    def user_attach(self) -> None:
        if not self.sessions:
            return
        session, name = self.random.choice(self.sessions), self.random.choice("abc")
        modes = {"snd_settle_mode": self.random.choice([0, 1, 2]), "rcv_settle_mode": self.random.choice([0, 1])}
        ends: dict[str, Any] = {"source": Source("a"), "target": Target("b"), **modes}
        if self.random.random() < 0.5:
            count = self.random.choice([0, 2**32 - 1])
            self.links.append(session.attach_sender(self.rig.now, name, initial_delivery_count=count, **ends))
        else:
            self.links.append(session.attach_receiver(self.rig.now, name, max_message_size=50, **ends))

    def user_send(self) -> None:
        senders = [link for link in self.links if isinstance(link, Sender)]
        if senders:
            size = self.random.choice([0, 1, 480, 500, 3000])
            link = self.random.choice(senders)
            self.deliveries.append(link.send(b"m" * size, settled=self.random.random() < 0.3))

    def user_credit(self) -> None:
        if not self.links:
            return
        link, roll = self.random.choice(self.links), self.random.random()
        if isinstance(link, Sender):
            link.drained()
        elif roll < 0.5:
            link.auto_credit(self.random.choice([0, 1, 10]))
        else:
            link.set_credit(self.random.choice([0, 1, 5, 2**31 - 1]), drain=roll < 0.7, echo=roll > 0.9)

    def user_settle(self) -> None:
        if not self.deliveries:
            return
        delivery, roll = self.random.choice(self.deliveries), self.random.random()
        if isinstance(delivery, IncomingDelivery):
            outcome = self.random.choice([None, ACCEPTED, RELEASED, Rejected(Error(Symbol("c"), "d" * 450))])
            delivery.settle(outcome)
        elif roll < 0.3:
            delivery.withdraw()
        elif roll < 0.6:
            delivery.abort()
        else:
            delivery.settle()

    def user_leave(self) -> None:
        rig, roll = self.rig, self.random.random()
        if roll < 0.5 and self.links:
            self.random.choice(self.links).detach(rig.now, closed=roll < 0.4)
        elif roll < 0.6 and self.sessions:
            self.random.choice(self.sessions).end(rig.now)
        elif roll > 0.97:
            rig.engine.close(rig.now)

    # ---------------------------------------------------- the peer

    def window(self) -> int:
        return self.random.choice([0, 1, 5, 2048, 2**32 - 1])

    def number(self, right: int) -> int:
        """A number as it should be, or any other if the peer is wild."""
        return self.random.choice(NUMBERS) if self.wild and self.random.random() < 0.1 else right

    def peer_says(self) -> None:
        if self.peer.tracker.they_closed or self.ended:
            return
        verbs = [
            "begin",
            "attach",
            "attach",
            "flow",
            "flow",
            "transfer",
            "transfer",
            "transfer",
            "disposition",
            "leave",
        ]
        getattr(self, "peer_" + self.random.choice(verbs))()

    def free_channel(self) -> int:
        """A channel that is free on our side; sessions whose end isn't answered keep theirs."""
        return next(c for c in range(65536) if c not in self.channels and c not in self.peer.tracker.by_our_channel)

    def peer_begin(self) -> None:
        if len(self.channels) < 3:
            mine = self.number(self.free_channel()) % 65536
            self.channels.append(mine)
            self.peer.send("begin", channel=mine, incoming_window=self.window(), next_outgoing_id=self.number(0))

    def attach(self, channel: int, name: str, role: bool) -> None:
        taken = [handle for handle, _ in self.handles.get(channel, [])]
        handle = self.number((max(taken, default=-1) + 1) % 2**32)
        self.handles.setdefault(channel, []).append((handle, role))
        self.peer.send(
            "attach",
            channel=channel,
            name=name,
            handle=handle,
            role=role,
            snd_settle_mode=self.random.choice([0, 1, 2]),
            rcv_settle_mode=self.random.choice([0, 1]),
            source=self.random.choice([codec.source(address="q"), None]),
            target=self.random.choice([codec.target(address="q"), None]),
            initial_delivery_count=self.random.choice([0, 2**32 - 1]) if role == SENDER else None,
            max_message_size=self.random.choice([None, 0, 400]),
        )

    def peer_attach(self) -> None:
        if self.channels:
            name, role = self.random.choice("xyz"), self.random.random() < 0.5
            if (name, role) not in self.names():
                self.attach(self.random.choice(self.channels), name, role)

    def a_link(self, role: bool) -> tuple[int, int] | None:
        found = [(c, handle) for c, ends in self.handles.items() for handle, end in ends if end == role]
        return self.random.choice(found) if found else None

    def peer_flow(self) -> None:
        role = self.random.random() < 0.5
        where = self.a_link(role)
        fields: dict[str, Any] = {"incoming_window": self.window()} if self.random.random() < 0.8 else {}
        if self.random.random() < 0.2:
            fields["echo"] = True
        if where is None:
            if self.channels:
                self.peer.send("flow", channel=self.random.choice(self.channels), **fields)
            return
        channel, handle = where
        count = self.number(self.peer.tracker.delivery_count(channel, handle))
        credit = self.random.choice(NUMBERS) if role == RECEIVER else None
        if role == RECEIVER:
            fields["drain"] = self.random.random() < 0.2
        fields["delivery_count"] = ABSENT if self.random.random() < 0.05 else count
        self.peer.send("flow", channel=channel, handle=handle, link_credit=credit, **fields)

    def peer_transfer(self) -> None:
        where = self.a_link(SENDER)
        if where is None:
            return
        channel, handle = where
        number = self.number(self.peer.tracker.next_delivery_id(channel))
        if self.peer.tracker.credit(channel, handle) <= 0 and not self.wild:
            return
        size = self.random.choice([0, 1, 49, 60] if self.wild else [0, 1, 49])
        fields: dict[str, Any] = {"settled": True} if self.random.random() < 0.2 else {}
        self.peer.send_delivery(
            b"p" * size, channel=channel, handle=handle, delivery_id=number, frame_payload=20, **fields
        )
        if self.wild and self.random.random() < 0.2:
            more: dict[str, Any] = {"aborted": True} if self.random.random() < 0.5 else {"more": True}
            self.peer.send("transfer", channel=channel, handle=handle, **more)

    def peer_disposition(self) -> None:
        if not self.channels:
            return
        channel = self.random.choice(self.channels)
        known = (self.peer.tracker.session(channel).next_incoming_id or 0) - 1
        first = self.random.choice([*NUMBERS, *range(max(0, known - 4), max(0, known) + 1)])
        last = self.random.choice([None, first, (first + 5) % 2**32, (first + 2**31 - 1) % 2**32])
        if self.wild and self.random.random() < 0.05:
            last = self.random.choice(NUMBERS)
        settled, state = self.random.random() < 0.6, self.random.choice(STATES)
        role = self.random.random() < 0.7
        self.peer.send("disposition", channel=channel, role=role, first=first, last=last, settled=settled, state=state)

    def detach(self, channel: int, handle: int) -> None:
        ends = self.handles.get(channel, [])
        self.handles[channel] = [end for end in ends if end[0] != handle]
        fault = self.random.choice(FAULTS)
        self.peer.send("detach", channel=channel, handle=handle, closed=self.random.random() < 0.7, error=fault)

    def end(self, channel: int) -> None:
        self.channels.remove(channel)
        self.handles.pop(channel, None)
        self.peer.send("end", channel=channel, error=self.random.choice(FAULTS))

    def peer_leave(self) -> None:
        roll = self.random.random()
        where = self.a_link(self.random.random() < 0.5)
        if roll < 0.3 and where is not None:
            self.detach(*where)
        elif roll < 0.4 and self.channels:
            self.end(self.random.choice(self.channels))
        elif roll < 0.8:
            self.peer.send_empty_frame()
        elif roll > 0.97:
            self.peer.send("close", error=self.random.choice(FAULTS))

    # ---------------------------------------------------- the end

    def finish(self) -> None:
        """The stream ends: now at the latest everything is over."""
        self.peer.close_socket()
        self.look()
        engine = self.rig.engine
        assert self.ended == 1
        assert engine.is_closed
        assert engine.next_deadline() is None
        assert all(session.local_state == 2 for session in self.sessions)
        assert all(link.local_state == 2 for link in self.links)
        assert engine._held_bytes == 0
        for delivery in self.deliveries:
            assert delivery.settled or isinstance(delivery, IncomingDelivery)


@settings(max_examples=examples(150))
@given(seed=st.integers(0, 2**32))
def test_a_peer_that_keeps_to_the_specification_or_nearly(seed: int) -> None:
    chaos = Chaos(seed, wild=False)
    for _ in range(80):
        chaos.step()
    chaos.finish()


@settings(max_examples=examples(150))
@given(seed=st.integers(0, 2**32))
def test_a_wild_peer(seed: int) -> None:
    chaos = Chaos(seed, wild=True)
    for _ in range(80):
        chaos.step()
    chaos.finish()


def test_the_random_conversations_get_somewhere() -> None:
    """A checker with a hole is worse than none: deliveries go both ways, and connections live for a while."""
    received = sent = lived = 0
    for seed in range(100):
        chaos = Chaos(seed, wild=False)
        for _ in range(80):
            chaos.step()
            lived += not chaos.ended
        received += sum(isinstance(delivery, IncomingDelivery) for delivery in chaos.deliveries)
        sent += sum(getattr(delivery, "sent", False) for delivery in chaos.deliveries)
    assert received > 50
    assert sent > 50
    assert lived > 1500
