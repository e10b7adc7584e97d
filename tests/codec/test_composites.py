"""Composites: encodings written by hand, defaults and nulls, and what decoding takes and refuses."""

from __future__ import annotations

import copy
import pickle
import uuid
from typing import Any

import pytest

from uamqp.codec import (
    ACCEPTED,
    ACCEPTED_BYTES,
    COMPOSITES_BY_CODE,
    RELEASED,
    RELEASED_BYTES,
    ROLE_RECEIVER,
    ROLE_SENDER,
    Accepted,
    Array,
    Attach,
    Begin,
    Close,
    Composite,
    Coordinator,
    Declare,
    Declared,
    DecodeError,
    DeleteOnClose,
    DeleteOnNoLinks,
    Described,
    Detach,
    Discharge,
    Disposition,
    EncodeError,
    End,
    Error,
    Flow,
    Header,
    Modified,
    Open,
    Properties,
    Received,
    Rejected,
    Released,
    SaslChallenge,
    SaslCode,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
    Source,
    Symbol,
    Target,
    Timestamp,
    TransactionalState,
    Transfer,
    UByte,
    UInt,
    ULong,
    UShort,
    decode_composite,
    decode_value,
    encode_value,
)


def text(value: str) -> str:
    return bytes([len(value)]).hex() + value.encode().hex()


# (composite, encoding by hand)
VECTORS: list[tuple[Composite, str]] = [
    (Open("c"), "005310c00401a10163"),
    (
        Open("c", "h", 512, 9, 1000, (Symbol("en"),), (), (Symbol("a"), Symbol("bc")), (), {"p": 1}),
        "005310c02b0aa10163a10168700000020060000970000003e8a302656e40e00702a3016102626340c10602a301705401",
    ),
    (Begin(None, 0, 1, 256), "005311c00a04404352017000000100"),
    (Begin(1, 0, 0, 0), "005311c00704600001434343"),
    (Attach("l", 0, ROLE_SENDER), "005312c00603a1016c4342"),
    (
        Attach("l", 1, ROLE_RECEIVER, 1, 1, Source("q"), Target()),
        "005312c01807a1016c52014150015001" + "005328c00401a10171" + "00532945",
    ),
    (Attach("l", 0, True, initial_delivery_count=0), "005312c00d0aa1016c4341" + "40" * 6 + "43"),
    (Flow(None, 1, 2, 3), "005313c0080440520152025203"),
    (Flow(0, 1, 2, 3, 4, 5, 6, None, True), "005313c0100943520152025203520452055206" + "4041"),
    (Transfer(0), "005314c0020143"),
    (Transfer(0, 1, b"\x00", 0, True, True), "005314c00a06435201a001004341" + "41"),
    (Disposition(True, 0, 5, True, ACCEPTED), "005315c00a05414352054100532445"),
    (Detach(0, True, Error(Symbol("x:y"), "no")), "005316c012034341" + "00531dc00a02a303783a79a1026e6f"),
    (End(), "00531745"),
    (Close(Error(Symbol("x"))), "005318c00a0100531dc00401a30178"),
    (Accepted(), "00532445"),
    (Released(), "00532645"),
    (Rejected(), "00532545"),
    (Rejected(Error(Symbol("x"), None, {"k": "v"})), "005325c0140100531dc00e03a3017840" + "c10702a3016ba10176"),
    (Modified(True, False, {"x": 1}), "005327c00b034142c10602a301785401"),
    (Modified(), "00532745"),
    (Received(0, 256), "005323c00b0243800000000000000100"),
    (SaslMechanisms((Symbol("PLAIN"),)), "005340c00801a305504c41494e"),
    (SaslMechanisms((Symbol("A"), Symbol("B"))), "005340c00901e00602a301410142"),
    (SaslMechanisms(()), "005340c00501e00200a3"),
    (SaslInit(Symbol("A"), b"\0u\0p", "h"), "005341c00d03a30141a00400750070a10168"),
    (SaslInit(Symbol("A")), "005341c00401a30141"),
    (SaslChallenge(b"c"), "005342c00401a00163"),
    (SaslResponse(b"r"), "005343c00401a00172"),
    (SaslOutcome(SaslCode.AUTH), "005344c003015001"),
    (Source(), "00532845"),
    (Source(durable=2, timeout=7), "005328c0070440" + "5202" + "40" + "5207"),
    (Coordinator((Symbol("amqp:local-transactions"),)), "005330c01a01a3" + text("amqp:local-transactions")),
    (Declare(), "00533145"),
    (Discharge(b"t", True), "005332c00502a0017441"),
    (Declared(b"t"), "005333c00401a00174"),
    (TransactionalState(b"t", ACCEPTED), "005334c00802a0017400532445"),
    (Header(True, 4, 1000, False, 0), "005370c00b05415004" + "70000003e8" + "4243"),
    (Header(), "00537045"),
    (Properties(b"i", to="q"), "005373c00803" + "a00169" + "40" + "a10171"),
    (Properties("i", creation_time=Timestamp(0)), "005373c0150a" + "a10169" + "40" * 8 + "83" + "00" * 8),
]


@pytest.mark.parametrize(("composite", "hexed"), VECTORS, ids=[repr(each[0])[:60] for each in VECTORS])
def test_vectors(composite: Composite, hexed: str) -> None:
    data = bytes.fromhex(hexed)
    assert composite.encode().hex() == hexed
    assert encode_value(composite).hex() == hexed
    assert encode_value([composite], bare=True) == encode_value([composite])
    out = bytearray(b"x")
    composite.append_to(out)
    assert out == b"x" + data
    assert decode_composite(b"xx" + data + b"\x40", 2) == (composite, 2 + len(data))
    assert decode_composite(data, 0, len(data))[0] == composite
    # By the long form of the numeric descriptor, and by the symbolic one.
    name = composite.NAME.encode()
    for descriptor in (b"\x80" + bytes(7) + data[2:3], b"\xa3" + bytes([len(name)]) + name):
        assert decode_composite(b"\x00" + descriptor + data[3:])[0] == composite
    for end in range(len(data)):
        with pytest.raises(DecodeError):
            decode_composite(data[:end])
        with pytest.raises(DecodeError):
            decode_composite(data, 0, end)
    for other in (copy.copy(composite), copy.deepcopy(composite), pickle.loads(pickle.dumps(composite))):
        assert other == composite
        assert type(other) is type(composite)


def test_shared_outcomes() -> None:
    assert ACCEPTED.encode() == ACCEPTED_BYTES
    assert RELEASED.encode() == RELEASED_BYTES
    assert Accepted() == ACCEPTED
    assert make(Released) != ACCEPTED


def make(cls: Any, *fields: Any, **named: Any) -> Any:
    """A composite with fields that its types don't allow."""
    return cls(*fields, **named)


def encode_fields(code: int, *fields: Any) -> bytes:
    return encode_value(Described(ULong(code), list(fields)))


def decoded(code: int, *fields: Any) -> Any:
    return decode_composite(encode_fields(code, *fields))[0]


class TestDefaults:
    def test_absent_and_null_give_the_default(self) -> None:
        for fields in ((), (None,) * 8):
            opened = decoded(0x10, "c", *fields)
            assert opened == Open("c")
            assert opened.max_frame_size == 4294967295
            assert opened.channel_max == 65535
            assert opened.idle_time_out is None
            assert opened.offered_capabilities == ()
            assert opened.properties is None
        attach = decoded(0x12, "l", UInt(0), True)
        assert (attach.snd_settle_mode, attach.rcv_settle_mode, attach.incomplete_unsettled) == (2, 0, False)
        assert decoded(0x28).expiry_policy == Symbol("session-end")
        assert decoded(0x11, None, UInt(0), UInt(0), UInt(0)).handle_max == 4294967295

    def test_none_encodes_as_the_default(self) -> None:
        assert Open("c", max_frame_size=None).encode() == Open("c").encode()  # type: ignore[arg-type]
        assert Source(expiry_policy=Symbol("session-end")).encode() == Source().encode()
        assert Source(expiry_policy="session-end").encode() == Source().encode()  # type: ignore[arg-type]

    def test_zero_is_not_false(self) -> None:
        for value in (0, 1, "false"):
            with pytest.raises(EncodeError, match=r"flow.drain: expected boolean, got"):
                Flow(None, 0, 0, 0, drain=value).encode()  # type: ignore[arg-type]


class TestMandatory:
    @pytest.mark.parametrize("cls", COMPOSITES_BY_CODE.values(), ids=lambda cls: cls.NAME)
    def test_missing(self, cls: type[Composite]) -> None:
        short = cls.NAME.split(":")[1]
        mandatory = [field for field in cls.FIELDS if field.mandatory]
        if not mandatory:
            assert decode_composite(encode_fields(cls.DESCRIPTOR))[0] == cls()
            assert cls().encode() == bytes((0, 0x53, cls.DESCRIPTOR, 0x45))
            return
        for data in (encode_fields(cls.DESCRIPTOR), encode_fields(cls.DESCRIPTOR, *([None] * len(cls.FIELDS)))):
            with pytest.raises(DecodeError, match=rf"^{short}\.{mandatory[0].name} is mandatory and missing"):
                decode_composite(data)
        with pytest.raises(EncodeError, match=rf"^{short}\.{mandatory[0].name}: is mandatory and can't be None"):
            cls(*([None] * len(cls.FIELDS))).encode()

    def test_after_an_optional_one_it_may_be_left_out_of_the_constructor(self) -> None:
        assert Begin(next_outgoing_id=0, incoming_window=1, outgoing_window=2) == Begin(None, 0, 1, 2)
        with pytest.raises(EncodeError, match=r"flow.incoming-window: is mandatory"):
            Flow().encode()


class TestWrongTypes:
    @pytest.mark.parametrize(
        ("code", "fields", "message"),
        [
            (0x10, [b"c"], "open.container-id: expected string, got binary"),
            (0x10, ["c", None, "512"], "open.max-frame-size: expected uint, got string"),
            (0x10, ["c", None, True], "open.max-frame-size: expected uint, got boolean"),
            (0x10, ["c", None, 1.5], "open.max-frame-size: expected uint, got double"),
            (0x10, ["c", None, Timestamp(5)], "open.max-frame-size: expected uint, got timestamp"),
            (0x10, ["c", None, -1], "open.max-frame-size: uint takes 0 to 4294967295, got -1"),
            (0x10, ["c", None, ULong(2**32)], "open.max-frame-size: uint takes 0 to 4294967295, got 4294967296"),
            (0x10, ["c", None, None, UInt(65536)], "open.channel-max: ushort takes 0 to 65535, got 65536"),
            (0x10, ["c", *[None] * 6, b"x"], "open.offered-capabilities: expected symbol, got binary"),
            (0x10, ["c", *[None] * 6, Array([1], "int")], "open.offered-capabilities: expected symbol, got int"),
            (0x10, ["c", *[None] * 6, ["x"]], "open.offered-capabilities: expected symbol, got list"),
            (
                0x10,
                ["c", *[None] * 6, Array([Symbol("x")], "symbol", [ULong(1)])],
                "open.offered-capabilities: expected symbol, got an array of described values",
            ),
            (0x10, ["c", *[None] * 8, []], "open.properties: expected fields, got list"),
            (0x10, ["c", *[None] * 8, {1: 2}], "open.properties: expected fields with symbols as keys, got int"),
            (0x10, ["c", *[None] * 10], "open has 10 fields, got 11"),
            (0x12, ["l", UInt(0), UByte(1)], "attach.role: expected role, got ubyte"),
            (0x12, ["l", UInt(0), True, UByte(3)], "attach.snd-settle-mode: sender-settle-mode takes 0 to 2, got 3"),
            (0x12, ["l", UInt(0), True, None, UByte(2)], "receiver-settle-mode takes 0 to 1, got 2"),
            (0x12, ["l", UInt(0), True, None, None, "q"], "attach.source: expected source, got string"),
            (0x12, ["l", UInt(0), True, None, None, Accepted()], "attach.source: expected source, got accepted"),
            (0x12, ["l", UInt(0), True, None, None, Target()], "attach.source: expected source, got target"),
            (
                0x12,
                ["l", UInt(0), True, None, None, Described(ULong(0x28), {})],
                "attach.source: source: expected a list, got map",
            ),
            (
                0x12,
                ["l", UInt(0), True, None, None, Described(ULong(0x28), [1])],
                "attach.source: source.address: expected address, got int",
            ),
            (0x14, [UInt(0), None, "tag"], "transfer.delivery-tag: expected delivery-tag, got string"),
            (0x15, [True, UInt(0), None, None, Source()], "disposition.state: expected delivery-state, got source"),
            (0x16, [UInt(0), None, Described(ULong(1), [])], "detach.error: expected error, got a value with desc"),
            (0x16, [UInt(0), None, Accepted()], "detach.error: expected error, got accepted"),
            (0x16, [UInt(0), None, "gone"], "detach.error: expected error, got string"),
            (0x1D, [5], "error.condition: expected symbol, got int"),
            (0x44, [UByte(5)], "sasl-outcome.code: sasl-code takes 0 to 4, got 5"),
            (0x28, ["q", UInt(3)], "source.durable: terminus-durability takes 0 to 2, got 3"),
            (0x33, ["t"], "declared.txn-id: expected txn-id, got string"),
            (0x34, [b"t", Received(0, 0)], "transactional-state.outcome: expected outcome, got received"),
            (0x73, [1.5], "properties.message-id: expected message-id, got double"),
            (0x73, [-1], "properties.message-id: expected message-id, got int"),
            (0x73, [True], "properties.message-id: expected message-id, got boolean"),
            (0x73, [None] * 8 + [5], "properties.absolute-expiry-time: expected timestamp, got int"),
        ],
    )
    def test_decode(self, code: int, fields: list[Any], message: str) -> None:
        with pytest.raises(DecodeError, match=message):
            decoded(code, *fields)

    @pytest.mark.parametrize(
        ("composite", "message"),
        [
            (make(Open, b"c"), "open.container-id: expected string, got binary"),
            (make(Open, "c", max_frame_size="5"), "open.max-frame-size: expected uint, got string"),
            (make(Open, "c", max_frame_size=True), "open.max-frame-size: expected uint, got boolean"),
            (make(Open, "c", max_frame_size=2**32), "open.max-frame-size: uint takes 0 to 4294967295, got 4294967296"),
            (make(Open, "c", channel_max=-1), "open.channel-max: ushort takes 0 to 65535, got -1"),
            (make(Open, "c", offered_capabilities=(1, 2)), "open.offered-capabilities: expected symbol, got int"),
            (make(Open, "c", offered_capabilities=(1,)), "open.offered-capabilities: expected symbol, got int"),
            (make(Open, "c", offered_capabilities=("a", "\ud800")), "no UTF-8 encoding"),
            (make(Open, "c", properties=[]), "open.properties: expected fields, got list"),
            (make(Open, "c", properties={"k": object()}), "open.properties: object has no AMQP encoding"),
            (make(Attach, "l", 0, 1), "attach.role: expected role, got int"),
            (make(Attach, "l", 0, True, 3), "attach.snd-settle-mode: sender-settle-mode takes 0 to 2, got 3"),
            (make(Attach, "l", 0, True, source=Target()), "attach.source: expected source, got target"),
            (make(Attach, "l", 0, True, source="q"), "attach.source: expected source, got string"),
            (make(Disposition, True, 0, state=Source()), "disposition.state: expected delivery-state, got source"),
            (make(Detach, 0, error=Accepted()), "detach.error: expected error, got accepted"),
            (make(Detach, 0, error="gone"), "detach.error: expected error, got string"),
            (make(Detach, 0, error=make(Error, None)), "detach.error: error.condition: is mandatory"),
            (make(Transfer, 0, delivery_tag="t"), "transfer.delivery-tag: expected delivery-tag, got string"),
            (make(Properties, message_id=-1), "properties.message-id: ulong takes 0 to"),
            (
                make(Properties, message_id=1.5),
                "properties.message-id: expected ulong, uuid, binary or string, got double",
            ),
            (
                make(Properties, message_id=True),
                "properties.message-id: expected ulong, uuid, binary or string, got boolean",
            ),
            (make(Properties, to=5), "properties.to: expected address, got int"),
            (make(Properties, creation_time="now"), "properties.creation-time: expected timestamp, got string"),
            (make(Declared, "t"), "declared.txn-id: expected txn-id, got string"),
        ],
    )
    def test_encode(self, composite: Any, message: str) -> None:
        with pytest.raises(EncodeError, match=message):
            composite.encode()
        out = bytearray(b"x")
        with pytest.raises(EncodeError, match=message):
            composite.append_to(out)
        assert out == b"x"


class TestLiberal:
    def test_integers_of_any_type(self) -> None:
        for value in (5, UInt(5), ULong(5), UByte(5), UShort(5)):
            opened = decoded(0x10, "c", None, value, value)
            assert opened == Open("c", None, 5, 5)
            assert type(opened.max_frame_size) is int
            message_id = decoded(0x73, value).message_id
            assert message_id == 5
            assert type(message_id) is ULong

    def test_string_and_symbol(self) -> None:
        opened = decoded(0x10, Symbol("c"), Symbol("h"), *[None] * 5, "cap")
        assert opened == Open("c", "h", offered_capabilities=(Symbol("cap"),))
        assert type(opened.container_id) is str
        assert type(opened.offered_capabilities[0]) is Symbol
        assert type(decoded(0x1D, "x:y").condition) is Symbol
        assert type(decoded(0x28, Symbol("q")).address) is str
        assert type(decoded(0x73, Symbol("id")).message_id) is str

    def test_keys_of_fields(self) -> None:
        opened = decoded(0x10, "c", *[None] * 8, {"k": 1, Symbol("s"): 2})
        assert opened.properties == {"k": 1, "s": 2}
        assert {type(key) for key in opened.properties} == {Symbol}
        assert decode_value(Open("c", properties={"k": "v"}).encode()).value[9] == {Symbol("k"): "v"}

    def test_multiple(self) -> None:
        one, two = Symbol("a"), Symbol("b")
        for given, expected in (
            (one, (one,)),
            (Array([one, two], "symbol"), (one, two)),
            (Array(["a", "b"], "string"), (one, two)),
            (Array([], "symbol"), ()),
            (Array([], "null"), ()),
            (None, ()),
        ):
            assert decoded(0x30, given) == Coordinator(expected)
        assert Coordinator(["a"]).encode() == Coordinator((one,)).encode()  # type: ignore[arg-type]
        assert Coordinator("a").encode() == Coordinator((one,)).encode()  # type: ignore[arg-type]
        assert Coordinator([]).encode() == Coordinator().encode()  # type: ignore[arg-type]

    def test_long_symbols_in_an_array(self) -> None:
        symbols = (Symbol("a" * 256), Symbol("b"))
        assert decode_composite(Coordinator(symbols).encode())[0] == Coordinator(symbols)
        many = tuple(Symbol(f"capability-{index}") for index in range(300))
        assert decode_composite(Coordinator(many).encode())[0] == Coordinator(many)

    @pytest.mark.parametrize("value", [ULong(7), uuid.UUID(int=7), b"7", "7", "a\0b"])
    def test_message_ids(self, value: Any) -> None:
        got = decode_composite(Properties(value, correlation_id=value).encode())[0]
        assert got == Properties(value, correlation_id=value)
        assert isinstance(got, Properties)
        assert type(got.message_id) is type(value)

    def test_message_id_of_int_is_ulong_and_of_symbol_is_string(self) -> None:
        assert Properties(5).encode().hex() == "005373c003015305"
        assert Properties(Symbol("a")).encode().hex() == "005373c00401a10161"


class TestNested:
    def test_known_descriptors_become_composites(self) -> None:
        for descriptor in (ULong(0x28), Symbol("amqp:source:list")):
            attach = decoded(0x12, "l", UInt(0), True, None, None, Described(descriptor, ["q"]))
            assert attach.source == Source("q")
        for descriptor in (ULong(0x24), Symbol("amqp:accepted:list")):
            got = decoded(0x15, True, UInt(0), None, None, Described(descriptor, []))
            assert got.state == ACCEPTED
        assert decoded(0x12, "l", UInt(0), True, None, None, None, Coordinator()).target == Coordinator()

    def test_unknown_descriptors_stay_described(self) -> None:
        for descriptor in (ULong(0x99), Symbol("com.example:source:list"), UInt(0x28), "amqp:source:list2"):
            source = Described(descriptor, {"k": 1})
            assert decoded(0x12, "l", UInt(0), True, None, None, source).source == source
        state = Described(ULong(0x1234), [1])
        assert decode_composite(Disposition(True, 0, state=state).encode())[0] == Disposition(True, 0, state=state)

    def test_described_addresses_and_ids(self) -> None:
        for described in (Described(Symbol("x:address"), "q"), Described(ULong(0x99), [1])):
            for composite in (Source(described), Properties(to=described), Discharge(described), Declare(described)):
                assert decode_composite(composite.encode())[0] == composite
        for global_id in (b"g", "g", ULong(1), [1]):
            assert decode_composite(Declare(global_id).encode())[0] == Declare(global_id)

    def test_filters_stay_described(self) -> None:
        selector = Described(Symbol("apache.org:selector-filter:string"), "a = 1")
        source = Source("q", filter={Symbol("selector"): selector})
        assert decode_composite(source.encode())[0] == source

    def test_lifetime_policy(self) -> None:
        for policy in (DeleteOnClose(), DeleteOnNoLinks()):
            properties = {Symbol("lifetime-policy"): policy, Symbol("supported-dist-modes"): Symbol("move")}
            source = Source(dynamic=True, dynamic_node_properties=properties)
            assert decode_composite(source.encode())[0] == source

    def test_unsettled(self) -> None:
        unsettled = {b"1": Accepted(), b"2": Received(1, 2), b"3": None, b"4": TransactionalState(b"t", Released())}
        attach = Attach("l", 0, True, unsettled=unsettled)
        assert decode_composite(attach.encode())[0] == attach

    def test_default_outcome(self) -> None:
        source = Source("q", default_outcome=Modified(True), outcomes=(Symbol("amqp:accepted:list"),))
        assert decode_composite(source.encode())[0] == source


class TestDecodeComposite:
    @pytest.mark.parametrize(
        ("hexed", "message"),
        [
            ("", "expected a composite at offset 0"),
            ("40", "expected a composite at offset 0"),
            ("00", "expected a value at offset 1"),
            ("005399c00100", "no composite has the descriptor 153"),
            ("00a30161c00100", "no composite has the descriptor Symbol"),
            ("0052104540", "no composite has the descriptor UInt"),
            ("00531040", "open at offset 0: expected a list, got null"),
            ("005310c10100", "open at offset 0: expected a list, got map"),
            ("0053", "reaches offset 3, but the data ends at 2"),
        ],
    )
    def test_refused(self, hexed: str, message: str) -> None:
        with pytest.raises(DecodeError, match=message):
            decode_composite(bytes.fromhex(hexed))

    def test_bounds(self) -> None:
        with pytest.raises(DecodeError, match="aren't within"):
            decode_composite(b"\x00\x53\x24\x45", 5)

    def test_huge_descriptor_is_not_shown_whole(self) -> None:
        with pytest.raises(DecodeError) as caught:
            decode_composite(b"\x00" + encode_value(Symbol("x" * 100_000)) + b"\x45")
        assert len(str(caught.value)) < 200


def test_secrets_are_not_in_a_repr() -> None:
    for composite in (
        SaslInit(Symbol("PLAIN"), b"\0user\0hunter2", "host"),
        SaslChallenge(b"hunter2"),
        SaslResponse(b"hunter2"),
        SaslOutcome(0, b"hunter2"),
    ):
        assert "hunter2" not in repr(composite)
        assert type(composite).__name__ in repr(composite)
    assert repr(SaslInit(Symbol("A"))) == "SaslInit(mechanism=Symbol('A'), initial_response=None, hostname=None)"


def test_composites_have_no_dict() -> None:
    for cls in COMPOSITES_BY_CODE.values():
        assert not hasattr(cls(*([None] * len(cls.FIELDS))), "__dict__")
