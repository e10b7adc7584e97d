"""`uamqp.authentication`: credentials, TLS settings, bad arguments, and that secrets stay secret."""

from __future__ import annotations

import datetime
import enum
import logging
import pickle
import socket
import ssl
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.peer.certs import Certificates
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import accept_leaving, accept_sender, settle, url
from tests.support.waiting import until
from uamqp import Connection, Message, ReceiveClient, SendClient, authentication, errors
from uamqp.authentication import AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain
from uamqp.constants import TransportType
from uamqp.testing import Broker

SECRET = "s3cret-Ω"
KINDS = [
    pytest.param(AMQPAuth, id="AMQPAuth"),
    pytest.param(SASLAnonymous, id="SASLAnonymous"),
    pytest.param(lambda host, **given: SASLPlain(host, "me", "pw", **given), id="SASLPlain"),
    pytest.param(
        lambda host, **given: SASLExternal(host, **{"ssl_context": ssl.create_default_context(), **given}),
        id="SASLExternal",
    ),
]
PLAIN_KINDS: list[Any] = [AMQPAuth, SASLAnonymous, lambda host, **given: SASLPlain(host, "me", "pw", **given)]


def test_what_is_exported() -> None:
    for name in ("AMQPAuth", "SASLPlain", "SASLAnonymous", "SASLExternal"):
        assert getattr(authentication, name).__module__.startswith("uamqp.authentication")


def test_attributes() -> None:
    auth = SASLPlain("h", "usér", b"pw", port="5671")
    assert auth.hostname == b"h"
    assert (auth.username, auth.password) == ("usér".encode(), b"pw")
    assert auth.port == 5671
    assert auth.cert_file is None
    assert auth.consumed is False
    assert auth.use_tls is True
    assert SASLAnonymous(b"h", use_tls=False).use_tls is False


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"port": -1}, ValueError, "port"),
        ({"port": 65536}, ValueError, "port"),
        ({"port": "http"}, ValueError, "port"),
        ({"port": [5672]}, (TypeError, ValueError), "port"),
        ({"connect_timeout": 0}, ValueError, "connect_timeout"),
        ({"connect_timeout": -1}, ValueError, "connect_timeout"),
        ({"connect_timeout": "soon"}, TypeError, "connect_timeout"),
    ],
    ids=str,
)
def test_bad_arguments_are_named(make: Any, given: dict[str, Any], kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        make("h", **given)


@pytest.mark.parametrize("make", KINDS)
def test_bad_hosts_are_refused(make: Any) -> None:
    for wrong in ("", b""):
        with pytest.raises(ValueError, match="hostname"):
            make(wrong)
    for wrong_type in (None, 5):
        with pytest.raises(TypeError, match="hostname"):
            make(wrong_type)


HOSTS_ALONE = ["h", "h.example", "127.0.0.1", "::1", "[::1]", "fe80::1%eth0", "[2001:db8::7]", b"h", b"[::1]"]
MORE_THAN_A_HOST = {
    "h:5672": "port",
    "127.0.0.1:5672": "port",
    "[::1]:5672": "port",
    "h:": "port",
    "s3cret:h": "port",
    b"h:5672": "port",
    "amqps://h": "URL",
    "amqps://me:s3cret@h/q": "password",
    "h/q": "URL",
    "s3cret://h:5671": "URL",
}


@pytest.mark.parametrize("host", HOSTS_ALONE, ids=str)
def test_a_host_is_a_name_or_an_address(host: Any) -> None:
    for auth in (AMQPAuth(host), SASLPlain(host, "me", "pw"), SASLAnonymous(host)):
        name = host.decode() if isinstance(host, bytes) else host
        assert auth.hostname == name.encode()
        assert auth._endpoint().host == name.strip("[]")


@pytest.mark.parametrize(("host", "text"), MORE_THAN_A_HOST.items(), ids=str)
@pytest.mark.parametrize("make", KINDS)
def test_more_than_a_host_is_refused(make: Any, host: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^hostname must be the name of a host alone.*{text}") as caught:
        make(host)
    assert "s3cret" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(("host", "text"), MORE_THAN_A_HOST.items(), ids=str)
def test_so_are_hosts_of_endpoints_and_proxies(host: Any, text: str) -> None:
    makes: list[tuple[Any, Any]] = [(authentication.SASTokenAuth, "t"), (authentication.JWTTokenAsync, a_token)]
    for make, given in makes:
        with pytest.raises(ValueError, match=f"^custom_endpoint_hostname must be the name of a host alone.*{text}"):
            make("a", "sb://h/q", given, expires_in=HOUR, custom_endpoint_hostname=host)
    with pytest.raises(ValueError, match=f"^proxy_hostname must be the name of a host alone.*{text}"):
        SASLAnonymous("h", http_proxy={"proxy_hostname": host, "proxy_port": 80})


@pytest.mark.parametrize("make", KINDS)
def test_verification_cannot_be_switched_off(make: Any) -> None:
    falsy: list[Any] = [False, 0, [], {}]
    for wrong in falsy:
        with pytest.raises(TypeError, match=r"^verify must be the path .*always verified, that can't be switched off"):
            make("h", verify=wrong)
    for nothing in (None, "", b""):
        make("h", verify=nothing)


def test_bad_credentials_are_refused() -> None:
    with pytest.raises(TypeError, match="username"):
        SASLPlain("h", None, "pw")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="password"):
        SASLPlain("h", "me", 1234)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL"):
        SASLPlain("h", "m\0e", "pw")
    with pytest.raises(ValueError, match="NUL") as caught:
        SASLPlain("h", "me", SECRET + "\0")
    assert SECRET not in str(caught.value)


def test_unknown_keywords_are_refused() -> None:
    """Defect 39: they were ignored."""
    given: dict[str, Any] = {"verifi": "x"}
    for make in PLAIN_KINDS:
        with pytest.raises(TypeError, match="verifi"):
            make("h", **given)


def test_an_unknown_keyword_is_told_by_the_class_that_was_called() -> None:
    class Own(SASLAnonymous):
        pass

    calls: dict[str, Any] = {
        "AMQPAuth": (AMQPAuth, ("h",)),
        "SASLPlain": (SASLPlain, ("h", "me", "pw")),
        "SASLAnonymous": (SASLAnonymous, ("h",)),
        "SASLExternal": (SASLExternal, ("h",)),
        "Own": (Own, ("h",)),
        "SASTokenAuth": (authentication.SASTokenAuth, ("a", "sb://h/q", "t", HOUR)),
        "JWTTokenAsync": (authentication.JWTTokenAsync, ("a", "sb://h/q", a_token)),
    }
    for name, (make, arguments) in calls.items():
        with pytest.raises(TypeError, match=rf"{name}(\.__init__)?\(\) got an unexpected keyword argument 'verifi'"):
            make(*arguments, verifi="x")


# -- certificates


def test_a_missing_file_is_noticed_at_once(tmp_path: Path) -> None:
    """Contract 8.1: azure-eventhub depends on FileNotFoundError at construction."""
    missing = str(tmp_path / "none.pem")
    for make in PLAIN_KINDS:
        for name in ("verify", "certificate"):
            with pytest.raises(FileNotFoundError, match=r"none\.pem"):
                make("h", **{name: missing})
    with pytest.raises(FileNotFoundError, match=r"none\.pem"):
        SASLExternal("h", missing)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, certificates: Certificates) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    with pytest.raises(ValueError, match=r"verify.*garbage\.pem"):
        SASLAnonymous("h", verify=str(garbage))
    with pytest.raises(ValueError, match=r"certificate.*garbage\.pem"):
        SASLExternal("h", str(garbage))
    with pytest.raises(ValueError, match="certificate"):  # a key of another
        SASLExternal("h", certificates.client.cert, certificates.server.key)


def test_contradictions_are_refused(certificates: Certificates) -> None:
    context = ssl.create_default_context()
    with pytest.raises(ValueError, match="verify"):
        SASLAnonymous("h", use_tls=False, verify=certificates.ca)
    with pytest.raises(ValueError, match="ssl_context"):
        SASLAnonymous("h", use_tls=False, ssl_context=context)
    with pytest.raises(ValueError, match="verify"):
        SASLAnonymous("h", ssl_context=context, verify=certificates.ca)
    with pytest.raises(ValueError, match="certificate"):
        SASLExternal("h")


def test_a_context_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(TypeError, match="ssl_context"):
        SASLAnonymous("h", ssl_context="tls")  # type: ignore[arg-type]


def test_a_key_without_its_certificate_is_refused(certificates: Certificates) -> None:
    with pytest.raises(ValueError, match="key"):
        SASLAnonymous("h", key=certificates.client.key)


# -- transport


class Transports(enum.Enum):
    """azure-eventhub's and azure-servicebus's own, as they pass them."""

    Amqp = 1
    AmqpOverWebsocket = 2


@pytest.mark.parametrize("transport", [None, TransportType.Amqp, Transports.Amqp], ids=str)
def test_amqp_by_whatever_enumeration(transport: Any) -> None:
    """Rule 5: recognised by the member's name; the Azure packages' Amqp is 1, which is our AmqpOverWebsocket."""
    assert SASLAnonymous("h", transport_type=transport).use_tls


@pytest.mark.parametrize("transport", [5, "Amqp over pigeons", object()], ids=["number", "text", "object"])
def test_an_unknown_transport_is_refused(transport: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="transport_type"):
        SASLAnonymous("h", transport_type=transport)


# -- secrets


def test_a_password_over_an_open_line_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "uamqp")
    auth = SASLPlain("broker.invalid", "me", SECRET, use_tls=False)
    connection = Connection("broker.invalid", auth)
    for _ in range(3):
        with pytest.raises(errors.AMQPConnectionError):
            connection.start()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len([record for record in warnings if "unencrypted" in record.getMessage()]) == 1
    assert "broker.invalid" in caplog.text
    assert SECRET not in caplog.text
    connection.destroy()


def fail_to_connect(auth: AMQPAuth) -> None:
    connection = Connection("h", auth)
    with pytest.raises(errors.AMQPConnectionError):
        connection.start()
    connection.destroy()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3", "LOCALHOST"])
def test_no_warning_for_loopback(host: str, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        fail_to_connect(SASLPlain(host, "me", SECRET, port=port, use_tls=False, connect_timeout=5))
    assert "unencrypted" not in caplog.text


def test_no_warning_with_tls_or_without_a_password(caplog: pytest.LogCaptureFixture) -> None:
    fail_to_connect(SASLPlain("h.invalid", "me", SECRET))
    fail_to_connect(SASLAnonymous("h.invalid", use_tls=False))
    fail_to_connect(AMQPAuth("h.invalid", use_tls=False))
    assert caplog.text == ""


def shown(error: BaseException) -> str:
    parts = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(error.args)]
    return "\n".join(parts)


def test_secrets_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """In no repr, log line, trace or exception: neither password nor what goes over the wire with it."""
    caplog.set_level(1)

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(["PLAIN"], expect_response=f"\0me\0{SECRET}".encode())
        peer.accept_open()
        peer.accept_begin()
        accept_sender(peer, session=False)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        auth = SASLPlain("127.0.0.1", "me", SECRET, port=server.port, use_tls=False)
        client = SendClient(url(server), auth=auth, debug=True)
        client.send_message(Message(b"x"))
        text = "\n".join(
            repr(thing) + str(thing)
            for thing in (auth, auth.sasl, client, client._connection, client._connection._core, vars(client))  # type: ignore[union-attr]
        )
        client.close()
    assert SECRET not in text + caplog.text
    assert repr(SECRET.encode()) not in text + caplog.text
    assert SECRET.encode().hex() not in text + caplog.text


def test_secrets_of_a_url_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(["PLAIN"], expect_response=b"\0me\0s3cret", code=1)

    with ScriptedServer(script) as server:
        client = SendClient(f"amqp://me:s3cret@127.0.0.1:{server.port}/q", debug=True)
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message(Message(b"x"))
        text = repr(client._remote_address) + repr(client) + repr(client._auth) + shown(caught.value)
        client.close()
    assert "s3cret" not in text + caplog.text


def test_secrets_are_not_in_the_error_of_a_failed_connection() -> None:
    client = SendClient("amqp://me:s3cret@no-such-host.invalid/q")
    with pytest.raises(errors.AMQPConnectionError) as caught:
        client.send_message(Message(b"x"))
    assert "s3cret" not in shown(caught.value)
    client.close()


def test_credentials_of_the_url_are_used() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(["PLAIN", "ANONYMOUS"], expect_mechanism="PLAIN", expect_response=b"\0us er\0p@ss/w:rd")
        peer.accept_open()
        peer.accept_begin()
        accept_sender(peer, session=False)
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = SendClient(f"amqp://us%20er:p%40ss%2Fw%3Ard@127.0.0.1:{server.port}/q")
        client.open()
        until(client.client_ready, lambda: None)
        client.close()


def test_auth_is_anonymous_without_credentials() -> None:
    assert isinstance(SendClient("amqp://h/q")._auth, SASLAnonymous)
    assert isinstance(SendClient("amqp://me:pw@h/q")._auth, SASLPlain)
    assert isinstance(ReceiveClient("amqps://me:pw@h/q", auth=SASLAnonymous("h"))._auth, SASLAnonymous)


def test_auth_of_the_wrong_type_is_refused() -> None:
    for wrong in ("me:s3cret", ("me", "s3cret"), 5):
        with pytest.raises(TypeError, match="auth") as caught:
            SendClient("amqps://h/q", auth=wrong)  # type: ignore[arg-type]
        assert "s3cret" not in str(caught.value)


def test_users_and_passwords_on_the_broker() -> None:
    with Broker(users={"me": SECRET}) as broker:
        settings: dict[str, Any] = {"port": broker.port, "use_tls": False}
        with SendClient(broker.url + "/q", auth=SASLPlain("127.0.0.1", "me", SECRET, **settings)) as client:
            client.send_message(Message(b"x"))
        for auth in (SASLPlain("127.0.0.1", "me", "wrong", **settings), SASLAnonymous("127.0.0.1", **settings)):
            refused = SendClient(broker.url + "/q", auth=auth)
            with pytest.raises(errors.ConnectionClose, match="SASL") as caught:
                refused.send_message(Message(b"x"))
            assert caught.value.action is not None
            assert not caught.value.action.retry
            refused.close()


def test_credentials_do_not_go_into_a_pickle_unseen() -> None:
    """An object with a TLS context can't be pickled; one without may be, with its password, as any object."""
    with pytest.raises(TypeError):
        pickle.dumps(SASLPlain("h", "me", SECRET, ssl_context=ssl.create_default_context()))


# -- private keys that are encrypted


@pytest.fixture(scope="module")
def encrypted(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A certificate and its key, which is encrypted: in two files, and in one."""
    folder = tmp_path_factory.mktemp("encrypted")
    key = serialization.load_pem_private_key(Path(certificates.client.key).read_bytes(), None)
    best = serialization.BestAvailableEncryption(SECRET.encode())
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, best)
    (folder / "key.pem").write_bytes(text)
    (folder / "both.pem").write_bytes(text + Path(certificates.client.cert).read_bytes())
    return {"cert": certificates.client.cert, "key": str(folder / "key.pem"), "both": str(folder / "both.pem")}


HOUR = datetime.timedelta(hours=1)
WITH_A_CERTIFICATE = [
    *KINDS[:3],
    pytest.param(SASLExternal, id="SASLExternal"),
    pytest.param(
        lambda host, **given: authentication.SASTokenAuth("a", f"sb://{host}/q", "t", expires_in=HOUR, **given),
        id="SASTokenAuth",
    ),
    pytest.param(
        lambda host, **given: authentication.JWTTokenAsync("a", f"sb://{host}/q", a_token, **given), id="JWTTokenAsync"
    ),
]


async def a_token() -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("make", WITH_A_CERTIFICATE)
def test_an_encrypted_key_has_its_password(make: Any, encrypted: dict[str, Any]) -> None:
    asked: list[int] = []

    def give() -> bytes:
        asked.append(1)
        return SECRET.encode()

    for password in (SECRET, SECRET.encode(), bytearray(SECRET.encode()), lambda: SECRET, give):
        for files in ({"certificate": encrypted["cert"], "key": encrypted["key"]}, {"certificate": encrypted["both"]}):
            auth = make("h", **files, key_password=password)
            assert auth._endpoint().tls is not None
            assert SECRET not in repr(auth) + repr(auth._endpoint())
    assert len(asked) == 2  # once for each object, though each reads the key twice


@pytest.mark.parametrize("make", WITH_A_CERTIFICATE)
def test_an_encrypted_key_without_its_password_is_an_error(make: Any, encrypted: dict[str, Any]) -> None:
    files = {"certificate": encrypted["cert"], "key": encrypted["key"]}
    for nothing in ({}, {"key_password": None}, {"key_password": ""}):
        with pytest.raises(ValueError, match=r"private key in '.*key.pem' is encrypted: give .* as key_password"):
            make("h", **files, **nothing)
    with pytest.raises(ValueError, match=r"private key in '.*both.pem' is encrypted"):
        make("h", certificate=encrypted["both"])
    with pytest.raises(ValueError, match=r"is key_password right\?") as caught:
        make("h", **files, key_password="wrong " + SECRET)
    assert SECRET not in shown(caught.value)


def test_passwords_that_are_none(encrypted: dict[str, Any]) -> None:
    files = {"certificate": encrypted["cert"], "key": encrypted["key"]}
    for wrong in (5, ["pw"], object()):
        with pytest.raises(
            TypeError, match=f"key_password must be str, bytes or a function .* not {type(wrong).__name__}"
        ):
            SASLAnonymous("h", **files, key_password=wrong)
    with pytest.raises(ValueError, match="key_password goes with certificate"):
        SASLAnonymous("h", key_password="pw")
    with pytest.raises(ValueError, match="ssl_context takes the place of key_password"):
        SASLAnonymous("h", ssl_context=ssl.create_default_context(), key_password="pw")
    with pytest.raises(ValueError, match="use_tls=False goes without key_password"):
        SASLAnonymous("h", use_tls=False, key_password="pw")

    def unable() -> str:
        raise OSError("the vault is closed")

    with pytest.raises(OSError, match="the vault is closed"):
        SASLAnonymous("h", **files, key_password=unable)


def test_nobody_is_asked_on_the_terminal(encrypted: dict[str, Any]) -> None:
    """OpenSSL asks for the password of a key by itself; a server has nobody to answer."""
    program = (
        "import sys\n"
        "from uamqp.authentication import SASLExternal\n"
        "try:\n"
        "    SASLExternal('h', sys.argv[1], sys.argv[2])\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    arguments = [sys.executable, "-c", program, encrypted["cert"], encrypted["key"]]
    done = subprocess.run(
        arguments, input=SECRET + "\n", capture_output=True, text=True, timeout=120, check=True, start_new_session=True
    )
    assert "key_password" in done.stdout
    assert done.stderr == ""


def test_a_client_logs_in_with_an_encrypted_key(certificates: Certificates, encrypted: dict[str, Any]) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(["EXTERNAL"], expect_mechanism="EXTERNAL")
        peer.accept_open()
        peer.accept_begin()
        accept_sender(peer, session=False)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script, tls=certificates.server_context(ask_client=True)) as server:
        auth = SASLExternal(
            "localhost", encrypted["both"], port=server.port, verify=certificates.ca, key_password=lambda: SECRET
        )
        client = SendClient("amqps://localhost/q", auth=auth)
        client.send_message(Message(b"x"), close_on_done=True)
