"""Options: defaults, checks of every value, what excludes each other; time-outs, the default time-out, states."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from uamqp.codec import Symbol
from uamqp.engine.limits import MAX_CREDIT
from uamqp.messaging import filters
from uamqp.messaging.errors import ConfigurationError
from uamqp.messaging.options import (
    DEFAULT,
    ConnectionState,
    Default,
    LinkState,
    ReceiverOptions,
    ReceiverSettings,
    SenderOptions,
    SenderSettings,
    Timeouts,
    receiver_settings,
    sender_settings,
)
from uamqp.messaging.termini import Node, Source, Target

SQL = filters.sql("a = 1")


def ignore(properties: Mapping[str, Any]) -> None:
    """A function for `on_flow_properties`."""


# -- the default time-out


def test_the_default_is_itself_wherever_it_goes() -> None:
    assert copy.copy(DEFAULT) is DEFAULT
    assert copy.deepcopy([DEFAULT]) == [DEFAULT]
    assert copy.deepcopy(DEFAULT) is DEFAULT
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(DEFAULT, protocol)) is DEFAULT


def test_the_default_is_told_from_every_other_time_out() -> None:
    assert isinstance(DEFAULT, Default)
    assert list(Default) == [DEFAULT]
    others: list[object] = [None, 0, 0.0, "DEFAULT"]
    assert DEFAULT not in others
    assert (repr(DEFAULT), str(DEFAULT), f"{DEFAULT}") == ("DEFAULT", "DEFAULT", "DEFAULT")


def test_a_type_checker_tells_it_from_a_time_out() -> None:
    """The function is for mypy, which reads this file: its last line is an error if the type isn't narrowed."""

    def seconds(timeout: float | Default | None) -> float | None:
        if timeout is DEFAULT:
            return 1.0
        return timeout

    assert [seconds(DEFAULT), seconds(None), seconds(2.0)] == [1.0, None, 2.0]


# -- states


@pytest.mark.parametrize(
    ("states", "names"),
    [
        (ConnectionState, ["new", "connecting", "open", "closing", "closed", "failed"]),
        (LinkState, ["opening", "open", "closing", "closed", "failed"]),
    ],
)
def test_a_state_is_its_name(states: type[ConnectionState | LinkState], names: list[str]) -> None:
    assert [state.value for state in states] == names
    for state, name in zip(states, names, strict=True):
        assert state == name
        assert (str(state), f"{state}", f"{state:>12}") == (name, name, f"{name:>12}")
        assert states(name) is state
        assert pickle.loads(pickle.dumps(state)) is state


# -- time-outs


def test_the_time_outs_of_the_contract() -> None:
    assert Timeouts() == Timeouts(connect=10.0, open=30.0, link=30.0, send=60.0, request=60.0, close=5.0)


@pytest.mark.parametrize("name", ["connect", "open", "link", "send", "request"])
def test_a_time_out_is_more_than_nothing(name: str) -> None:
    assert getattr(Timeouts(**{name: 0.001}), name) == 0.001
    for value in (0, -1.0, float("nan"), 1e10):
        with pytest.raises(ConfigurationError, match=f"{name} must be more than 0 seconds"):
            Timeouts(**{name: value})


def test_closing_may_take_no_time() -> None:
    assert Timeouts(close=0).close == 0
    with pytest.raises(ConfigurationError, match="close must be 0 or more seconds"):
        Timeouts(close=-1)


def test_what_may_take_any_time_is_none() -> None:
    assert Timeouts(send=None, request=None).send is None
    with pytest.raises(ConfigurationError, match="send must be None for no limit, not inf"):
        Timeouts(send=float("inf"))


@pytest.mark.parametrize("name", ["connect", "open", "link", "close"])
def test_what_must_end_has_a_limit(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a number of seconds, not NoneType"):
        Timeouts(**{name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["5", True, b"5", [5]])
@pytest.mark.parametrize("name", ["connect", "send", "close"])
def test_a_time_out_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a number of seconds, not {type(value).__name__}"):
        Timeouts(**{name: value})


def test_time_outs_are_values() -> None:
    assert hash(Timeouts()) == hash(Timeouts())
    assert pickle.loads(pickle.dumps(Timeouts(send=None))) == Timeouts(send=None)


# -- a sender's options


def test_a_senders_options_are_those_of_the_contract() -> None:
    names = ["name", "presettled", "durable", "max_pending", "max_pending_bytes", "send_timeout", "capabilities"]
    assert list(SenderOptions.__annotations__) == [
        *names, "desired_capabilities", "properties", "dynamic", "expiry",
    ]  # fmt: skip
    assert SenderOptions.__required_keys__ == frozenset()


def test_a_senders_defaults() -> None:
    assert sender_settings("q", {}) == SenderSettings(
        target=Target("q"),
        name=None,
        presettled=False,
        durable=True,
        max_pending=10_000,
        max_pending_bytes=64 * 1024 * 1024,
        send_timeout=DEFAULT,
        desired_capabilities=(),
        properties={},
    )


def test_each_option_of_a_sender() -> None:
    options: SenderOptions = {
        "name": "s",
        "presettled": "mixed",
        "durable": False,
        "max_pending": 1,
        "max_pending_bytes": 2,
        "send_timeout": None,
        "capabilities": ["queue"],
        "desired_capabilities": ["a", "b"],
        "properties": {"x": 1},
        "dynamic": True,
        "expiry": "never",
    }
    settings = sender_settings(None, options)
    assert settings == SenderSettings(
        target=Target(capabilities=("queue",), dynamic=True, expiry="never"),
        name="s",
        presettled="mixed",
        durable=False,
        max_pending=1,
        max_pending_bytes=2,
        send_timeout=None,
        desired_capabilities=(Symbol("a"), Symbol("b")),
        properties={Symbol("x"): 1},
    )
    assert [type(name) for name in (*settings.desired_capabilities, *settings.properties)] == [Symbol] * 3
    assert set(options) == set(SenderOptions.__annotations__)


def test_what_a_sender_may_be_opened_on() -> None:
    assert sender_settings(None, {}).target == Target(), "the anonymous relay"
    assert sender_settings(Node("q", ("queue",)), {}).target == Target("q", ("queue",))
    assert sender_settings(Target("q", durable=2), {"durable": False}).target.durable == 2, "that is of messages"


LINK_REFUSALS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"name": ""}, ConfigurationError, "name must not be empty"),
    ({"name": b"n"}, TypeError, "name must be a str, not bytes: b'n'"),
    ({"name": "\ud800"}, ConfigurationError, "name has half of a surrogate pair"),
    ({"durable": 1}, TypeError, "durable must be True or False, not int: 1"),
    ({"capabilities": "queue"}, TypeError, "capabilities must be a sequence of str, not str: 'queue'"),
    ({"desired_capabilities": "a"}, TypeError, "desired_capabilities must be a sequence of str, not str: 'a'"),
    ({"desired_capabilities": ["é"]}, ConfigurationError, "desired_capabilities[0] must be ASCII"),
    ({"properties": [1]}, TypeError, "properties must be a mapping, not list"),
    ({"properties": {1: 1}}, TypeError, "a key of properties must be a str, not int: 1"),
    ({"properties": {"é": 1}}, ConfigurationError, "a key of properties must be ASCII"),
    ({"properties": {"x": object()}}, ConfigurationError, "properties['x'] can't be encoded"),
    ({"dynamic": "yes"}, TypeError, "dynamic must be True or False, not str: 'yes'"),
    ({"dynamic": True}, ConfigurationError, "there can't be an address: 'q'"),
    ({"expiry": "soon"}, ConfigurationError, "expiry must be one of 'link-detach'"),
]


@pytest.mark.parametrize("settings", [sender_settings, receiver_settings])
@pytest.mark.parametrize(("options", "error", "says"), LINK_REFUSALS)
def test_a_wrong_option_of_either_is_refused(
    settings: Callable[[str, dict[str, Any]], object], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        settings("q", options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"presettled": "always"}, ConfigurationError, "presettled must be True, False or 'mixed', not 'always'"),
        ({"presettled": 1}, TypeError, "presettled must be True, False or 'mixed', not int: 1"),
        ({"presettled": None}, TypeError, "presettled must be True, False or 'mixed', not NoneType"),
        ({"max_pending": 0}, ConfigurationError, f"max_pending must be from 1 to {MAX_CREDIT}, not 0"),
        ({"max_pending": None}, TypeError, "max_pending must be an int, not NoneType"),
        ({"max_pending": 1.5}, TypeError, "max_pending must be an int, not float"),
        (
            {"max_pending_bytes": 0},
            ConfigurationError,
            "max_pending_bytes must be from 1 to 9223372036854775807",
        ),
        ({"max_pending_bytes": "64M"}, TypeError, "max_pending_bytes must be an int, not str: '64M'"),
        ({"send_timeout": 0}, ConfigurationError, "send_timeout must be more than 0 seconds"),
        ({"send_timeout": "5"}, TypeError, "send_timeout must be a number of seconds, not str"),
        ({"send_timeout": float("inf")}, ConfigurationError, "send_timeout must be None for no limit"),
    ],
)
def test_a_wrong_option_of_a_sender_is_refused(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        sender_settings("q", options)
    assert says in str(caught.value)


# -- a receiver's options


def test_a_receivers_options_are_those_of_the_contract() -> None:
    """Except for `reposition`, which comes with recovery."""
    names = ["name", "prefetch", "credit", "settle", "presettled", "confirm", "max_unsettled", "filters"]
    names += ["filters_required", "browse", "dynamic", "subscription", "durable", "expiry", "expiry_timeout"]
    names += ["max_message_size", "capabilities", "desired_capabilities", "properties", "priority"]
    assert list(ReceiverOptions.__annotations__) == [*names, "on_flow_properties"]
    assert ReceiverOptions.__required_keys__ == frozenset()


def test_a_receivers_defaults() -> None:
    settings = receiver_settings("q", {})
    assert settings == ReceiverSettings(
        source=Source("q"),
        name=None,
        prefetch=100,
        credit="auto",
        settle="manual",
        presettled=False,
        confirm=False,
        max_unsettled=None,
        filters_required=True,
        max_message_size=None,
        desired_capabilities=(),
        properties={},
        on_flow_properties=None,
    )
    assert not settings.outlives_the_link


def test_each_option_of_a_receiver() -> None:
    options: ReceiverOptions = {
        "name": "r",
        "prefetch": 0,
        "credit": "auto",
        "settle": "on_next",
        "presettled": False,
        "confirm": True,
        "max_unsettled": 5,
        "filters": [[SQL], filters.no_local()],
        "filters_required": False,
        "browse": True,
        "dynamic": False,
        "durable": True,
        "expiry": "link-detach",
        "expiry_timeout": 60,
        "max_message_size": 1000,
        "capabilities": ["topic"],
        "desired_capabilities": ["a"],
        "properties": {"x": 1},
        "priority": -5,
        "on_flow_properties": ignore,
    }
    assert receiver_settings("q", options) == ReceiverSettings(
        source=Source(
            "q", ("topic",), (SQL, filters.no_local()), durable=2, expiry="link-detach", timeout=60, browse=True
        ),
        name="r",
        prefetch=0,
        credit="auto",
        settle="on_next",
        presettled=False,
        confirm=True,
        max_unsettled=5,
        filters_required=False,
        max_message_size=1000,
        desired_capabilities=(Symbol("a"),),
        properties={Symbol("x"): 1, Symbol("rabbitmq:priority"): -5},
        on_flow_properties=ignore,
    )
    assert {*options, "subscription"} == set(ReceiverOptions.__annotations__)


def test_a_priority_is_the_property_that_rabbitmq_reads() -> None:
    """As an AMQP int, the only type that it takes: the codec's for an int of this size."""
    for priority in (-(2**31), -1, 0, 2**31 - 1):
        properties = receiver_settings("q", {"priority": priority}).properties
        assert dict(properties) == {Symbol("rabbitmq:priority"): priority}
        assert [type(value) for value in properties.values()] == [int]


def test_a_dynamic_receiver_needs_no_address() -> None:
    assert receiver_settings(None, {"dynamic": True}).source == Source(dynamic=True)
    assert receiver_settings(Source(dynamic=True), {}).source == Source(dynamic=True)


@pytest.mark.parametrize("prefetch", [0, 1, MAX_CREDIT])
def test_any_window_of_credit_is_taken(prefetch: int) -> None:
    assert receiver_settings("q", {"prefetch": prefetch}).prefetch == prefetch


def test_a_subscription_is_durable_and_named() -> None:
    settings = receiver_settings("topic://orders", {"subscription": "billing", "filters": [SQL]})
    assert settings.source == Source("topic://orders", filters=(SQL,), durable=2, expiry="never")
    assert settings.name == "billing"
    assert settings.outlives_the_link


@pytest.mark.parametrize(
    "source",
    [
        "t",
        Source("t", durable=2),
        Source("t", expiry="never"),
        Source("t", durable=2, expiry="never"),
        Node("t"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"name": None}])
def test_a_subscription_agrees_with_what_says_the_same(source: str | Source | Node, options: dict[str, Any]) -> None:
    settings = receiver_settings(source, {"subscription": "s", **options})
    assert (settings.source, settings.name) == (Source("t", durable=2, expiry="never"), "s")


@pytest.mark.parametrize("options", [{"durable": True}, {"expiry": "never"}, {"durable": True, "expiry": "never"}])
def test_a_subscription_agrees_with_options_that_say_the_same(options: dict[str, Any]) -> None:
    settings = receiver_settings("t", {"subscription": "s", **options})
    assert settings.source == Source("t", durable=2, expiry="never")


def test_a_durable_source_outlives_the_link() -> None:
    assert receiver_settings("t", {"durable": True, "name": "n"}).outlives_the_link
    assert receiver_settings(Source("t", durable=1), {"name": "n"}).outlives_the_link
    assert not receiver_settings(Source("t", expiry="never"), {"name": "n"}).outlives_the_link


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"prefetch": -1}, ConfigurationError, f"prefetch must be from 0 to {MAX_CREDIT}, not -1"),
        ({"prefetch": MAX_CREDIT + 1}, ConfigurationError, "prefetch must be from 0"),
        ({"prefetch": None}, TypeError, "prefetch must be an int, not NoneType"),
        ({"prefetch": True}, TypeError, "prefetch must be an int, not bool"),
        ({"credit": "none"}, ConfigurationError, "credit must be one of 'auto', 'manual', not 'none'"),
        ({"credit": 10}, TypeError, "credit must be a str, not int: 10"),
        ({"settle": "auto"}, ConfigurationError, "settle must be one of 'manual', 'on_next', 'on_receive', not 'auto'"),
        ({"settle": True}, TypeError, "settle must be a str, not bool: True"),
        ({"presettled": "mixed"}, TypeError, "presettled must be True or False, not str: 'mixed'"),
        ({"confirm": 1}, TypeError, "confirm must be True or False, not int"),
        ({"max_unsettled": 0}, ConfigurationError, "max_unsettled must be from 1"),
        ({"max_unsettled": 2.0}, TypeError, "max_unsettled must be an int, not float"),
        ({"filters": SQL}, TypeError, "filters must be a sequence of Filter"),
        ({"filters": [SQL, [SQL]]}, ConfigurationError, "two filters with the name 'sql-filter'"),
        ({"filters_required": None}, TypeError, "filters_required must be True or False"),
        ({"browse": None}, TypeError, "browse must be True or False"),
        ({"subscription": ""}, ConfigurationError, "subscription must not be empty"),
        ({"subscription": 1}, TypeError, "subscription must be a str, not int: 1"),
        ({"expiry_timeout": 0.5}, ConfigurationError, "expiry_timeout must be a whole number of seconds"),
        ({"expiry_timeout": None}, TypeError, "expiry_timeout must be a number of seconds"),
        ({"max_message_size": 0}, ConfigurationError, "max_message_size must be from 1 to 18446744073709551615, not 0"),
        ({"max_message_size": 1e6}, TypeError, "max_message_size must be an int, not float"),
        ({"priority": 2**31}, ConfigurationError, "priority must be from -2147483648 to 2147483647, not 2147483648"),
        ({"priority": "high"}, TypeError, "priority must be an int, not str: 'high'"),
        ({"priority": 1, "properties": [1]}, TypeError, "properties must be a mapping"),
        ({"on_flow_properties": "f"}, TypeError, "on_flow_properties must be a function, not str: 'f'"),
    ],
)
def test_a_wrong_option_of_a_receiver_is_refused(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        receiver_settings("q", options)
    assert says in str(caught.value)


DYNAMIC = Source(dynamic=True)


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        ("q", {"credit": "manual", "prefetch": 5}, "prefetch=5 has no meaning with credit='manual'"),
        ("q", {"credit": "manual", "prefetch": 0}, "prefetch=0 has no meaning with credit='manual'"),
        ("q", {"presettled": True, "confirm": True}, "confirm=True has no meaning with presettled=True"),
        ("q", {"presettled": True, "settle": "on_next"}, "settle='on_next' has no meaning with presettled=True"),
        ("q", {"presettled": True, "settle": "on_receive"}, "settle='on_receive' has no meaning with presettled=True"),
        ("q", {"presettled": True, "max_unsettled": 5}, "max_unsettled=5 has no meaning with presettled=True"),
        ("q", {"settle": "on_receive", "max_unsettled": 5}, "max_unsettled=5 has no meaning with settle='on_receive'"),
        ("q", {"durable": True}, "a durable source needs a name= of the link, or subscription="),
        (Source("q", durable=1), {}, "a durable source needs a name= of the link, or subscription="),
        ("q", {"durable": True, "name": "n", "expiry_timeout": 5}, "no meaning with expiry='never'"),
        (None, {"dynamic": True, "durable": True, "name": "n"}, "durable=True and dynamic=True exclude each other"),
        (DYNAMIC, {"durable": True, "name": "n"}, "durable=True and dynamic=True exclude each other"),
        (None, {}, "a receiver needs the address of a node, or dynamic=True"),
        (None, {"dynamic": False}, "a receiver needs the address of a node, or dynamic=True"),
        (Source(filters=[SQL]), {}, "a receiver needs the address of a node, or dynamic=True"),
        (None, {"subscription": "s"}, "a receiver needs the address of a node"),
        ("t", {"subscription": "s", "name": "n"}, "subscription='s' and name='n' exclude each other"),
        (None, {"subscription": "s", "dynamic": True}, "subscription='s' and dynamic=True exclude each other"),
        (DYNAMIC, {"subscription": "s"}, "subscription='s' and dynamic=True exclude each other"),
        ("t", {"subscription": "s", "durable": False}, "subscription='s' and durable=False exclude each other"),
        (Source("t", durable=1), {"subscription": "s"}, "subscription='s' and durable=1 exclude each other"),
        ("t", {"subscription": "s", "expiry": "session-end"}, "subscription='s' and expiry='session-end' exclude"),
        (Source("t", expiry="link-detach"), {"subscription": "s"}, "subscription='s' and expiry='link-detach' exclude"),
        (Source("t", timeout=5), {"subscription": "s"}, "a timeout of 5 s has no meaning with expiry='never'"),
        ("t", {"subscription": "s", "expiry_timeout": 5}, "a timeout of 5 s has no meaning with expiry='never'"),
        (Source("t", durable=2), {"subscription": "s", "durable": True}, "durable is given twice"),
        (
            "q",
            {"priority": 1, "properties": {"rabbitmq:priority": 2}},
            "priority=1 and properties={'rabbitmq:priority': 2} say the same thing",
        ),
        (Node("q", ("queue",)), {"capabilities": ["topic"]}, "capabilities is given twice"),
        (Source("q", browse=True), {"browse": True}, "browse is given twice"),
    ],
)
def test_options_of_a_receiver_that_exclude_each_other(
    source: str | Source | None, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        receiver_settings(source, options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"credit": "manual"},
        {"presettled": True, "settle": "manual"},
        {"presettled": True, "prefetch": 0, "browse": True},
        {"confirm": True, "settle": "on_receive"},
        {"settle": "on_next", "max_unsettled": 1},
        {"filters_required": False},
        {"dynamic": False, "durable": False},
    ],
)
def test_options_of_a_receiver_that_go_together(options: dict[str, Any]) -> None:
    settings = receiver_settings("q", options)
    for name in set(options) - {"browse", "dynamic", "durable"}:
        assert getattr(settings, name) == options[name]


# -- names


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prefech": 1}, "open_receiver() got an unexpected keyword argument 'prefech'. Did you mean 'prefetch'?"),
        ({"filter": []}, "open_receiver() got an unexpected keyword argument 'filter'. Did you mean 'filters'?"),
        ({"xyzzy": 1}, "open_receiver() got an unexpected keyword argument 'xyzzy'"),
        ({"prefetch": 1, "send_timeout": 1}, "open_receiver() got an unexpected keyword argument 'send_timeout'"),
    ],
)
def test_an_unknown_option_is_pythons_own_error(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError) as caught:
        receiver_settings("q", options)
    assert str(caught.value).startswith(says)


def test_the_error_names_what_was_called() -> None:
    with pytest.raises(
        TypeError, match=r"^open_sender\(\) got an unexpected keyword argument 'presettle'. Did you mean"
    ):
        sender_settings("q", {"presettle": True})
    with pytest.raises(TypeError, match=r"^open_requester\(\) got an unexpected keyword argument 'x'$"):
        sender_settings("q", {"x": True}, "open_requester")


def test_python_says_the_same_of_a_wrong_name() -> None:
    with pytest.raises(TypeError) as ours:
        sender_settings("q", {"xyzzy": 1}, "ignore")
    with pytest.raises(TypeError) as pythons:
        ignore(xyzzy=1)  # type: ignore[call-arg]
    assert str(ours.value) == str(pythons.value)


def test_what_was_given_stays_as_it_was() -> None:
    options: dict[str, Any] = {"priority": 1, "properties": {"x": 1}, "subscription": "s", "durable": True}
    before = copy.deepcopy(options)
    receiver_settings("q", options)
    assert options == before


def test_settings_cannot_be_changed() -> None:
    settings = receiver_settings("q", {})
    with pytest.raises(AttributeError):
        settings.prefetch = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        sender_settings("q", {}).name = "n"  # type: ignore[misc]
