"""Exceptions: hierarchy, fields, texts, what the policy says, pickling, and the outcomes that settle a message."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from uamqp import codec, errors
from uamqp.constants import ErrorCodes

HIERARCHY: list[tuple[type, type]] = [
    (errors.AMQPError, Exception),
    (errors.AMQPConnectionError, errors.AMQPError),
    (errors.MessageHandlerError, errors.AMQPConnectionError),
    (errors.ConnectionClose, errors.AMQPConnectionError),
    (errors.VendorConnectionClose, errors.ConnectionClose),
    (errors.ConnectionRedirect, errors.ConnectionClose),
    (errors.LinkDetach, errors.AMQPConnectionError),
    (errors.VendorLinkDetach, errors.LinkDetach),
    (errors.LinkRedirect, errors.LinkDetach),
    (errors.ClientTimeout, errors.AMQPError),
    (errors.AuthenticationException, errors.AMQPError),
    (errors.TokenExpired, errors.AuthenticationException),
    (errors.TokenAuthFailure, errors.AuthenticationException),
    (errors.MessageResponse, errors.AMQPError),
    (errors.MessageException, errors.MessageResponse),
    (errors.MessageSendFailed, errors.MessageException),
    (errors.ClientMessageError, errors.MessageException),
    (errors.MessageAlreadySettled, errors.MessageResponse),
    (errors.MessageAccepted, errors.MessageResponse),
    (errors.MessageRejected, errors.MessageResponse),
    (errors.MessageReleased, errors.MessageResponse),
    (errors.MessageModified, errors.MessageResponse),
    (errors.MessageContentTooLarge, ValueError),
    (errors.AMQPClientShutdown, KeyboardInterrupt),
]


@pytest.mark.parametrize(("kind", "base"), HIERARCHY)
def test_hierarchy(kind: type, base: type) -> None:
    assert issubclass(kind, base)


def test_what_is_no_amqp_error() -> None:
    assert not issubclass(errors.MessageContentTooLarge, errors.AMQPError)
    assert not issubclass(errors.AMQPClientShutdown, Exception)
    assert not issubclass(errors.LinkDetach, errors.ConnectionClose)


@pytest.mark.parametrize("kind", [errors.ConnectionClose, errors.LinkDetach, errors.MessageException])
class TestPeerErrors:
    @pytest.mark.parametrize(
        ("condition", "description", "text"),
        [
            (ErrorCodes.NotFound, None, "ErrorCodes.NotFound"),
            (ErrorCodes.NotFound, "no queue", "ErrorCodes.NotFound: no queue"),
            (ErrorCodes.NotFound, b"no queue", "ErrorCodes.NotFound: no queue"),
            (b"com.example:busy", b"", "com.example:busy"),
            (b"amqp:not-found", "desc", "amqp:not-found: desc"),
            # 1.6 raised an exception of another kind for these.
            (b"x", b"\xff", "x: \ufffd"),
            ("amqp:not-found", None, "ErrorCodes.NotFound"),
            ("com.example:busy", None, "com.example:busy"),
            (None, None, "ErrorCodes.UnknownError"),
        ],
    )
    def test_text(self, kind: Any, condition: Any, description: Any, text: str) -> None:
        error = kind(condition, description, {b"a": 1})
        assert str(error) == text
        assert error.description == description
        assert error.info == {b"a": 1}
        assert error.action is None

    def test_condition_is_a_member_or_bytes(self, kind: Any) -> None:
        assert kind(ErrorCodes.NotFound).condition is ErrorCodes.NotFound
        assert kind(b"amqp:not-found").condition == b"amqp:not-found"
        assert kind("amqp:not-found").condition is ErrorCodes.NotFound
        assert kind("com.example:busy").condition == b"com.example:busy"

    def test_other_conditions(self, kind: Any) -> None:
        with pytest.raises(TypeError, match="must be ErrorCodes, bytes or str, not int"):
            kind(5)


@pytest.mark.parametrize(
    ("info", "fields"),
    [
        ({b"hostname": b"h", b"network-host": b"n", b"port": 5671}, (b"h", b"n", 5671)),
        ({b"port": 5672}, (None, None, 5672)),
        ({}, (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_a_redirect_of_the_connection(info: Any, fields: tuple[Any, ...]) -> None:
    error = errors.ConnectionRedirect(ErrorCodes.ConnectionRedirect, b"moved", info)
    assert (error.hostname, error.network_host, error.port) == fields
    assert str(error) == "ErrorCodes.ConnectionRedirect: moved"


class TestLinkRedirect:
    def test_fields(self) -> None:
        info = {
            b"hostname": b"h",
            b"network-host": b"n",
            b"port": 5671,
            b"address": b"amqps://h/q",
            b"scheme": b"amqps",
            b"path": b"/p",
        }
        error = errors.LinkRedirect(ErrorCodes.LinkRedirect, b"moved", info)
        assert (error.hostname, error.network_host, error.port) == (b"h", b"n", 5671)
        assert (error.address, error.scheme, error.path) == (b"amqps://h/q", b"amqps", b"/p")
        assert str(error) == "ErrorCodes.LinkRedirect: moved"

    @pytest.mark.parametrize("info", [None, {}, {b"hostname": b"h"}])
    def test_missing(self, info: Any) -> None:
        # 1.6 failed without an info map, and the link never learnt that it was detached.
        error = errors.LinkRedirect(ErrorCodes.LinkRedirect, None, info)
        assert error.hostname == (info or {}).get(b"hostname")
        assert error.port is error.address is None


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ("ok", "CBS Token authentication failed.\nStatus code: 401\nDescription: ok"),
        (b"no", "CBS Token authentication failed.\nStatus code: 401\nDescription: no"),
        (None, "CBS Token authentication failed.\nStatus code: 401"),
        (b"", "CBS Token authentication failed.\nStatus code: 401"),
    ],
)
def test_token_auth_failure(description: Any, text: str) -> None:
    error = errors.TokenAuthFailure(401, description)
    assert str(error) == text
    assert (error.status_code, error.description) == (401, description)


def test_client_message_error() -> None:
    plain = errors.ClientMessageError(ValueError("too big"))
    assert plain.condition is ErrorCodes.ClientError
    assert (plain.description, str(plain)) == ("too big", "ErrorCodes.ClientError: too big")
    wrapped = errors.ClientMessageError(errors.MessageException(b"cond", b"desc"), info=3)
    assert (wrapped.condition, wrapped.description, wrapped.info) == (b"cond", b"desc", 3)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.MessageResponse(), "Sending MessageResponse disposition."),
        (errors.MessageResponse("x"), "x"),
        (errors.MessageAccepted(), "Sending MessageAccepted disposition."),
        (errors.MessageReleased(), "Sending MessageReleased disposition."),
        (errors.MessageRejected(), "Sending MessageRejected disposition."),
        (errors.MessageModified(True, False), "Sending MessageModified disposition."),
        (errors.MessageAlreadySettled(), "Invalid operation: this message is already settled."),
        (errors.MessageContentTooLarge(), "Data set too large for a single message."),
        (errors.AMQPClientShutdown(), "Client shutdown with keyboard interrupt."),
    ],
)
def test_texts(error: BaseException, text: str) -> None:
    assert str(error) == text
    # azure-servicebus tells errors by whether they have a condition.
    assert not hasattr(error, "condition")


class TestRejected:
    def test_defaults(self) -> None:
        error = errors.MessageRejected()
        assert (error.error_condition, error.error_description, error.error_info) == (
            b"amqp:internal-error", b"", None,
        )  # fmt: skip
        assert error._outcome() == codec.Rejected(codec.Error(codec.Symbol("amqp:internal-error"), ""))

    def test_given(self) -> None:
        error = errors.MessageRejected("c", "dé", info={"a": 1, b"b": "x"})
        assert (error.error_condition, error.error_description) == (b"c", "dé".encode())
        assert error.error_info is not None
        assert error.error_info.value == {b"a": 1, b"b": b"x"}
        outcome = codec.decode_composite(error._outcome().encode())[0]
        assert outcome == codec.Rejected(codec.Error(codec.Symbol("c"), "dé", {"a": 1, "b": "x"}))
        assert isinstance(outcome, codec.Rejected)
        assert outcome.error is not None
        assert outcome.error.info is not None
        assert {type(key) for key in outcome.error.info} == {codec.Symbol}

    def test_known_condition_goes_out_as_its_value(self) -> None:
        outcome = errors.MessageRejected(ErrorCodes.NotFound)._outcome()
        assert isinstance(outcome, codec.Rejected)
        assert outcome.error is not None
        assert outcome.error.condition == "amqp:not-found"

    def test_wrong_types(self) -> None:
        with pytest.raises(TypeError, match=r"^Disposition error info must be a dictionary.$"):
            errors.MessageRejected(info=[1])  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="A condition must be str or bytes, not int"):
            errors.MessageRejected(5)  # type: ignore[arg-type]


class TestModified:
    def test_outcome(self) -> None:
        error = errors.MessageModified(1, 0, {"x": 1})  # type: ignore[arg-type]
        assert (error.failed, error.undeliverable) == (1, 0)
        assert error.annotations is not None
        assert error.annotations.value == {b"x": 1}
        outcome = codec.decode_composite(error._outcome().encode())[0]
        assert outcome == codec.Modified(True, False, {codec.Symbol("x"): 1})
        assert errors.MessageModified(False, True)._outcome() == codec.Modified(False, True)

    def test_wrong_annotations(self) -> None:
        with pytest.raises(TypeError, match=r"^Disposition annotations must be a dictionary.$"):
            errors.MessageModified(True, False, [1])  # type: ignore[arg-type]


def test_outcomes_without_fields() -> None:
    assert errors.MessageAccepted()._outcome() == codec.Accepted()
    assert errors.MessageReleased()._outcome() == codec.Released()
    assert errors.MessageAlreadySettled()._outcome() is None


RETRIED = {
    ErrorCodes.InternalServerError,
    ErrorCodes.ResourceLocked,
    ErrorCodes.ConnectionCloseForced,
    ErrorCodes.LinkDetachForced,
    ErrorCodes.LinkTransferLimitExceeded,
    ErrorCodes.ClientError,
    ErrorCodes.UnknownError,
    ErrorCodes.VendorError,
}


class TestPolicy:
    @pytest.mark.parametrize("method", ["on_message_error", "on_link_error", "on_connection_error"])
    def test_known_conditions(self, method: str) -> None:
        policy = errors.ErrorPolicy(on_error=lambda error: pytest.fail("for unknown conditions alone"))
        for code in ErrorCodes:
            action = getattr(policy, method)(errors.MessageException(code))
            assert action.retry is (code in RETRIED)
        assert len(policy.no_retry) == 20

    def test_unknown_conditions(self) -> None:
        error = errors.MessageException(b"com.example:busy")
        assert errors.ErrorPolicy().on_unrecognized_error(error).retry is True
        seen = []

        def decide(given: Any) -> errors.ErrorAction:
            seen.append(given)
            return errors.ErrorAction(retry=False, backoff=4)

        action = errors.ErrorPolicy(on_error=decide).on_unrecognized_error(error)
        assert (action.retry, action.backoff, seen) == (False, 4, [error])

    def test_action(self) -> None:
        assert errors.ErrorAction.retry is True
        assert errors.ErrorAction.fail is False
        action = errors.ErrorAction(1)  # type: ignore[arg-type]
        assert (action.retry, action.backoff, action.increment_retries) == (True, 0, True)
        assert errors.ErrorPolicy().max_retries == 3

    def test_own_policy(self) -> None:
        class Policy(errors.ErrorPolicy):
            def on_link_error(self, error: Any) -> errors.ErrorAction:
                if error.condition == ErrorCodes.NotFound:
                    return errors.ErrorAction(retry=True, backoff=2)
                return super().on_link_error(error)

        error = errors._process_link_error(Policy(), "amqp:not-found")
        assert error.action is not None
        assert error.action.backoff == 2
        error = errors._process_link_error(Policy(), "amqp:link:stolen")
        assert error.action is not None
        assert error.action.retry is False


class TestFromThePeer:
    POLICY = errors.ErrorPolicy()

    @pytest.mark.parametrize(
        ("function", "condition", "kind", "retry"),
        [
            (errors._process_send_error, "amqp:not-found", errors.MessageSendFailed, False),
            (errors._process_send_error, "amqp:internal-error", errors.MessageSendFailed, True),
            (errors._process_send_error, "com.example:x", errors.MessageException, True),
            (errors._process_send_error, None, errors.MessageSendFailed, True),
            (errors._process_link_error, "amqp:not-found", errors.LinkDetach, False),
            (errors._process_link_error, "amqp:link:redirect", errors.LinkRedirect, False),
            (errors._process_link_error, "amqp:link:detach-forced", errors.LinkDetach, True),
            (errors._process_link_error, "com.example:x", errors.VendorLinkDetach, True),
            (errors._process_link_error, None, errors.LinkDetach, True),
            (errors._process_connection_error, "amqp:not-found", errors.ConnectionClose, False),
            (errors._process_connection_error, "amqp:connection:redirect", errors.ConnectionRedirect, False),
            (errors._process_connection_error, "amqp:connection:forced", errors.ConnectionClose, True),
            (errors._process_connection_error, "com.example:x", errors.VendorConnectionClose, True),
            (errors._process_connection_error, None, errors.ConnectionClose, True),
        ],
    )
    def test_kind(self, function: Any, condition: str | None, kind: Any, retry: bool) -> None:
        forms = [condition, None if condition is None else condition.encode()]
        for form in forms:
            error: Any = function(self.POLICY, form, "why", {"hostname": "h", "n": 1})
            assert type(error) is kind
            assert error.action.retry is retry
            assert error.description == b"why"
            assert error.info == {b"hostname": b"h", b"n": 1}

    def test_symbols_become_bytes(self) -> None:
        info = {
            codec.Symbol("a"): codec.Symbol("b"),
            codec.Symbol("c"): ["d", {codec.Symbol("e"): codec.UInt(5)}],
            codec.Symbol("f"): codec.Described(codec.Symbol("g"), "h"),
            codec.Symbol("i"): True,
        }
        error = errors._process_link_error(self.POLICY, codec.Symbol("amqp:link:redirect"), None, info)
        assert error.info == {b"a": b"b", b"c": [b"d", {b"e": 5}], b"f": b"h", b"i": True}
        assert type(error.info[b"c"][1][b"e"]) is int
        assert error.info[b"i"] is True

    def test_nothing_but_a_redirect(self) -> None:
        error = errors._process_link_error(self.POLICY, "amqp:link:redirect")
        assert isinstance(error, errors.LinkRedirect)
        assert [error.hostname, error.info, error.description] == [None, None, None]


class TestErrorResponse:
    @pytest.mark.parametrize(
        ("given", "fields"),
        [
            ((), (None, None, None)),
            ((None, b"c", b"d", {}), (b"c", b"d", None)),
            (([[b"amqp:not-found", b"desc", {b"a": 1}]],), (b"amqp:not-found", b"desc", {b"a": 1})),
            (([[b"c"]],), (b"c", None, None)),
            (([True],), (None, None, None)),
            (([None],), (None, None, None)),
            (([],), (None, None, None)),
            (([[]],), (None, None, None)),
            (
                (codec.Error(codec.Symbol("c"), "d", {codec.Symbol("a"): "b"}),),
                (b"c", b"d", {b"a": b"b"}),
            ),
        ],
    )
    def test_fields(self, given: tuple[Any, ...], fields: tuple[Any, ...]) -> None:
        response = errors.ErrorResponse(*given)
        assert (response.condition, response.description, response.info) == fields
        assert response.error is (given[0] if given else None)


def every_error() -> list[BaseException]:
    """One of each class there is."""
    made: list[BaseException] = [
        errors.ConnectionClose(ErrorCodes.NotFound, "d", {b"a": 1}),
        errors.VendorConnectionClose(b"v"),
        errors.ConnectionRedirect(ErrorCodes.ConnectionRedirect, None, {b"hostname": b"h", b"port": 5671}),
        errors.LinkDetach(b"v", b"d"),
        errors.VendorLinkDetach(b"v"),
        errors.LinkRedirect(ErrorCodes.LinkRedirect, None, {b"hostname": b"h"}),
        errors.TokenAuthFailure(401, b"d"),
        errors.MessageException(b"v", b"d", {b"a": 1}),
        errors.MessageSendFailed(ErrorCodes.NotFound),
        errors.ClientMessageError(ValueError("x")),
        errors.MessageRejected("c", "d", info={"a": 1}),
        errors.MessageModified(True, False, {b"key": b"value"}),
    ]
    kinds = {type(error) for error in made}
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__module__ == "uamqp.errors":
            if kind not in kinds and not kind.__name__.startswith("_"):
                made.append(kind())
    return made


class OwnError(errors.MessageException):
    """As an application may have one, with a constructor of its own."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(b"own")
        self.sum = first + second


@pytest.mark.parametrize("error", [*every_error(), OwnError(1, 2)], ids=lambda error: type(error).__name__)
def test_pickle_and_copy(error: Any) -> None:
    # Most of 1.6's couldn't be unpickled.
    if hasattr(error, "action"):
        error.action = errors.ErrorAction(True, 2)
    duplicates = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    duplicates += [copy.copy(error), copy.deepcopy(error)]
    for duplicate in duplicates:
        assert type(duplicate) is type(error)
        assert duplicate is not error
        assert str(duplicate) == str(error)
        assert duplicate.args == error.args
        assert set(vars(duplicate)) == set(vars(error))
        for name, value in vars(error).items():
            if name == "action":
                assert vars(duplicate.action) == vars(value)
            else:
                assert vars(duplicate)[name] == value


def test_every_error_is_raised_and_caught_as_itself() -> None:
    for error in every_error():
        with pytest.raises(type(error)) as caught:
            raise error
        assert caught.value is error
