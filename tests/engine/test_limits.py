"""Every bound on what a peer can size, at the limit and one past it; the peer's own bounds, which we keep to.

`Pair` brings the connection up; what an honest engine would not send is put on the wire as bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import pytest

from tests.peer.frames import SASL_HEADER, Frame, frame, performative
from tests.support.pair import START, Pair, Side
from uamqp.codec import ACCEPTED, DeliveryState, Error, Received, Source, Symbol, Target
from uamqp.engine import (
    Cause,
    CauseKind,
    Engine,
    EngineConfig,
    IncomingDelivery,
    Limits,
    LocalProtocolError,
    MessageTooLarge,
    Receiver,
    Role,
    sasl,
)
from uamqp.engine.events import ConnectionClosed, LinkDetached, LinkOpened, SessionEnded, SessionOpened

TERMINI: dict[str, Any] = {"source": Source("here"), "target": Target("there")}


def limited(**limits: int) -> dict[str, Any]:
    """Arguments of a configuration with these limits."""
    return {"limits": Limits(**limits)}


def inject(pair: Pair, *frames: bytes) -> None:
    """Frames to the server, as if the client had sent them; the client's engine knows nothing of it."""
    for one in frames:
        pair.client.put(one, pair.server)
    pair.read(pair.server)
    while pair.handle(pair.server):
        pass
    pair.write(pair.server)


def fails(side: Side, condition: str) -> Cause:
    """The connection is over for this fault of the peer; the last frame out is a close that says so."""
    cause = side.last(ConnectionClosed).cause
    assert cause is not None
    assert (cause.kind, cause.condition) == (CauseKind.PROTOCOL, condition), cause
    close = side.frames[-1]
    assert isinstance(close, Frame)
    assert close.name == "close"
    assert close["error"]["condition"] == condition
    return cause


def transfer(number: int, payload: bytes = b"", handle: int = 0, **more: Any) -> bytes:
    given: dict[str, Any] = {"handle": handle, "delivery_id": number, "delivery_tag": b"%d" % number, **more}
    return frame(performative("transfer", **given), payload)


def attach(number: int, **more: Any) -> bytes:
    given: dict[str, Any] = {"name": f"link {number}", "handle": number, "role": True, **more}
    return frame(performative("attach", **given))


def begin(channel: int) -> bytes:
    return frame(performative("begin", next_outgoing_id=0, incoming_window=10, outgoing_window=10), channel=channel)


# -- the limits themselves


@pytest.mark.parametrize("field", [one.name for one in fields(Limits)])
def test_a_limit_has_a_least_value(field: str) -> None:
    least = {"overrun": 0, "frame_size": 512, "sasl_frame_size": 512}.get(field, 1)
    assert getattr(Limits(**{field: least}), field) == least
    for wrong in (least - 1, -1, None, "1", 1.5):
        with pytest.raises(ValueError, match=field):
            Limits(**{field: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "good", "wrong"),
    [
        ("max_frame_size", [512, 2**32 - 1], [511, 0, -1, 2**32]),
        ("channel_max", [0, 65535], [-1, 65536]),
        ("idle_timeout", [None, 0.001, 4294967.295], [0, 0.0009, -1, 4294968]),
        ("heartbeat_ratio", [0.001, 0.999], [0, 1, -0.5, 2]),
    ],
)
def test_a_setting_has_its_range(field: str, good: list[Any], wrong: list[Any]) -> None:
    for value in good:
        assert getattr(EngineConfig("me", **{field: value}), field) == value
    for value in wrong:
        with pytest.raises(LocalProtocolError, match=field):
            EngineConfig("me", **{field: value})


def test_a_container_has_a_name() -> None:
    with pytest.raises(LocalProtocolError, match="container_id"):
        EngineConfig("")


# -- frames


@pytest.mark.parametrize(
    "config",
    [{"max_frame_size": 1000}, {"max_frame_size": 70000, **limited(frame_size=1000)}],
    ids=["max_frame_size", "limits.frame_size"],
)
def test_frames_up_to_our_limit(config: dict[str, Any]) -> None:
    pair = Pair({}, config).open()
    assert pair.server.sent("open")[0]["max_frame_size"] == 1000
    inject(pair, frame(extended_header=bytes(992), doff=250))
    assert not pair.server.engine.is_closed
    # The first four bytes say how large it will be: nothing is held for it.
    pair.server.engine.receive_data((1001).to_bytes(4, "big"), pair.now)
    pair.handle(pair.server)
    pair.write(pair.server)
    cause = fails(pair.server, "amqp:connection:framing-error")
    assert "1001" in cause.message
    assert "1000" in cause.message


@pytest.mark.parametrize("size", range(9))
def test_frames_smaller_than_their_header(size: int) -> None:
    pair = Pair().open()
    pair.server.engine.receive_data(size.to_bytes(4, "big") + b"\x02\x00\x00\x00", pair.now)
    pair.handle(pair.server)
    pair.write(pair.server)
    if size < 8:
        fails(pair.server, "amqp:connection:framing-error")
    else:
        assert not pair.server.engine.is_closed


@pytest.mark.parametrize("size", [512, 513, 700])
@pytest.mark.parametrize("tag", [None, 4, 32])
def test_messages_are_cut_to_the_peers_frame_size(size: int, tag: int | None) -> None:
    """Every length around the edges of one, two and three frames."""
    pair = Pair({}, {"max_frame_size": size})
    sender, receiver = pair.both()
    receiver.auto_credit(1000)
    pair.pump()
    edges = [size * count for count in (1, 2, 3)]
    lengths = [0, 1, *(length for edge in edges for length in range(edge - 70, edge, 7 if tag == 32 else 1))]
    for length in lengths:
        sender.send(b"x" * length, tag=None if tag is None else b"%0*d" % (tag, length))
        pair.pump()
        delivery = pair.server.last(IncomingDelivery)
        assert len(delivery.payload) == length
        delivery.settle(ACCEPTED)
        receiver.taken()
        pair.pump()
    assert max(len(one.raw) for one in pair.client.sent("transfer")) == size
    unfinished = [one for one in pair.client.sent("transfer") if one["more"]]
    assert {len(one.raw) for one in unfinished} == {size}
    pair.close()


def test_no_command_makes_a_frame_over_the_peers_size() -> None:
    """At each length of what the user gives, the frame fits, or the command is refused and changes nothing."""
    refused = taken = 0
    for length in range(420, 490):
        pair = Pair({}, {"max_frame_size": 512}).open()
        session, _ = pair.begin()
        error = Error(Symbol("test:error"), "x" * length)
        engine = pair.client.engine
        commands: list[Callable[[], Any]] = [
            partial(engine.begin, pair.now, properties={Symbol("x"): "y" * length}),
            partial(session.attach_sender, pair.now, "n" * length, **TERMINI),
            partial(session.end, pair.now, error),
            partial(engine.close, pair.now, error),
        ]
        for command in commands:
            before = engine.state, engine.sessions, [len(tuple(one.links)) for one in engine.sessions]
            try:
                command()
            except LocalProtocolError:
                refused += 1
                assert engine.data_to_send() == []
                assert before == (engine.state, engine.sessions, [len(tuple(one.links)) for one in engine.sessions])
            else:
                taken += 1
                pair.pump()
        assert max(len(one.raw) for one in pair.client.frames if isinstance(one, Frame)) <= 512
        pair.check()
    assert refused > 70
    assert taken > 70


# -- messages


def test_messages_up_to_the_limit_of_a_receiver() -> None:
    for config, options in ((limited(message_size=100), {}), ({}, {"max_message_size": 100})):
        for length, fits in ((100, True), (101, False)):
            pair = Pair({}, config).open()
            session, _ = pair.begin()
            pair.server.link_options = options
            sender, receiver = pair.link(session)
            receiver.auto_credit(10)
            pair.pump()
            inject(pair, transfer(0, b"x" * length))
            assert len(pair.server.all(IncomingDelivery)) == fits
            if not fits:
                cause = pair.server.last(LinkDetached).cause if pair.server.all(LinkDetached) else receiver._cause
                assert cause is not None
                assert cause.condition == "amqp:link:message-size-exceeded"
                assert pair.server.sent("detach")[-1]["error"]["condition"] == "amqp:link:message-size-exceeded"
            assert sender.remote_max_message_size == options.get("max_message_size", 0)


@pytest.mark.parametrize("fits", [True, False])
def test_messages_in_pieces_up_to_the_limit(fits: bool) -> None:
    pair = Pair({}, limited(message_size=100))
    _, receiver = pair.both()
    receiver.auto_credit(10)
    pair.pump()
    inject(pair, transfer(0, b"x" * 60, more=True), transfer(0, b"y" * (40 if fits else 41)))
    assert [len(one.payload) for one in pair.server.all(IncomingDelivery)] == [100] * fits
    assert len(pair.server.sent("detach")) == (not fits)
    assert not pair.server.engine.is_closed


def test_messages_up_to_the_peers_limit() -> None:
    pair = Pair().open()
    session, _ = pair.begin()
    pair.server.link_options = {"max_message_size": 100}
    sender, receiver = pair.link(session)
    receiver.auto_credit(10)
    sender.send(b"x" * 100)
    with pytest.raises(MessageTooLarge, match=r"101 bytes.*100 bytes"):
        sender.send(b"x" * 101)
    pair.pump()
    assert [len(one.payload) for one in pair.server.all(IncomingDelivery)] == [100]
    pair.close()


def test_unfinished_messages_of_all_links_up_to_a_limit() -> None:
    pair = Pair({}, limited(buffered_bytes=100)).open()
    receivers: list[Receiver] = []
    for _ in range(2):
        session, _ = pair.begin()
        for name in "ab":
            _, receiver = pair.link(session, name)
            receiver.auto_credit(10)
            receivers.append(receiver)
    pair.pump()
    pieces = [(0, 0, 30), (0, 1, 30), (1, 0, 40)]
    for channel, handle, size in pieces:
        given = {"handle": handle, "delivery_id": handle, "delivery_tag": b"t", "more": True}
        inject(pair, frame(performative("transfer", **given), bytes(size), channel=channel))
    assert pair.server.sent("detach") == []
    given = {"handle": 1, "delivery_id": 1, "delivery_tag": b"t", "more": True}
    inject(pair, frame(performative("transfer", **given), b"x", channel=1))
    (detach,) = pair.server.sent("detach")
    assert (detach.channel, detach["handle"]) == (1, 1)
    assert detach["error"]["condition"] == "amqp:resource-limit-exceeded"
    # What is finished, aborted or lost makes room again.
    inject(pair, transfer(0, b""))
    inject(pair, frame(performative("transfer", handle=1, aborted=True)))
    assert [len(one.payload) for one in pair.server.all(IncomingDelivery)] == [30]
    inject(pair, transfer(2, bytes(60), more=True))
    assert len(pair.server.sent("detach")) == 1
    inject(pair, frame(performative("transfer", handle=0)))
    assert [len(one.payload) for one in pair.server.all(IncomingDelivery)] == [30, 60]
    inject(pair, frame(performative("end"), channel=1))
    inject(pair, transfer(3, bytes(100), more=True))
    assert len(pair.server.sent("detach")) == 1
    inject(pair, frame(performative("transfer", handle=0, more=True), b"x"))
    assert len(pair.server.sent("detach")) == 2


# -- sessions


def test_sessions_of_the_peer_up_to_the_limit() -> None:
    pair = Pair({}, limited(sessions=3)).open()
    inject(pair, *(begin(channel) for channel in range(3)))
    assert len(pair.server.all(SessionOpened)) == 3
    inject(pair, frame(performative("end"), channel=1), begin(1))
    assert len(pair.server.all(SessionOpened)) == 4
    inject(pair, begin(7))
    fails(pair.server, "amqp:resource-limit-exceeded")
    assert len(pair.server.all(SessionEnded)) == 4


def test_sessions_of_ours_up_to_the_limit() -> None:
    pair = Pair({}, limited(sessions=3)).open()
    pair.begin()
    pair.begin(pair.server)
    session, _ = pair.begin(pair.server)
    with pytest.raises(LocalProtocolError, match="3 sessions"):
        pair.server.engine.begin(pair.now)
    session.end(pair.now)
    pair.pump()
    pair.begin(pair.server)
    pair.close()


def test_sessions_of_both_that_cross_up_to_the_limit() -> None:
    """Whoever began them, and answered or not, no more than the limit stand at a time."""
    pair = Pair({}, limited(sessions=3)).open()
    for _ in range(2):
        pair.server.engine.begin(pair.now)
    inject(pair, begin(10))
    assert len(pair.server.engine.sessions) == 3
    inject(pair, begin(11))
    assert len(pair.server.engine.sessions) <= 3
    fails(pair.server, "amqp:resource-limit-exceeded")


@pytest.mark.parametrize("channel_max", [0, 1, 5])
def test_channels_up_to_ours(channel_max: int) -> None:
    pair = Pair({}, {"channel_max": channel_max}).open()
    assert pair.server.sent("open")[0].get("channel_max") == channel_max
    inject(pair, begin(channel_max))
    assert len(pair.server.all(SessionOpened)) == 1
    inject(pair, begin(channel_max + 1))
    fails(pair.server, "amqp:connection:framing-error")


@pytest.mark.parametrize("channel_max", [0, 1, 5])
def test_channels_up_to_the_peers(channel_max: int) -> None:
    pair = Pair({}, {"channel_max": channel_max}).open()
    for _ in range(channel_max + 1):
        session, _ = pair.begin()
    with pytest.raises(LocalProtocolError, match=f"{channel_max + 1} session"):
        pair.client.engine.begin(pair.now)
    assert {one.channel for one in pair.client.sent("begin")} == set(range(channel_max + 1))
    session.end(pair.now)
    pair.pump()
    again, _ = pair.begin()
    assert again.channel == session.channel
    pair.close()


# -- links


def test_links_of_the_peer_up_to_the_limit() -> None:
    pair = Pair({}, limited(links=3)).open()
    pair.begin()
    inject(pair, *(attach(number) for number in range(3)))
    inject(pair, frame(performative("detach", handle=1, closed=True)), attach(1))
    assert len(pair.server.all(LinkOpened)) == 4
    assert pair.server.sent("end") == []
    inject(pair, attach(3))
    assert pair.server.sent("end")[-1]["error"]["condition"] == "amqp:resource-limit-exceeded"
    assert not pair.server.engine.is_closed


def test_links_of_ours_up_to_the_limit() -> None:
    pair = Pair(limited(links=3)).open()
    session, theirs = pair.begin()
    pair.link(session, "a")
    pair.link(session, "a", receive=True)
    last, _ = pair.link(theirs, "b")
    with pytest.raises(LocalProtocolError, match="3 links"):
        session.attach_sender(pair.now, "c", **TERMINI)
    last.detach(pair.now)
    pair.pump()
    pair.link(session, "c")
    pair.begin()  # another session has a count of its own
    pair.close()


@pytest.mark.parametrize("handle_max", [0, 1, 5])
def test_handles_up_to_ours(handle_max: int) -> None:
    pair = Pair().open()
    pair.server.session_options = {"handle_max": handle_max}
    pair.begin()
    assert pair.server.sent("begin")[0].get("handle_max") == handle_max
    inject(pair, attach(handle_max))
    assert len(pair.server.all(LinkOpened)) == 1
    inject(pair, attach(handle_max + 1))
    fails(pair.server, "amqp:connection:framing-error")


@pytest.mark.parametrize("handle_max", [0, 1, 5])
def test_handles_up_to_the_peers(handle_max: int) -> None:
    pair = Pair().open()
    pair.server.session_options = {"handle_max": handle_max}
    session, _ = pair.begin()
    links = [pair.link(session, str(number))[0] for number in range(handle_max + 1)]
    with pytest.raises(LocalProtocolError, match=f"{handle_max + 1} link"):
        session.attach_sender(pair.now, "one more", **TERMINI)
    links[0].detach(pair.now)
    pair.pump()
    again, _ = pair.link(session, "one more")
    assert again.handle == links[0].handle
    pair.close()


# -- deliveries


@pytest.mark.parametrize("links", [1, 3])
def test_unsettled_deliveries_up_to_the_limit(links: int) -> None:
    """Automatic credit gives no more at it, what is out may still come, and it goes on when some are settled."""
    pair = Pair({}, limited(unsettled=6, overrun=0)).open()
    session, theirs = pair.begin()
    ends = [pair.link(session, str(number)) for number in range(links)]
    for sender, receiver in ends:
        receiver.auto_credit(10)
        for number in range(30):
            sender.send(b"%d" % number)
    most = 0
    for _ in range(200):
        pair.pump()
        most = max(most, len(theirs.unsettled.incoming))
        arrived = [one for one in pair.server.all(IncomingDelivery) if not one.settled]
        if not arrived:
            break
        for delivery in arrived[:4]:
            delivery.settle(ACCEPTED)
            if isinstance(delivery.link, Receiver):
                delivery.link.taken()
    assert 6 <= most <= 6 * links
    assert len(pair.server.all(IncomingDelivery)) == 30 * links
    pair.close()


def test_no_automatic_credit_at_the_limit_of_unsettled_deliveries() -> None:
    for unsettled, credit in ((5, 1), (6, 0)):
        pair = Pair({}, limited(unsettled=6)).open()
        session, _ = pair.begin()
        sender, receiver = pair.link(session, "first")
        receiver.set_credit(unsettled)
        for _ in range(unsettled):
            sender.send(b"")
        pair.pump()
        assert len(pair.server.all(IncomingDelivery)) == unsettled
        _, other = pair.link(session, "second")
        other.auto_credit(10)
        assert other.credit == credit
        pair.server.last(IncomingDelivery).settle(ACCEPTED)
        other.taken(0)
        assert other.credit == credit + 1


def test_deliveries_over_the_credit() -> None:
    for overrun, granted, tolerated in ((0, 3, 0), (2, 3, 2), (10, 3, 3)):
        pair = Pair({}, limited(overrun=overrun))
        _, receiver = pair.both()
        receiver.set_credit(granted)
        pair.pump()
        inject(pair, *(transfer(number) for number in range(granted + tolerated)))
        assert len(pair.server.all(IncomingDelivery)) == granted + tolerated
        assert pair.server.sent("detach") == []
        inject(pair, transfer(granted + tolerated))
        assert len(pair.server.all(IncomingDelivery)) == granted + tolerated
        assert pair.server.sent("detach")[-1]["error"]["condition"] == "amqp:link:transfer-limit-exceeded"
        assert not pair.server.engine.is_closed


@pytest.mark.parametrize("window", [1, 2, 7])
def test_transfers_up_to_the_incoming_window(window: int) -> None:
    pair = Pair().open()
    pair.server.session_options = {"incoming_window": window}
    pair.begin()
    session = pair.server.last(SessionOpened).session
    _, receiver = pair.link(session, receive=True)
    receiver.auto_credit(100)
    pair.pump()
    pair.client.put(b"".join(transfer(number) for number in range(window)), pair.server)
    pair.read(pair.server)
    assert not pair.server.sent("end")
    pair.client.put(transfer(window), pair.server)  # before the server has had a chance to renew the window
    pair.read(pair.server)
    pair.write(pair.server)
    assert len(pair.server.all(IncomingDelivery)) == window
    assert pair.server.sent("end")[0]["error"]["condition"] == "amqp:session:window-violation"


@pytest.mark.parametrize("length", [1, 31, 32])
def test_tags_up_to_32_bytes(length: int) -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(10)
    sender.send(b"", tag=b"t" * length)
    pair.pump()
    assert pair.server.last(IncomingDelivery).tag == b"t" * length
    for wrong in (0, 33):
        with pytest.raises(LocalProtocolError, match="32 bytes"):
            sender.send(b"", tag=b"t" * wrong)
    pair.close()


# -- output


def test_output_is_encoded_up_to_the_limit_and_one_frame() -> None:
    pair = Pair(limited(output_bytes=1000), {"max_frame_size": 600})
    sender, receiver = pair.both()
    receiver.auto_credit(1000)
    pair.pump()
    deliveries = [sender.send(b"x" * 150) for _ in range(100)]
    engine = pair.client.engine
    written = engine.data_to_send()
    size = sum(map(len, written))
    assert 1000 <= size < 1600
    pair.client.put(b"".join(map(bytes, written)), pair.server)
    out = sum(one.sent for one in deliveries)
    assert out < 10
    assert all(one.withdraw() for one in deliveries[out:])  # what isn't encoded can be taken back
    pair.pump()
    assert len(pair.server.all(IncomingDelivery)) == out
    pair.close()


@pytest.mark.parametrize("state", [None, Received(0, 0)])
def test_a_frame_is_no_larger_than_the_output_may_be(state: DeliveryState | None) -> None:
    """Whatever the peer accepts: what it takes of one message at a time is a second copy of that."""
    pair = Pair(limited(output_bytes=1000), {"max_frame_size": 60_000})
    sender, receiver = pair.both()
    receiver.auto_credit(10)
    pair.pump()
    payload = bytes(range(256)) * 20
    sender.send(payload, state=state)
    pair.pump()
    assert pair.server.last(IncomingDelivery).payload == payload
    sizes = [len(one.raw) for one in pair.client.sent("transfer")]
    assert sizes[:5] == [1000] * 5
    assert len(sizes) == 6
    pair.close()


def test_links_take_turns_where_the_output_is_full() -> None:
    pair = Pair(limited(output_bytes=1)).open()
    session, _ = pair.begin()
    senders = []
    for name in "abc":
        sender, receiver = pair.link(session, name)
        receiver.auto_credit(100)
        senders.append(sender)
    pair.pump()
    for sender in senders:
        for _ in range(3):
            sender.send(sender.name.encode())
    pair.pump()
    assert [bytes(one.payload) for one in pair.client.sent("transfer")] == [b"a", b"b", b"c"] * 3


def test_a_peer_that_sends_ahead_of_our_answer_is_held_up_to_a_limit() -> None:
    pair = Pair({}, limited(frame_size=1024, sasl_frame_size=512)).open()
    pair.server.answers = False
    heartbeat = frame()
    pair.client.put(begin(0), pair.server)
    pair.read(pair.server)
    pair.server.engine.receive_data(heartbeat * 192, pair.now)
    assert not pair.server.engine.is_closed
    pair.server.engine.receive_data(heartbeat, pair.now)
    pair.handle(pair.server)
    pair.write(pair.server)
    fails(pair.server, "amqp:resource-limit-exceeded")


# -- SASL


@pytest.mark.parametrize("rounds", [1, 3])
def test_challenges_up_to_the_limit(rounds: int) -> None:
    class Asked:
        name = "TEST"

        def initial_response(self) -> bytes | None:
            return None

        def step(self, challenge: bytes) -> bytes:
            return challenge

    for client, server in ((rounds, 100), (100, rounds)):
        pair = Pair(
            {"mechanisms": [Asked()], **limited(sasl_rounds=client)},
            {"server_mechanisms": ("TEST",), **limited(sasl_rounds=server)},
        )
        pair.server.answers = False
        pair.client.engine.open(pair.now)
        pair.pump()
        for _ in range(rounds):
            pair.server.engine.sasl_challenge(pair.now, b"?")
            pair.pump()
        assert not pair.client.engine.is_closed
        if server == rounds:
            with pytest.raises(LocalProtocolError, match=f"{rounds} SASL challenges"):
                pair.server.engine.sasl_challenge(pair.now, b"?")
            pair.server.engine.sasl_outcome(pair.now, 0)
            continue
        pair.server.engine.sasl_challenge(pair.now, b"?")
        pair.pump()
        cause = pair.ended(pair.client).cause
        assert cause is not None
        assert cause.condition == "amqp:resource-limit-exceeded"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("fits", [True, False])
def test_sasl_frames_up_to_the_limit(role: Role, fits: bool) -> None:
    config = EngineConfig(
        "me",
        role=role,
        mechanisms=[sasl.Anonymous()] if role is Role.CLIENT else (),
        server_mechanisms=() if role is Role.CLIENT else ("ANONYMOUS",),
        limits=Limits(sasl_frame_size=1000),
    )
    engine = Engine(config, START)
    if role is Role.CLIENT:
        engine.open(START)
        body = performative("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
    else:
        body = performative("sasl_init", mechanism="ANONYMOUS", initial_response=bytes(800))
    size = 1000 if fits else 1001
    header = bytes(1000 - 8 - len(body))  # the extended header fills it up
    start = 8 + len(header)
    assert start % 4 == 0 or len(body) % 4
    padding = 4 - len(body) % 4 if len(body) % 4 else 0
    whole = frame(body, bytes(padding), extended_header=bytes(1000 - 8 - len(body) - padding), type_=1, size=size)
    whole = whole[:4] + bytes([(1000 - len(body) - padding) // 4]) + whole[5:]
    engine.receive_data(SASL_HEADER + whole, START)
    assert engine.is_closed is not fits
    if not fits:
        assert engine.cause is not None
        assert engine.cause.condition == "amqp:connection:framing-error"
        assert "1000" in engine.cause.message
