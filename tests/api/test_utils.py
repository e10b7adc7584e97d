"""Helpers: AMQP values from Python values, shared access tokens, connection strings."""

from __future__ import annotations

import asyncio
import base64
import datetime
import decimal
import hashlib
import hmac
import logging
import time
import uuid
from typing import Any

import pytest

from uamqp import c_uamqp, codec, compat, types, utils
from uamqp.c_uamqp import AMQPType

UTC = datetime.timezone.utc
UUID = uuid.UUID("37f9db00-fbb1-11e0-9f96-0800200c9a66")


@pytest.mark.parametrize(
    ("value", "kind", "read", "encoded"),
    [
        (None, AMQPType.NullValue, None, "40"),
        (True, AMQPType.BoolValue, True, "41"),
        ("é", AMQPType.StringValue, b"\xc3\xa9", "a102c3a9"),
        (b"b", AMQPType.StringValue, b"b", "a10162"),
        ("a\0b", AMQPType.StringValue, b"a\0b", "a103610062"),
        (bytearray(b"b"), AMQPType.BinaryValue, b"b", "a00162"),
        (memoryview(b"b"), AMQPType.BinaryValue, b"b", "a00162"),
        (UUID, AMQPType.UUIDValue, UUID, "98" + UUID.hex),
        (5, AMQPType.IntValue, 5, "5405"),
        (-(2**31), AMQPType.IntValue, -(2**31), "7180000000"),
        (2**31, AMQPType.LongValue, 2**31, "810000000080000000"),
        (2**63 - 1, AMQPType.LongValue, 2**63 - 1, "817fffffffffffffff"),
        (1.5, AMQPType.DoubleValue, 1.5, "823ff8000000000000"),
        ({"a": 1, 2: [1]}, AMQPType.DictValue, {b"a": 1, 2: [1]}, "c10d04a101615401" + "5402c003015401"),
        ([1, "a"], AMQPType.ListValue, [1, b"a"], "c006025401a10161"),
        ((1,), AMQPType.ListValue, [1], "c003015401"),
        ({1}, AMQPType.ListValue, [1], "c003015401"),
        (frozenset([1]), AMQPType.ListValue, [1], "c003015401"),
        ([], AMQPType.ListValue, [], "45"),
        ({}, AMQPType.DictValue, {}, "c10100"),
        (datetime.datetime(1970, 1, 1, 0, 0, 1, 234567), AMQPType.TimestampValue, 1234, "83" + "00000000000004d2"),  # noqa: DTZ001
        (
            datetime.datetime(1970, 1, 1, 2, 0, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            AMQPType.TimestampValue, 1000, "83" + "00000000000003e8",
        ),
        (datetime.datetime(1969, 12, 31, 23, 59, 59, 1000, UTC), AMQPType.TimestampValue, -999, "83fffffffffffffc19"),
        (types.AMQPuLong(7), AMQPType.ULongValue, 7, "5307"),
        (codec.UInt(7), AMQPType.UIntValue, 7, "5207"),
        (codec.Symbol("s"), AMQPType.SymbolValue, b"s", "a30173"),
    ],
)  # fmt: skip
def test_data_factory(value: Any, kind: AMQPType, read: Any, encoded: str) -> None:
    result = utils.data_factory(value)
    assert result.type is kind
    assert result.value == read
    assert result.__amqp_encode__().hex() == encoded
    assert codec.decode_value(result.__amqp_encode__(), bare=True) == read


def test_data_factory_gives_an_amqp_value_back() -> None:
    value = c_uamqp.uint_value(1)
    assert utils.data_factory(value) is value


def test_data_factory_encoding() -> None:
    assert utils.data_factory(["é", {"ü": b"\xff"}], "latin-1").value == [b"\xe9", {b"\xfc": b"\xff"}]


def test_data_factory_decimal() -> None:
    result = utils.data_factory(decimal.Decimal("1.5"))
    assert result.value == decimal.Decimal("1.5")
    assert result.__amqp_encode__()[0] == 0x94


@pytest.mark.parametrize("value", [datetime.date(2020, 1, 1), range(3), 1j, object(), int])
def test_data_factory_names_the_type_that_has_no_encoding(value: Any) -> None:
    # 1.6 returned None and failed later.
    for nested in (value, [value], {"a": {"b": value}}):
        with pytest.raises(TypeError, match=f"type {type(value).__name__} has no AMQP type"):
            utils.data_factory(nested)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**200])
def test_data_factory_does_not_round_large_ints(value: int) -> None:
    # 1.6 sent them as double.
    with pytest.raises(ValueError, match="beyond AMQP's 64-bit long"):
        utils.data_factory(value)


def test_data_factory_of_a_large_map_is_quick() -> None:
    wrapped = utils.data_factory({str(number): number for number in range(20_000)})
    assert len(wrapped) == 20_000
    assert wrapped[c_uamqp.string_value(b"777")].value == 777


class TestFields:
    def test_keys_become_symbols(self) -> None:
        fields = utils.fields({"a": 1, b"b": "x", types.AMQPSymbol("c"): None, 5: True})
        assert {key: value.value for key, value in fields.items()} == {"a": 1, "b": b"x", "c": None, 5: True}
        assert [type(key) for key in fields] == [codec.Symbol, codec.Symbol, codec.Symbol, codec.ULong]

    def test_other_keys(self) -> None:
        with pytest.raises(TypeError, match="keys of a map like this are text, not float"):
            utils.fields({1.5: 1})


class TestSymbols:
    @pytest.mark.parametrize(
        "value",
        [
            ["a", b"b"],
            ("a", types.AMQPSymbol("b")),
            types.AMQPArray([types.AMQPSymbol("a"), types.AMQPSymbol("b")]),
            utils.data_factory(types.AMQPArray([types.AMQPSymbol(b"a"), types.AMQPSymbol(b"b")])),
        ],
    )
    def test_every_way_to_give_them(self, value: Any) -> None:
        assert utils.symbols(value) == (codec.Symbol("a"), codec.Symbol("b"))

    def test_one_and_none(self) -> None:
        assert utils.symbols("a") == utils.symbols(types.AMQPSymbol("a")) == ("a",)
        assert utils.symbols(None) == ()

    @pytest.mark.parametrize("value", [5, [5], {"a": 1}])
    def test_others(self, value: Any) -> None:
        with pytest.raises(TypeError, match="Capabilities are a list of names"):
            utils.symbols(value)


class TestConnectionString:
    def test_parts(self) -> None:
        text = "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=a=b="
        assert utils.parse_connection_string(text) == {
            "Endpoint": "sb://x/",
            "SharedAccessKeyName": "n",
            "SharedAccessKey": "a=b=",
        }

    def test_semicolon_at_the_end(self) -> None:
        assert utils.parse_connection_string("A=1;B=2;") == {"A": "1", "B": "2"}

    def test_malformed_part_is_named_but_not_shown(self) -> None:
        with pytest.raises(ValueError, match="Part 2 of the connection string has no '='") as caught:
            utils.parse_connection_string("A=1;s3cret")
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", ";", " "])
    def test_empty(self, text: str) -> None:
        with pytest.raises(ValueError, match="is empty"):
            utils.parse_connection_string(text)


class TestSasToken:
    def parts(self, token: bytes) -> dict[bytes, bytes]:
        assert token.startswith(b"SharedAccessSignature ")
        return dict(part.split(b"=", 1) for part in token.split(b" ", 1)[1].split(b"&"))

    def test_signature(self) -> None:
        for key in (b"key", b"\xfb\xff\xfe" * 9, b"k2"):
            parts = self.parts(utils.create_sas_token(b"name", key, b"scope"))
            assert list(parts) == [b"sr", b"sig", b"se", b"skn"]
            assert parts[b"sr"] == b"scope"
            assert parts[b"skn"] == b"name"
            digest = hmac.new(key, b"scope\n" + parts[b"se"], hashlib.sha256).digest()
            signature = base64.b64encode(digest).decode()
            for plain, quoted in (("+", "%2b"), ("/", "%2f"), ("=", "%3d")):
                signature = signature.replace(plain, quoted)
            assert parts[b"sig"].decode() == signature

    def test_days_count(self) -> None:
        # 1.6 took the seconds of the timedelta alone.
        parts = self.parts(utils.create_sas_token(b"n", b"k", b"s", datetime.timedelta(days=2, seconds=10)))
        assert abs(int(parts[b"se"]) - (time.time() + 172810)) < 60

    def test_expired(self) -> None:
        with pytest.raises(ValueError, match=r"^Generated invalid SAS token"):
            utils.create_sas_token(b"n", b"k", b"s", datetime.timedelta(seconds=-5))

    def test_native_name_takes_a_key_in_base64(self) -> None:
        until = int(time.time()) + 1000
        parts = self.parts(c_uamqp.create_sas_token(base64.b64encode(b"key"), b"scope", b"name", until))
        assert parts[b"se"] == str(until).encode()
        with pytest.raises(ValueError, match="must be base64"):
            c_uamqp.create_sas_token(b"!", b"scope", b"name", until)


class TestRunningLoop:
    def test_inside(self) -> None:
        async def inside() -> bool:
            return utils.get_running_loop() is asyncio.get_running_loop()

        assert asyncio.run(inside())

    def test_outside(self, caplog: pytest.LogCaptureFixture) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            with caplog.at_level(logging.WARNING, "uamqp.utils"):
                assert utils.get_running_loop() is loop
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        assert "No running event loop" in caplog.text

    def test_no_loop_at_all(self) -> None:
        asyncio.set_event_loop(None)
        loop = utils.get_running_loop()
        try:
            assert not loop.is_running()
            assert utils.get_running_loop() is loop
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def test_compat() -> None:
    assert (compat.PY2, compat.PY3) == (False, True)
    assert compat.TimeoutException is TimeoutError
    assert compat.basestring == (str, bytes)
    assert compat.numeric_types == (int, float)
    assert compat.integer_types == (int,)
    assert compat.long is int
    assert compat.str is compat.builtin_str is str
    assert compat.bytes is bytes
    assert compat.queue.Queue().empty()
    assert compat.unquote_plus(compat.quote_plus("a b/c+")) == "a b/c+"
    assert compat.urlparse("amqps://h/p").hostname == "h"


def test_logger() -> None:
    assert utils.logger.name == "uamqp.utils"
