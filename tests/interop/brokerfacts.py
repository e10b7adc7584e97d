"""The brokers of tests/interop: where each listens, and in what they differ (brokers/README.md has the whole table)."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "brokers"
STATE = Path(os.environ.get("AMQP_BROKERS_DIR") or Path(tempfile.gettempdir(), "amqp-brokers"))


@dataclass(frozen=True, kw_only=True)
class RealBroker:
    """One broker. A flag is what most brokers do unless a broker says otherwise."""

    name: str
    port: int
    tls_port: int
    addresses: str  # of a queue, with {} for its name
    topics: str | None = None  # of a topic, with {} for its name
    topics_by_default: str | None = None  # of what is a topic unless the capability `queue` is asked for

    host: str = "localhost"
    user: str = "amqp"
    password: str = "secret"
    anonymous_port: int = 0  # of SASL ANONYMOUS, where it is another one
    strict_port: int = 0  # of a listener that refuses an open with an unknown hostname

    ends_sessions: bool = False  # for a link that it refuses, instead of detaching that
    refuses_modified: bool = False  # ends the session with amqp:invalid-field
    refuses_second: bool = False  # a link with rcv-settle-mode second: amqp:not-implemented
    confirms: bool = False  # has rcv-settle-mode second; the others that don't refuse it answer with first
    rejects_to_itself: bool = False  # a rejected message is delivered again
    counts_failures: bool = True  # modified(delivery-failed) raises delivery-count
    answers_drain: bool = True
    refuses_unknown: bool = False  # a queue that does not exist: amqp:not-found; an attach makes none
    releases_unroutable: bool = False  # what is sent to an exchange that no queue is bound to for it
    browses: bool = False  # distribution-mode copy
    selects: bool = False  # the filter  key = 'value'
    selects_sql: bool = False  # ... and the rest of the selector language
    dynamic: bool = False  # makes a node for a dynamic source
    durable_topics: bool = False  # has durable subscriptions, by the names of container and link
    relays: bool = False  # takes messages on a null target, and looks at `to`
    takes_no_body: bool = True  # a message without a body section
    keeps_no_body: bool = True  # ... comes back without one
    takes_delivery_annotations: bool = True  # otherwise the connection breaks
    keeps_sections: bool = True  # several data or sequence sections, all and in order
    takes_list_value: bool = True  # a list of two or more items as amqp-value
    external: bool = False  # SASL EXTERNAL over TLS, with a client certificate
    no_sasl: bool = False  # an AMQP header without SASL before it
    sessions: int = 0  # that a connection may have, where they are few
    message_limit: int = 0  # bytes of a message that its attach announces, where a test can have as many
    internal_exchange: str = ""  # an address that nobody may send to
    websocket: int = 0  # the port of AMQP over WebSocket
    bad_addresses: tuple[str, ...] = ()  # that it refuses
    address_hint: str = ""  # what the library adds to such an error
    durable_queue: str | None = None  # the address of a queue whose durable messages outlive the broker's process

    def address(self, name: str) -> str:
        """The address of a queue."""
        return self.addresses.format(name)

    def topic(self, name: str) -> str:
        if self.topics is None:
            raise LookupError(f"{self.name} has no addresses for topics")
        return self.topics.format(name)

    def url(self, name: str) -> str:
        """The URL of a queue over plain TCP, with the credentials in it."""
        return f"amqp://{self.user}:{self.password}@{self.host}:{self.port}/{self.address(name)}"

    def answers(self, tls: bool = False) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.tls_port if tls else self.port), timeout=5).close()
        except OSError:
            return False
        return True

    @property
    def ours(self) -> bool:
        """Whether the project's scripts started it, and may stop it."""
        return (STATE / f"{self.name}.pid").exists()

    def start(self) -> None:
        """Starts it again; durable queues hold what they held."""
        script("start.sh", "--keep", self.name)

    def stop(self) -> None:
        script("stop.sh", self.name)

    def kill(self) -> None:
        """Ends it as a crash would."""
        script("stop.sh", "--kill", self.name)


def script(name: str, *arguments: str) -> None:
    done = subprocess.run([SCRIPTS / name, *arguments], capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


BROKERS = (
    RealBroker(
        name="rabbitmq3",
        port=5672,
        tls_port=5671,
        addresses="/queue/{}",
        topics="/topic/{}",
        durable_queue="/amq/queue/test",
        bad_addresses=("queue/x", "/queues/x", "queue://x", "/queue/a/b", "/exchange/nosuch/k"),
        address_hint='//queue/NAME behind the host of an amqp:// URL, or node="/queue/NAME"',
        ends_sessions=True,
        refuses_modified=True,
        refuses_second=True,
        counts_failures=False,
        answers_drain=False,
        keeps_no_body=False,
        keeps_sections=False,
        takes_list_value=False,
        takes_delivery_annotations=False,
        external=True,
        no_sasl=True,
    ),
    RealBroker(
        name="rabbitmq4",
        port=5673,
        tls_port=5670,
        addresses="/queues/{}",
        durable_queue="/queues/test",
        bad_addresses=(
            "queues/x",
            "/queues",
            "//queues/x",
            "topic://x",
            "/queues/a b",
            "/queues/nosuch",
            "/exchanges/nosuch/k",
        ),
        address_hint='//queues/NAME behind the host of an amqp:// URL, or node="/queues/NAME"',
        ends_sessions=True,
        refuses_second=True,
        counts_failures=False,
        refuses_unknown=True,
        releases_unroutable=True,
        sessions=64,
        message_limit=16 * 1024 * 1024,
        internal_exchange="/exchanges/amq.rabbitmq.trace/k",
        relays=True,
        takes_no_body=False,
        external=True,
    ),
    RealBroker(
        name="rabbitmq43",
        port=5677,
        tls_port=5678,
        addresses="/queues/{}",
        durable_queue="/queues/test",
        bad_addresses=(
            "bare",
            "/queue/x",
            "queues/x",
            "//queues/x",
            "topic://x",
            "/queues/a b",
            "/queues/nosuch",
            "/exchanges/nosuch/k",
        ),
        address_hint='//queues/NAME behind the host of an amqp:// URL, or node="/queues/NAME"',
        refuses_second=True,
        refuses_unknown=True,
        releases_unroutable=True,
        sessions=64,
        message_limit=16 * 1024 * 1024,
        internal_exchange="/exchanges/amq.rabbitmq.trace/k",
        relays=True,
        takes_no_body=False,
        external=True,
    ),
    RealBroker(
        name="activemq",
        port=5674,
        tls_port=5675,
        addresses="queue://{}",
        topics="topic://{}",
        durable_topics=True,
        durable_queue="queue://test",
        keeps_sections=False,
        browses=True,
        selects=True,
        selects_sql=True,
        dynamic=True,
        relays=True,
    ),
    RealBroker(
        name="artemis",
        port=20672,
        tls_port=20671,
        addresses="{}",
        topics="topic://{}",
        durable_topics=True,
        topics_by_default="multicast.{}",
        durable_queue="test",
        browses=True,
        selects=True,
        selects_sql=True,
        dynamic=True,
        relays=True,
        no_sasl=True,
        websocket=20672,
    ),
    RealBroker(
        name="brokerj",
        port=20772,
        tls_port=20771,
        addresses="{}",
        topics="amq.topic/{}",
        durable_topics=True,
        durable_queue="test",
        bad_addresses=("nowhere/x",),
        anonymous_port=20777,
        strict_port=20778,
        confirms=True,
        rejects_to_itself=True,
        browses=True,
        selects=True,
        selects_sql=True,
        dynamic=True,
        relays=True,
        websocket=20779,
    ),
    RealBroker(
        name="rhea",
        port=5686,
        tls_port=5687,
        addresses="{}",
        topics="topic://{}",
        browses=True,
        selects=True,
        dynamic=True,
        relays=True,
        external=True,
        no_sasl=True,
        websocket=5688,
    ),
)
