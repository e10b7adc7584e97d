"""Which exception follows from which cause, what it says, and whether another try is worthwhile."""

from __future__ import annotations

import pickle
import ssl
import subprocess
import sys
from typing import Any

import pytest

from tests.peer import codec
from tests.support.core import Client
from uamqp.codec import EncodeError, Error, Modified, Received, Rejected, Released, Symbol
from uamqp.core import NOT_WORTH_RETRYING, Failure, Outcome, OutcomeKind
from uamqp.engine import Cause, CauseKind, EngineConfig, LocalProtocolError, MessageTooLarge, conditions, sasl
from uamqp.messaging import errors
from uamqp.messaging.errors import AMQPError, ConnectFailed, DetachForced, NotSent, SendError, TLSFailed
from uamqp.messaging.translate import connect_error, connection_error, link_error, send_error, session_error

PEER, PROTOCOL, LOCAL = CauseKind.PEER, CauseKind.PROTOCOL, CauseKind.LOCAL
SASL, TIMEOUT, TRANSPORT = CauseKind.SASL, CauseKind.TIMEOUT, CauseKind.TRANSPORT

KNOWN = sorted({value for name, value in vars(conditions).items() if name.isupper()})


def said(condition: str | None, description: str | None = None, info: dict[Any, Any] | None = None) -> Cause:
    """What a peer ends something with."""
    return Cause.from_peer(None if condition is None else Error(Symbol(condition), description, info), "detach")


def found(kind: CauseKind, condition: str | None = None, text: str = "so it is") -> Cause:
    """What this side ends something for."""
    return Cause(kind, None if condition is None else Error(Symbol(condition), text), text)


def name_of(error: AMQPError | None) -> str:
    return type(error).__name__


# For each condition: the class while the link is opened, and afterwards; is_temporary while it is, and afterwards.
LINKS = {
    "amqp:not-found": ("NodeNotFound", "NodeNotFound", False, False),
    "amqp:unauthorized-access": ("AccessDenied", "AccessDenied", False, False),
    "amqp:resource-deleted": ("NodeDeleted", "NodeDeleted", False, False),
    "amqp:link:stolen": ("LinkStolen", "LinkStolen", False, False),
    "amqp:link:detach-forced": ("DetachForced", "DetachForced", True, True),
    "amqp:resource-limit-exceeded": ("ResourceLimitExceeded", "ResourceLimitExceeded", False, False),
    "amqp:link:redirect": ("LinkRedirected", "LinkRedirected", False, False),
    "amqp:connection:forced": ("ConnectionForced", "ConnectionForced", True, True),
    "amqp:connection:redirect": ("ConnectionRedirected", "ConnectionRedirected", False, False),
    "amqp:internal-error": ("LinkRefused", "LinkDetached", True, True),
    "amqp:resource-locked": ("LinkRefused", "LinkDetached", True, True),
    "amqp:invalid-field": ("LinkRefused", "LinkDetached", False, False),
    "amqp:not-implemented": ("LinkRefused", "LinkDetached", False, False),
    "amqp:precondition-failed": ("LinkRefused", "LinkDetached", False, False),
    "com.microsoft:server-busy": ("LinkRefused", "LinkDetached", True, True),
    None: ("LinkRefused", "LinkDetached", False, True),
}


@pytest.mark.parametrize("condition", LINKS)
def test_what_a_peer_ends_a_link_with(condition: str | None) -> None:
    refused, lost, is_temporary, is_temporary_later = LINKS[condition]
    cause = said(condition, "as they say", {Symbol("x"): 1})
    for opening, name, temporary in ((True, refused, is_temporary), (False, lost, is_temporary_later)):
        error = link_error(cause, opening, link="the receiver from 'q'")
        assert (name_of(error), error.is_temporary) == (name, temporary)
        assert error.condition == condition
        if condition is None:
            words = "the peer sent detach without an error"
            assert (error.description, error.info) == (words, None)
        else:
            assert (error.description, error.info) == ("as they say", {"x": 1})
            assert f": as they say ({condition})" in str(error)
        if not name.startswith("Connection"):
            text = "couldn't be opened" if opening else "was detached"
            assert str(error).startswith(f"the receiver from 'q' {text}: ")


@pytest.mark.parametrize("condition", [*KNOWN, "com.example:own"])
def test_another_try_is_worthwhile_as_core_says(condition: str) -> None:
    cause = said(condition)
    is_permanent = Failure.of(cause).is_permanent
    for opening in (True, False):
        assert link_error(cause, opening).is_temporary is not is_permanent
        assert session_error(cause, opening=opening).is_temporary is not is_permanent
        may_pass = condition in ("amqp:resource-limit-exceeded", "amqp:connection:framing-error")
        assert connection_error(cause, opening=opening).is_temporary is (may_pass or not is_permanent)


@pytest.mark.parametrize(
    ("cause", "opening", "name", "is_temporary"),
    [
        (None, True, "ClosedError", False),
        (None, False, "ClosedError", False),
        (found(LOCAL), False, "ClosedError", False),
        (found(LOCAL), True, "LinkRefused", False),  # more links than the peer allows
        (found(LOCAL, "amqp:internal-error"), False, "ConnectionLost", True),
        (found(TIMEOUT, "amqp:internal-error"), True, "OperationTimeout", True),
        (found(TIMEOUT, "amqp:resource-limit-exceeded"), False, "ConnectionLost", True),
        (found(TRANSPORT), True, "ConnectionLost", True),
        (found(TRANSPORT), False, "ConnectionLost", True),
        (found(SASL, "amqp:unauthorized-access"), True, "AuthenticationFailed", False),
        (found(PROTOCOL, "amqp:link:stolen"), False, "LinkStolen", False),
        (found(PROTOCOL, "amqp:link:transfer-limit-exceeded"), False, "LinkDetached", True),
        (found(PROTOCOL, "amqp:resource-limit-exceeded"), False, "LinkDetached", False),  # our limit, not theirs
        (found(PROTOCOL, "amqp:not-found"), True, "LinkRefused", False),
    ],
)
def test_other_ends_of_a_link(cause: Cause | None, opening: bool, name: str, is_temporary: bool) -> None:
    error = link_error(cause, opening, link="the sender to 'q'")
    assert (name_of(error), error.is_temporary) == (name, is_temporary)
    if cause is not None:
        assert "so it is" in str(error)


@pytest.mark.parametrize(
    ("cause", "opening", "name", "is_temporary"),
    [
        (None, False, "ClosedError", False),
        (said("amqp:not-found"), False, "SessionEnded", False),
        (said("amqp:unauthorized-access"), False, "SessionEnded", False),
        (said(None), False, "SessionEnded", True),
        (said("amqp:connection:forced"), False, "ConnectionForced", True),
        (found(PROTOCOL, "amqp:session:window-violation"), False, "SessionEnded", False),
        (found(TRANSPORT), False, "ConnectionLost", True),
        (found(TIMEOUT, "amqp:internal-error"), True, "OperationTimeout", True),
        (found(LOCAL), True, "SessionEnded", False),  # more sessions than the peer allows
        (found(LOCAL), False, "ClosedError", False),
    ],
)
def test_the_end_of_a_session(cause: Cause | None, opening: bool, name: str, is_temporary: bool) -> None:
    error = session_error(cause, opening=opening)
    assert (name_of(error), error.is_temporary) == (name, is_temporary)


# -- connections


@pytest.mark.parametrize(
    ("cause", "opening", "name", "is_temporary", "text"),
    [
        (None, False, "ClosedError", False, "the connection to mq1:5671 was closed"),
        (found(LOCAL), False, "ClosedError", False, "the connection to mq1:5671 was closed by this side: so it is"),
        (said(None), False, "ConnectionClosed", True, "the peer closed the connection to mq1:5671: the peer sent"),
        (
            said("amqp:not-allowed", "no"),
            True,
            "ConnectionClosed",
            False,
            "the peer refused the connection to mq1:5671",
        ),
        (said("amqp:not-implemented"), True, "ConnectionClosed", False, "the peer refused"),
        (said("amqp:invalid-field"), True, "ConnectionClosed", False, "the peer refused"),
        (said("amqp:resource-limit-exceeded"), True, "ConnectionClosed", True, "the peer refused"),
        (said("amqp:internal-error"), False, "ConnectionClosed", True, "the peer closed"),
        (said("amqp:connection:forced"), False, "ConnectionForced", True, "the peer closed"),
        (said("amqp:connection:redirect"), True, "ConnectionRedirected", False, "the peer refused"),
        (said("amqp:unauthorized-access"), True, "AuthenticationFailed", False, "the peer refused"),
        (
            found(SASL, "amqp:unauthorized-access"),
            True,
            "AuthenticationFailed",
            False,
            "the login at mq1:5671 failed: so",
        ),
        (found(SASL, "amqp:not-allowed"), True, "AuthenticationFailed", False, "the login at mq1:5671 failed: so"),
        (found(SASL, "amqp:internal-error"), True, "AuthenticationFailed", True, "the login at mq1:5671 failed: so"),
        (found(TRANSPORT), True, "ConnectFailed", True, "the connection to mq1:5671 couldn't be opened: so it is"),
        (found(TRANSPORT), False, "ConnectionLost", True, "the connection to mq1:5671 was lost: so it is"),
        (found(TIMEOUT, "amqp:internal-error"), True, "ConnectFailed", True, "the connection to mq1:5671 couldn't be"),
        (found(TIMEOUT, "amqp:internal-error"), False, "ConnectionLost", True, "the connection to mq1:5671 was lost"),
        (found(PROTOCOL, "amqp:not-implemented"), True, "ConnectFailed", False, "the connection to mq1:5671 couldn't"),
        (found(PROTOCOL, "amqp:connection:framing-error"), False, "ConnectionLost", True, "the connection to mq1:5671"),
        (found(LOCAL, "amqp:internal-error"), False, "ConnectionLost", True, "the connection to mq1:5671 was lost"),
    ],
)
def test_the_end_of_a_connection(cause: Cause | None, opening: bool, name: str, is_temporary: bool, text: str) -> None:
    error = connection_error(cause, endpoint="mq1:5671", opening=opening)
    assert (name_of(error), error.is_temporary) == (name, is_temporary)
    assert str(error).startswith(text)


def test_an_endpoint_need_not_be_known() -> None:
    assert str(connection_error(None)) == "the connection was closed"
    assert str(connection_error(found(SASL, "c"), opening=True)) == "the login failed: so it is (c)"


def test_a_condition_of_ours_is_told_as_well() -> None:
    error = connection_error(found(PROTOCOL, "amqp:decode-error", "bytes that are no frame"))
    assert (error.condition, error.description) == ("amqp:decode-error", "bytes that are no frame")
    assert str(error) == (
        "the connection was lost: bytes that are no frame (amqp:decode-error). It isn't restored: connect again."
    )


def test_a_bug_is_the_cause_with_its_traceback() -> None:
    bug = ZeroDivisionError("division by zero")
    error = connection_error(Cause.make(PROTOCOL, conditions.INTERNAL_ERROR, "our side failed", bug))
    assert error.__cause__ is bug


def test_redirects_say_where_to_go() -> None:
    info = {Symbol("network-host"): "b.example", Symbol("port"): 5671, Symbol("hostname"): "c", Symbol("address"): "q2"}
    connection = connection_error(said("amqp:connection:redirect", "not here", info))
    assert isinstance(connection, errors.ConnectionRedirected)
    assert (connection.host, connection.port, connection.hostname) == ("b.example", 5671, "c")
    assert str(connection).endswith("It is at 'b.example', port 5671: connect there.")
    link = link_error(said("amqp:link:redirect", "not here", info), True)
    assert isinstance(link, errors.LinkRedirected)
    assert (link.host, link.address) == ("b.example", "q2")
    assert "b.example" in str(link)
    assert str(link_error(said("amqp:link:redirect", "not here"), False)).endswith("not here (amqp:link:redirect)")


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def wrapped(error: Exception) -> OSError:
    """As the asyncio transport raises it."""
    outer = OSError("the TLS handshake with mq1:5671 failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("failure", "name", "is_temporary"),
    [
        (certificate_error(), "TLSFailed", False),
        (ssl.SSLError(1, "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol"), "TLSFailed", False),
        (wrapped(certificate_error()), "TLSFailed", False),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "TLSFailed", True),
        (wrapped(ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF)")), "TLSFailed", True),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectFailed", True),
        (TimeoutError("no answer within 10 seconds"), "ConnectFailed", True),
        (OSError(), "ConnectFailed", True),
    ],
)
def test_a_connection_that_cannot_be_opened(failure: OSError, name: str, is_temporary: bool) -> None:
    for cause in (None, Cause(TRANSPORT, None, str(failure))):
        error = connection_error(cause, endpoint="mq1:5671", opening=True, failure=failure)
        assert (name_of(error), error.is_temporary) == (name, is_temporary)
        assert error.__cause__ is failure
        assert str(failure) in str(error)
        assert "mq1:5671" in str(error)
        assert ("server_hostname=" in str(error)) is ("ertificate" in repr(failure.__cause__ or failure))
        # One that was open, and broke in the same way, is lost: another can be opened.
        lost = connection_error(cause, failure=failure)
        assert (name_of(lost), lost.is_temporary, lost.__cause__) == ("ConnectionLost", True, failure)


def test_an_exception_without_a_text_is_named() -> None:
    assert str(connection_error(None, opening=True, failure=OSError())).endswith("couldn't be opened: OSError")


def test_a_chain_of_causes_may_be_a_circle() -> None:
    failure = OSError("round")
    failure.__cause__ = inner = OSError("and round")
    inner.__cause__ = failure
    assert name_of(connection_error(None, opening=True, failure=failure)) == "ConnectFailed"


def test_ssl_is_not_loaded_to_find_out() -> None:
    code = (
        "import sys; from uamqp.messaging.translate import connection_error; "
        "print(type(connection_error(None, opening=True, failure=OSError('x'))).__name__, 'ssl' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ConnectFailed False\n", "")


def attempt(host: str, *, is_temporary: bool = True, kind: type[AMQPError] = ConnectFailed) -> tuple[str, AMQPError]:
    return f"{host}:5671", kind(f"{host} failed", is_temporary=is_temporary)


def test_all_hosts_failed_for_now() -> None:
    attempts = (attempt("mq1"), attempt("mq2"), attempt("mq1"))
    error = connect_error(attempts)
    assert isinstance(error, ConnectFailed)
    assert error.attempts == attempts
    assert error.is_temporary
    assert str(error) == "no host could be connected to: mq1 failed; mq2 failed"


def test_a_host_failed_for_good() -> None:
    attempts = (attempt("mq1"), attempt("mq2", is_temporary=False, kind=TLSFailed), attempt("mq3"))
    error = connect_error(attempts)
    assert error is attempts[1][1]
    assert isinstance(error, TLSFailed)
    assert error.attempts == attempts
    again = pickle.loads(pickle.dumps(error))
    assert again.attempts[1][1] is again


def test_the_only_attempt() -> None:
    attempts = (attempt("mq1"),)
    error = connect_error(attempts)
    assert error is attempts[0][1]
    assert isinstance(error, ConnectFailed)
    assert error.attempts == attempts
    wrong = errors.ConfigurationError("what the function given as password has returned can't be used")
    assert connect_error((("mq1:5671", wrong),)) is wrong


# -- over the wire


def cause_of(client: Client) -> Cause:
    cause = client.owner.causes[0]
    assert cause is not None
    return cause


def test_a_login_that_is_refused() -> None:
    client = Client(EngineConfig("me", mechanisms=(sasl.Plain("me", "sEcReT"),)))
    client.peer.accept_sasl(["PLAIN"], code=1)
    error = connection_error(cause_of(client), opening=True)
    assert isinstance(error, errors.AuthenticationFailed)
    assert str(error) == (
        "the login failed: SASL PLAIN: the server refused the credentials (outcome 1) (amqp:unauthorized-access)"
    )


def test_a_server_without_a_mechanism_of_ours() -> None:
    client = Client(EngineConfig("me", mechanisms=(sasl.Anonymous(),)))
    client.peer.expect_header("SASL")
    client.peer.send_header("SASL")
    client.peer.send("sasl_mechanisms", sasl_server_mechanisms=["PLAIN"])
    error = connection_error(cause_of(client), opening=True)
    assert isinstance(error, errors.AuthenticationFailed)
    assert str(error).endswith(
        "Pass credentials= that the server takes, such as Plain(user, password), or a URL with user and password."
    )


def test_a_close_as_it_comes_over_the_wire() -> None:
    client = Client(EngineConfig("me"))
    client.peer.accept_open()
    client.peer.send("close", error=codec.error("amqp:connection:forced", "node is going down", {"x": "y"}))
    error = connection_error(cause_of(client), endpoint="mq1:5672")
    assert isinstance(error, errors.ConnectionForced)
    assert str(error) == "the peer closed the connection to mq1:5672: node is going down (amqp:connection:forced)"
    assert type(error.condition) is str
    assert pickle.loads(pickle.dumps(error)).info == {"x": "y"}


def test_a_server_that_speaks_something_else_is_not_tried_again() -> None:
    client = Client(EngineConfig("me"))
    client.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    error = connection_error(cause_of(client), opening=True)
    assert isinstance(error, ConnectFailed)
    assert not error.is_temporary


# -- messages that are sent


def outcome(kind: OutcomeKind, state: object | None = None, **details: Any) -> Outcome:
    return Outcome(kind, state, **details)


@pytest.mark.parametrize(
    ("what", "name", "is_temporary"),
    [
        (outcome(OutcomeKind.REFUSED, Rejected()), "MessageRejected", True),
        (outcome(OutcomeKind.REFUSED, Rejected(Error(conditions.NOT_ALLOWED))), "MessageRejected", False),
        (outcome(OutcomeKind.REFUSED, Rejected(Error(Symbol("com.example:busy")))), "MessageRejected", True),
        (outcome(OutcomeKind.REFUSED, Released()), "MessageReleased", True),
        (outcome(OutcomeKind.REFUSED, Modified(True)), "MessageModified", True),
        (outcome(OutcomeKind.REFUSED, Modified(True, True)), "MessageModified", False),
        (outcome(OutcomeKind.REFUSED, Received(0, 0)), "NotAccepted", False),
        (outcome(OutcomeKind.LOST), "NotSent", True),
        (outcome(OutcomeKind.LOST, may_have_arrived=True), "OutcomeUnknown", True),
        (outcome(OutcomeKind.TIMED_OUT, text="late"), "SendTimeout", True),
        (outcome(OutcomeKind.TIMED_OUT, text="late", may_have_arrived=True), "OutcomeTimeout", True),
        (outcome(OutcomeKind.RETURNED), "SendCancelled", False),
        (outcome(OutcomeKind.RETURNED, may_have_arrived=True), "OutcomeUnknown", True),
        (outcome(OutcomeKind.FAILED, error=MessageTooLarge("over the limit")), "MessageTooLarge", False),
        (outcome(OutcomeKind.FAILED, error=EncodeError("no such type")), "NotSent", False),
        (outcome(OutcomeKind.FAILED, error=LocalProtocolError("no")), "NotSent", False),
        (
            outcome(OutcomeKind.SUSPECTED, condition=conditions.MESSAGE_SIZE_EXCEEDED, may_have_arrived=True),
            "MessageTooLarge",
            False,
        ),
        (outcome(OutcomeKind.SUSPECTED, condition="amqp:decode-error", may_have_arrived=True), "OutcomeUnknown", False),
        (outcome(OutcomeKind.SUSPECTED, condition="x", may_have_arrived=True), "OutcomeUnknown", True),
        (outcome(OutcomeKind.SUSPECTED, may_have_arrived=True), "OutcomeUnknown", True),
    ],
)
def test_what_became_of_a_message(what: Outcome, name: str, is_temporary: bool) -> None:
    delivery: Any = object()
    error = send_error(what, delivery=delivery)
    assert isinstance(error, SendError)
    assert (name_of(error), error.is_temporary) == (name, is_temporary)
    assert error.delivery is delivery
    assert getattr(error, "outcome", what.state) is (what.state if name != "NotAccepted" else None)
    if what.condition is not None:
        assert error.condition == what.condition
    if what.error is not None:
        assert error.__cause__ is what.error
        assert str(what.error) in str(error)


@pytest.mark.parametrize("kind", OutcomeKind)
@pytest.mark.parametrize("uncertain", [True, False])
def test_not_sent_means_that_no_byte_counts(kind: OutcomeKind, uncertain: bool) -> None:
    """Of all that may have arrived, only a message that the peer or this side found too large certainly didn't."""
    error = send_error(
        outcome(kind, Released(), may_have_arrived=uncertain, error=ValueError()), ended=DetachForced("x")
    )
    if kind is OutcomeKind.TAKEN:
        assert error is None
    elif kind not in (OutcomeKind.REFUSED, OutcomeKind.FAILED):
        assert isinstance(
            error, NotSent if not uncertain and kind is not OutcomeKind.SUSPECTED else errors.OutcomeUnknown
        )


@pytest.mark.parametrize("state", [None, Released()])
def test_a_message_that_was_taken_is_no_error(state: object) -> None:
    assert send_error(outcome(OutcomeKind.TAKEN, state)) is None


def test_a_rejection_tells_who_and_why() -> None:
    error = send_error(
        outcome(
            OutcomeKind.REFUSED,
            Rejected(Error(Symbol("amqp:resource-limit-exceeded"), "maximum length reached", {Symbol("queue"): "q1"})),
        )
    )
    assert isinstance(error, errors.MessageRejected)
    assert (error.queue, error.reason) == ("q1", "maximum length reached")
    assert str(error) == "the peer rejected the message: maximum length reached (amqp:resource-limit-exceeded)"
    assert error.is_temporary is ("amqp:resource-limit-exceeded" not in NOT_WORTH_RETRYING)


def test_what_releases_and_changes_mean() -> None:
    released = outcome(OutcomeKind.REFUSED, Released())
    assert str(send_error(released)) == "the peer released the message"
    assert "no queue is bound" in str(send_error(released, product="RabbitMQ"))
    assert str(send_error(outcome(OutcomeKind.REFUSED, Modified(True, True)))).endswith(
        "modified: the delivery failed and it can't be delivered there"
    )
    assert str(send_error(outcome(OutcomeKind.REFUSED, Modified()))).endswith("modified")


@pytest.mark.parametrize("kind", [OutcomeKind.LOST, OutcomeKind.RETURNED, OutcomeKind.SUSPECTED])
@pytest.mark.parametrize("uncertain", [True, False])
def test_why_a_message_has_no_outcome(kind: OutcomeKind, uncertain: bool) -> None:
    ended = link_error(said("amqp:resource-deleted", "q1 was deleted", {Symbol("a"): 1}), False)
    error = send_error(outcome(kind, may_have_arrived=uncertain), ended=ended)
    assert isinstance(error, SendError)
    assert (error.condition, error.description, error.info) == ("amqp:resource-deleted", "q1 was deleted", {"a": 1})
    assert error.__cause__ is ended
    assert not error.is_temporary
    assert not isinstance(error, errors.SendCancelled)
    assert str(error).endswith(": q1 was deleted (amqp:resource-deleted)")


def test_the_senders_own_end_is_a_reason_too() -> None:
    error = send_error(outcome(OutcomeKind.RETURNED), ended=errors.ClosedError("the sender was closed"))
    assert type(error) is NotSent
    assert str(error) == "the message wasn't sent: the sender was closed"


def test_errors_of_the_fronts_own_are_used() -> None:
    own = NotSent("already an error")
    delivery: Any = object()
    assert send_error(outcome(OutcomeKind.FAILED, error=own), delivery=delivery) is own
    assert own.delivery is delivery
    ended = DetachForced("the link was detached", condition="amqp:link:detach-forced")
    error = send_error(outcome(OutcomeKind.SUSPECTED, error=ended, may_have_arrived=True))
    assert error is not None
    assert (error.__cause__, error.condition) == (ended, "amqp:link:detach-forced")
