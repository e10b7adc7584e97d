"""python-qpid-proton as a blocking client, which also notices a session that the broker ends."""

from __future__ import annotations

import uuid
from typing import Any

from proton import ConnectionException, Link, Message, SSLDomain, symbol
from proton.reactor import LinkOption
from proton.utils import BlockingConnection

from .brokerfacts import RealBroker


class ProtonClient(BlockingConnection):  # type: ignore[misc]  # proton has no types
    """A connection of proton's own; a context manager."""

    def on_session_remote_close(self, event: Any) -> None:
        condition = event.session.remote_condition
        if condition and not self.closing:
            raise ConnectionException(f"session ended by the peer: {condition}")

    def sender(self, address: str | None, options: Any = None) -> Any:
        return self.create_sender(address, name=f"s-{uuid.uuid4()}", options=options)

    def receiver(self, address: str | None, credit: int | None = None, options: Any = None, **more: Any) -> Any:
        return self.create_receiver(address, credit, name=f"r-{uuid.uuid4()}", options=options, **more)

    def __enter__(self) -> ProtonClient:  # noqa: PYI034 (Self is Python 3.11's)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise


def connect(
    host: str,
    port: int,
    *,
    user: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    certificate: object = None,
    key: object = None,
    timeout: float = 20,
    **options: Any,
) -> ProtonClient:
    """Opens a connection: EXTERNAL with a certificate, PLAIN with a user, else ANONYMOUS; TLS with a CA file."""
    domain = None
    if ca is not None:
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(ca)
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    login = {"allowed_mechs": "ANONYMOUS"}
    if domain is not None and certificate is not None:
        domain.set_credentials(str(certificate), str(key), None)
        login = {"allowed_mechs": "EXTERNAL"}
    elif user is not None:
        login = {"allowed_mechs": "PLAIN", "user": user, "password": password or ""}
    return ProtonClient(
        f"{'amqps' if ca else 'amqp'}://{host}:{port}",
        timeout=timeout,
        ssl_domain=domain,
        allow_insecure_mechs=True,
        **(login | options),
    )


def connect_to(broker: RealBroker, ca: object = None, **options: Any) -> ProtonClient:
    """Logs in to a broker, over TLS with a CA file."""
    return connect(
        broker.host,
        broker.tls_port if ca else broker.port,
        ca=str(ca) if ca else None,
        **({"user": broker.user, "password": broker.password} | options),
    )


class SettleModes(LinkOption):  # type: ignore[misc]
    """Asks for settle modes: proton's Link.SND_* and Link.RCV_*."""

    def __init__(self, snd: int | None = None, rcv: int | None = None) -> None:
        self.snd, self.rcv = snd, rcv

    def apply(self, link: Any) -> None:
        if self.snd is not None:
            link.snd_settle_mode = self.snd
        if self.rcv is not None:
            link.rcv_settle_mode = self.rcv


class _Paired(LinkOption):  # type: ignore[misc]
    """One of RabbitMQ's pairs of links for management: they have one name and this property."""

    def apply(self, link: Any) -> None:
        link.properties = {symbol("paired"): True}
        link.snd_settle_mode = Link.SND_SETTLED


def manage(broker: RealBroker, method: str, path: str, body: Any) -> Message:
    """The answer of RabbitMQ 4's management over AMQP."""
    with connect_to(broker) as client:
        pair = f"pair-{uuid.uuid4()}"
        requests = client.create_sender("/management", name=pair, options=_Paired())
        answers = client.create_receiver("/management", 1, name=pair, options=_Paired())
        requests.send(Message(id=1, subject=method, address=path, reply_to="$me", body=body))
        return answers.receive()


def declare(broker: RealBroker, name: str, **arguments: str) -> None:
    """Makes a queue where an attach makes none; its name is percent-encoded, its arguments are RabbitMQ's."""
    named = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
    queue = {"durable": True, "arguments": {"x-queue-type": "classic"} | named}
    answer = manage(broker, "PUT", f"/queues/{name}", queue)
    if answer.subject != "201":
        raise RuntimeError(f"{broker.name} didn't make the queue {name}: {answer.subject} {answer.body}")
