"""What holds for any message, any settlement and any encoding: the engine's fast paths against the generic codec."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.peer import codec
from tests.peer.codec import Composite
from tests.peer.frames import decode_frame, performative
from tests.support.effort import examples
from tests.support.pair import Pair, cut_at
from uamqp.codec import (
    ACCEPTED,
    RELEASED,
    DecodeError,
    DeliveryState,
    Disposition,
    Error,
    Modified,
    Rejected,
    Symbol,
    Transfer,
    decode_composite,
    encode_value,
)
from uamqp.engine import IncomingDelivery, OutgoingDelivery, sasl
from uamqp.engine.events import ConnectionOpened, IncomingSettled, SaslInit
from uamqp.engine.frames import (
    DispositionReader,
    TransferHead,
    TransferReader,
    append_continuation,
    append_disposition,
    append_frame,
    append_transfer,
    continuation_size,
    transfer_prefix,
    transfer_size,
    uint_bytes,
)

UINTS = st.one_of(st.sampled_from([0, 1, 255, 256, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
FLAGS = st.sampled_from([None, True, False])
ERROR = Error(Symbol("test:error"), "because")
STATES: list[DeliveryState | None] = [None, ACCEPTED, RELEASED, Rejected(ERROR), Modified(True, None), Rejected()]


# -- the data path's own reading and writing, against the generic codec


def encodings_of_uint(value: int) -> list[bytes]:
    """Every encoding of a uint."""
    found = [b"\x70" + value.to_bytes(4, "big")]
    if value < 256:
        found.append(bytes((0x52, value)))
    if value == 0:
        found.append(b"\x43")
    return found


@st.composite
def encoded_uints(draw: st.DrawFn, *, optional: bool = True) -> bytes:
    value = draw(st.one_of(UINTS, st.none())) if optional else draw(UINTS)
    return b"\x40" if value is None else draw(st.sampled_from(encodings_of_uint(value)))


BOOLEANS = st.sampled_from([b"\x40", b"\x41", b"\x42", b"\x56\x00", b"\x56\x01"])
TAGS = st.binary(max_size=40).flatmap(
    lambda tag: st.sampled_from(
        [b"\xa0" + bytes([len(tag)]) + tag, b"\xb0" + len(tag).to_bytes(4, "big") + tag, b"\x40"]
    )
)
ENCODED_STATES = st.sampled_from(
    [
        b"\x40",
        *(encode_value(state) for state in STATES if state is not None),
        b"\x00\xa3\x12amqp:accepted:list\x45",
    ]
)


@st.composite
def encoded_lists(draw: st.DrawFn, descriptor: int, items: list[bytes]) -> bytes:
    """A composite of these fields, in any form of list and descriptor; nulls at the end may be left out."""
    count = draw(st.integers(1, len(items)))
    body = b"".join(items[:count])
    forms = [b"\xd0" + (len(body) + 4).to_bytes(4, "big") + count.to_bytes(4, "big") + body]
    if len(body) < 255:
        forms.append(b"\xc0" + bytes((len(body) + 1, count)) + body)
    start = draw(st.sampled_from([b"\x00\x53" + bytes([descriptor]), b"\x00\x80" + descriptor.to_bytes(8, "big")]))
    return start + draw(st.sampled_from(forms))


@st.composite
def encoded_transfers(draw: st.DrawFn) -> bytes:
    items = [
        draw(encoded_uints(optional=False)),
        draw(encoded_uints()),
        draw(TAGS),
        draw(encoded_uints()),
        draw(BOOLEANS),
        draw(BOOLEANS),
        draw(st.sampled_from([b"\x40", b"\x50\x00", b"\x50\x01"])),
        draw(ENCODED_STATES),
        draw(BOOLEANS),
        draw(BOOLEANS),
        draw(BOOLEANS),
    ]
    return draw(encoded_lists(0x14, items))


def read_by_both(data: bytes) -> tuple[Any, Any]:
    """The fields and the start of the payload, by the fast reader and by the generic decoder; or that it's an error."""
    reader = TransferReader()
    try:
        stop = reader.read(data, 0, len(data))
        flags = (reader.settled, reader.more, reader.resume, reader.aborted)
        fast: Any = (
            stop,
            (reader.handle, reader.delivery_id, reader.delivery_tag, reader.message_format),
            flags,
            reader.state,
            reader.rcv_settle_mode,
        )
    except DecodeError:
        fast = None
    try:
        transfer, stop = decode_composite(data, 0, len(data))
    except DecodeError:
        return fast, None
    assert isinstance(transfer, Transfer)
    slow = (
        stop,
        (transfer.handle, transfer.delivery_id, transfer.delivery_tag, transfer.message_format),
        (bool(transfer.settled), bool(transfer.more), bool(transfer.resume), bool(transfer.aborted)),
        transfer.state,
        transfer.rcv_settle_mode,
    )
    return fast, slow


@settings(max_examples=examples(300))
@given(encoded_transfers(), st.binary(max_size=10))
def test_transfers_are_read_as_the_codec_reads_them(data: bytes, payload: bytes) -> None:
    fast, slow = read_by_both(data + payload)
    assert fast is not None
    assert fast == slow


@settings(max_examples=examples(300))
@given(encoded_transfers(), st.data())
def test_damaged_transfers_are_read_as_the_codec_reads_them(data: bytes, choices: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(choices.draw(st.integers(1, 2))):
        at = choices.draw(st.integers(3, len(damaged) - 1))
        damaged[at] = choices.draw(st.sampled_from([0, 1, 5, 0x40, 0x41, 0x43, 0x45, 0x52, 0x70, 0xA0, 0xC0, 0xFF]))
    cut = choices.draw(st.integers(4, len(damaged)))
    try:
        fast, slow = read_by_both(bytes(damaged[:cut]))
    except AssertionError:
        assume(False)  # another composite
        raise
    assert fast == slow


@settings(max_examples=examples(300))
@given(st.data())
def test_dispositions_are_read_as_the_codec_reads_them(data: st.DataObject) -> None:
    items = [
        data.draw(st.sampled_from([b"\x41", b"\x42", b"\x56\x01"])),
        data.draw(encoded_uints(optional=False)),
        data.draw(encoded_uints()),
        data.draw(BOOLEANS),
        data.draw(st.one_of(st.just(b"\x00\x53\x24\x45"), ENCODED_STATES)),
        data.draw(BOOLEANS),
    ][: data.draw(st.integers(2, 6))]
    encoded = bytearray(data.draw(encoded_lists(0x15, items)))
    for _ in range(data.draw(st.integers(0, 2))):
        encoded[data.draw(st.integers(3, len(encoded) - 1))] = data.draw(
            st.sampled_from([0, 1, 5, 17, 0x41, 0x43, 0x52, 0x70, 0xC0, 0xFF])
        )
    results: list[Any] = []
    for read in (read_disposition, lambda raw: decode_composite(raw)[0]):
        try:
            found = read(bytes(encoded))
        except DecodeError:
            found = None
        results.append(fields_of(found) if isinstance(found, Disposition) else None)
    assert results[0] == results[1]


def read_disposition(raw: bytes, start: int = 0) -> Disposition:
    reader = DispositionReader()
    reader.read(raw, start, len(raw))
    return Disposition(reader.receiver, reader.first, reader.last, reader.settled, reader.state)  # type: ignore[arg-type]


def fields_of(found: Disposition) -> tuple[Any, ...]:
    """What a disposition says: a `last` that is left out is `first`."""
    last = found.first if found.last is None else found.last
    return found.role, found.first, last, bool(found.settled), found.state


@given(UINTS)
def test_uints_are_written_as_the_codec_writes_them(value: int) -> None:
    assert uint_bytes(value) == codec.encode(codec.uint(value))


@given(
    handle=UINTS,
    number=UINTS,
    tag=st.binary(min_size=1, max_size=32),
    message_format=UINTS,
    settled=st.booleans(),
    more=st.booleans(),
    payload=st.binary(max_size=50),
    channel=st.integers(0, 65535),
)
def test_transfers_are_written_as_another_codec_reads_them(
    handle: int, number: int, tag: bytes, message_format: int, settled: bool, more: bool, payload: bytes, channel: int
) -> None:
    out = bytearray()
    prefix, of_link, of_format = transfer_prefix(channel), uint_bytes(handle), uint_bytes(message_format)
    append_transfer(out, prefix, of_link, number, tag, of_format, settled, more, payload)
    assert len(out) == transfer_size(of_link, tag, of_format) + more + len(payload)
    frame = decode_frame(bytes(out))
    assert (frame.channel, frame.payload) == (channel, payload)
    names = ["handle", "delivery_id", "delivery_tag", "message_format", "settled", "more"]
    assert [frame.get(name) for name in names] == [handle, number, tag, message_format, settled, more]
    out.clear()
    append_continuation(out, prefix, of_link, more, memoryview(payload))
    assert len(out) == continuation_size(of_link, more) + len(payload)
    frame = decode_frame(bytes(out))
    assert [frame.get(name) for name in names] == [handle, None, None, None, None, more]


@given(
    handle=UINTS,
    channel=st.integers(0, 65535),
    transfers=st.lists(st.tuples(UINTS, UINTS, st.booleans(), st.binary(max_size=50)), min_size=1, max_size=4),
)
def test_usual_transfers_are_the_same_as_others(
    handle: int, channel: int, transfers: list[tuple[int, int, bool, bytes]]
) -> None:
    prefix, of_link = transfer_prefix(channel), uint_bytes(handle)
    head = TransferHead(prefix, of_link)
    for number, tag, settled, payload in transfers:
        out, wanted = bytearray(b"before"), bytearray(b"before")
        append_transfer(wanted, prefix, of_link, number, tag.to_bytes(4, "big"), uint_bytes(0), settled, False, payload)
        head.append(out, number, tag, settled, payload)
        assert out == wanted
        assert head.size == len(out) - len(b"before") - len(payload)


@given(
    receiver=st.booleans(),
    first=UINTS,
    last=UINTS,
    settled=st.booleans(),
    state=st.one_of(
        st.sampled_from(STATES), st.integers(0, 600).map(lambda size: Rejected(Error(Symbol("x"), "y" * size)))
    ),
)
def test_dispositions_are_written_as_another_codec_reads_them(
    receiver: bool, first: int, last: int, settled: bool, state: DeliveryState | None
) -> None:
    out = bytearray()
    append_disposition(out, 7, receiver, first, last, settled, b"" if state is None else encode_value(state))
    frame = decode_frame(bytes(out))
    names = ["role", "first", "last", "settled"]
    assert [frame.get(name) for name in names] == [receiver, first, last, settled]
    whole = bytearray()
    append_frame(whole, 7, Disposition(receiver, first, last, settled, state))
    assert decode_frame(bytes(whole)).get("state") == frame.get("state")


def test_dispositions_around_the_edge_of_a_short_list() -> None:
    for size in range(180, 270):
        state = Rejected(Error(Symbol("x"), "y" * size))
        out = bytearray()
        append_disposition(out, 0, True, 1, 2, True, encode_value(state))
        frame = decode_frame(bytes(out))
        assert frame["state"]["error"]["description"] == "y" * size
        assert read_disposition(bytes(out), 8).state == state


# -- messages


@given(
    payloads=st.lists(st.binary(max_size=40).map(lambda data: data * 37), min_size=1, max_size=8),
    sizes=st.tuples(st.sampled_from([512, 513, 600, 70000]), st.sampled_from([512, 600, 70000])),
    window=st.sampled_from([1, 2, 3, 2048]),
    credit=st.sampled_from([1, 2, 100]),
    output=st.sampled_from([1, 1000, 10**6]),
    data=st.data(),
)
def test_any_messages_arrive_once_whole_and_in_order(
    payloads: list[bytes], sizes: tuple[int, int], window: int, credit: int, output: int, data: st.DataObject
) -> None:
    def pieces(chunk: bytes) -> list[bytes]:
        return cut_at(chunk, data.draw(st.lists(st.integers(1, max(1, len(chunk) - 1)), max_size=3)))

    pair = Pair({"max_frame_size": sizes[0]}, {"max_frame_size": sizes[1]}, pieces=pieces)
    pair.server.session_options = {"incoming_window": window}
    sender, receiver = pair.both()
    receiver.auto_credit(credit)
    given_settled = [data.draw(st.booleans()) for _ in payloads]
    formats = [data.draw(st.sampled_from([0, 1, 255, 256, 2**32 - 1])) for _ in payloads]
    sent = [
        sender.send(payload, settled=settled, message_format=number)
        for payload, settled, number in zip(payloads, given_settled, formats, strict=True)
    ]
    arrived: list[IncomingDelivery] = []
    for _ in range(3 * len(payloads)):
        pair.pump()
        new = [event for event in pair.server.drop() if type(event) is IncomingDelivery]
        arrived += new
        receiver.taken(len(new))
    assert [one.payload for one in arrived] == payloads
    assert [one.settled for one in arrived] == given_settled
    assert [one.message_format for one in arrived] == formats
    assert [one.tag for one in arrived] == [one.tag for one in sent]
    assert sender.queued == 0
    pair.close()
    finals = pair.client.all(OutgoingDelivery)
    assert sorted(map(id, finals)) == sorted(map(id, sent))
    assert [one.lost for one in sent] == [not settled for settled in given_settled]


# -- settlement


@given(
    count=st.integers(1, 12),
    first=st.sampled_from([0, 2**31 - 4, 2**32 - 5]),
    mode=st.sampled_from([0, 1]),
    data=st.data(),
)
def test_any_settlement_in_any_order_reaches_the_sender(count: int, first: int, mode: int, data: st.DataObject) -> None:
    """Dispositions leave as ranges; each delivery gets its own outcome all the same."""
    pair = Pair().open()
    session, _ = pair.begin(initial_id=first)
    sender, receiver = pair.link(session, rcv_settle_mode=mode)
    receiver.auto_credit(100)
    sent = [sender.send(b"%d" % number) for number in range(count)]
    pair.pump()
    arrived = pair.server.all(IncomingDelivery)
    outcomes = [data.draw(st.sampled_from(STATES)) for _ in arrived]
    for number in data.draw(st.permutations(range(count))):
        arrived[number].settle(outcomes[number])
        if data.draw(st.booleans()):
            pair.write(pair.server)
    pair.pump()
    for delivery, outcome in zip(sent, outcomes, strict=True):
        assert delivery.settled
        assert not delivery.lost
        assert delivery.remote_state == outcome
    assert all(one.settled for one in arrived)
    confirmed = {event.delivery for event in pair.server.all(IncomingSettled)}
    assert confirmed == {one for one, outcome in zip(arrived, outcomes, strict=True) if mode and outcome is not None}
    assert not session.unsettled.outgoing
    assert not receiver.session.unsettled.incoming
    pair.close()


@pytest.mark.parametrize("first", [0, 2**31 - 50, 2**32 - 50])
def test_settling_in_order_takes_few_frames(first: int) -> None:
    pair = Pair().open()
    session, _ = pair.begin(initial_id=first)
    sender, receiver = pair.link(session)
    receiver.auto_credit(1000)
    for _ in range(100):
        sender.send(b"")
    pair.pump()
    for delivery in pair.server.all(IncomingDelivery):
        delivery.settle(ACCEPTED)
    pair.pump()
    assert len(pair.server.sent("disposition")) <= 2  # two where the numbers wrap
    assert all(isinstance(one.remote_state, type(ACCEPTED)) for one in pair.client.all(OutgoingDelivery))
    assert len(pair.client.all(OutgoingDelivery)) == 100


def test_settlements_of_both_directions_are_told_apart() -> None:
    """One session, ids in a row, the same state: still a frame for each role."""
    pair = Pair()
    sender, receiver = pair.both()
    back, mine = pair.link(sender.session, "back", receive=True)
    receiver.set_credit(10)
    mine.set_credit(10)
    pair.pump()
    outs = [sender.send(b"") for _ in range(4)]
    backs = [back.send(b"") for _ in range(4)]
    pair.pump()
    arrived = pair.client.all(IncomingDelivery)
    for number in range(4):  # 0 as the sender, 1 as the receiver, ...
        if number % 2:
            arrived[number].settle(None)
        else:
            outs[number].settle()
    pair.pump()
    assert [one.settled for one in backs] == [False, True, False, True]
    assert [one.settled for one in pair.server.all(IncomingDelivery)] == [True, False, True, False]
    pair.check()


@given(first=UINTS, last=UINTS, start=st.sampled_from([0, 3, 2**31 - 2, 2**32 - 3]), settled=st.booleans())
def test_any_range_settles_what_it_names_and_nothing_else(first: int, last: int, start: int, settled: bool) -> None:
    """The peer's range, whatever it is: those deliveries that it names, and no harm to the rest."""
    pair = Pair().open()
    session, _ = pair.begin(initial_id=start)
    sender, receiver = pair.link(session)
    receiver.auto_credit(100)
    sent = [sender.send(b"") for _ in range(6)]
    pair.pump()
    behind = (last - first) % 2**32 >= 2**31
    named = [one for one in sent if ((one.delivery_id or 0) - first) % 2**32 <= (last - first) % 2**32]
    fields = {"role": True, "first": first, "last": last, "settled": settled, "state": Composite("accepted", {})}
    body = performative("disposition", **fields)
    pair.client.engine.receive_data((8 + len(body)).to_bytes(4, "big") + b"\x02\x00\x00\x00" + body, pair.now)
    pair.client.collect()
    if behind:
        assert session.local_state is not session.remote_state
        return
    assert [one for one in sent if one.settled] == named
    assert [one for one in sent if one.remote_state is not None] == named


# -- credit


@given(steps=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 4)), max_size=12), data=st.data())
def test_credit_is_never_exceeded_however_it_is_given(steps: list[tuple[int, bool, int]], data: st.DataObject) -> None:
    """The other side's tracker counts; at rest both ends agree."""
    pair = Pair()
    sender, receiver = pair.both(initial_delivery_count=data.draw(st.sampled_from([0, 2**31 - 2, 2**32 - 3])))
    for credit, drain, count in steps:
        receiver.set_credit(credit, drain=drain)
        for _ in range(count):
            sender.send(b"x")
        for side in data.draw(st.permutations(pair.sides)):
            pair.write(side)
            if data.draw(st.booleans()):
                pair.read(side, data.draw(st.sampled_from([10, 1000])))
    pair.pump()
    if sender.drain:
        sender.drained()
    pair.pump()
    assert sender.delivery_count == receiver.delivery_count
    assert sender.credit == receiver.credit or (sender.queued and receiver.credit == 0)
    pair.check()


@given(window=st.integers(1, 20), takes=st.lists(st.integers(0, 6), max_size=20))
def test_automatic_credit_keeps_to_its_window(window: int, takes: list[int]) -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.auto_credit(window)
    for _ in range(200):
        sender.send(b"", settled=True)
    buffered = 0
    for take in [*takes, 0]:
        pair.pump()
        buffered += [type(event) for event in pair.server.drop()].count(IncomingDelivery)
        assert receiver.buffered == buffered
        assert receiver.credit + buffered <= window
        assert buffered > window >> 1 or not sender.queued
        taken = min(take, buffered)
        receiver.taken(taken)
        buffered -= taken
    pair.check()


# -- SASL

NAMES = ["PLAIN", "ANONYMOUS", "EXTERNAL", "MSSBCBS"]
MECHANISMS: dict[str, Any] = {
    "PLAIN": sasl.Plain("user", "password"),
    "ANONYMOUS": sasl.Anonymous(),
    "EXTERNAL": sasl.External(),
    "MSSBCBS": sasl.Mssbcbs(),
}


@pytest.mark.parametrize("wanted", [order for count in (1, 2, 4) for order in itertools.permutations(NAMES, count)])
def test_the_clients_best_mechanism_that_the_server_offers_is_chosen(wanted: tuple[str, ...]) -> None:
    for offered in (("PLAIN",), ("ANONYMOUS", "PLAIN"), ("MSSBCBS", "EXTERNAL"), ("GSSAPI",)):
        pair = Pair({"mechanisms": [MECHANISMS[name] for name in wanted]}, {"server_mechanisms": offered})
        pair.client.engine.open(pair.now)
        pair.pump()
        both = [name for name in wanted if name in offered]
        assert [event.mechanism for event in pair.server.all(SaslInit)] == both[:1]
        assert len(pair.client.all(ConnectionOpened)) == bool(both)
        if not both:
            cause = pair.ended(pair.client).cause
            assert cause is not None
            assert all(name in cause.message for name in (*wanted, *offered))
