"""A user's program with threads, typed as users type theirs: an order desk that uses most of `uamqp.sync`.

Type checkers check it (test_checkers.py), and it runs (tests/messaging/test_programs.py).
"""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

from uamqp.sync import (
    DEFAULT,
    AMQPError,
    Anonymous,
    BufferFull,
    Cbs,
    ClosedError,
    ConnectFailed,
    Connection,
    ConnectionEvent,
    ConnectionState,
    Credentials,
    CredentialsFactory,
    Delivery,
    External,
    FilterRefused,
    Message,
    MessageRejected,
    Modified,
    Node,
    NotAccepted,
    NotSent,
    OperationTimeout,
    OutcomeUnknown,
    Plain,
    Receiver,
    ReceiverOptions,
    Rejected,
    Released,
    Sender,
    SenderOptions,
    SendManyFailed,
    SendReport,
    Session,
    Source,
    Target,
    Timeouts,
    connect,
    filters,
)


@dataclass(frozen=True)
class Order:
    number: int
    amount: Decimal

    def message(self) -> Message:
        return Message.of_json(
            {"number": self.number, "amount": str(self.amount)},
            message_id=f"order-{self.number}",
            application_properties={"amount": float(self.amount)},
        )

    @classmethod
    def of(cls, message: Message) -> Order:
        fields: dict[str, Any] = message.json()
        return cls(int(fields["number"]), Decimal(fields["amount"]))


# -- connecting


def password() -> str:
    return "secret"


def token() -> tuple[str, datetime]:
    return "a token", datetime.now(timezone.utc) + timedelta(hours=1)


def current() -> Credentials:
    return Plain("desk", password())


CREDENTIALS: dict[str, Credentials | Sequence[Credentials] | CredentialsFactory] = {
    "anonymous": Anonymous(),
    "plain": Plain("desk", "secret"),
    "password": Plain(lambda: "desk", password, allow_plaintext=True),
    "external": External(),
    "list": [External(), Plain("desk", "secret")],
    "factory": current,
    "tokens": Cbs(token, "amqp://localhost/orders", refresh_ahead=60.0),
}


def log_in(url: str, login: str, tls: ssl.SSLContext | None = None) -> Connection:
    return connect(
        [url],
        credentials=CREDENTIALS[login],
        tls=tls,
        container_id=f"desk-{login}",
        idle_timeout=30,
        properties={"program": "order desk"},
        timeouts=Timeouts(connect=5, link=10.0, send=None),
    )


def nobody_there(url: str) -> list[str]:
    try:
        connect(url, timeouts=Timeouts(connect=1.0))
    except ConnectFailed as error:
        return [f"{endpoint}: {type(cause).__name__}" for endpoint, cause in error.attempts if cause.is_temporary]
    return []


# -- sending


def every_body() -> Iterator[Message]:
    for body in ("text", b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), None, True, 1, 1.5, Decimal("1.5")):
        yield Message(body)
    yield Message(uuid.UUID(int=1))
    yield Message(datetime.now(timezone.utc))
    yield Message(["a", "list"], subject="list", priority=7, ttl=timedelta(minutes=1))
    yield Message({"a": "map"}, annotations={"x-opt-from": "desk"}, durable=False, ttl=60)
    yield Message.of_data(b"in", b"pieces", content_type="application/octet-stream")
    yield Message.of_value(b"binary", correlation_id=7)
    yield Message.of_sequence([1, 2], [3], creation_time=datetime.now(timezone.utc))
    yield Order(1, Decimal("9.99")).message()


def send_bodies(sender: Sender) -> int:
    sent = 0
    for message in every_body():
        sender.send(message)
        sent += 1
    for body in ("text", b"bytes", 5, ["a", "list"], {"a": "map"}):
        sender.send(body, timeout=10)
        sent += 1
    sender.flush()
    return sent


def send_orders(sender: Sender, count: int) -> tuple[int, int]:
    orders = (Order(number, Decimal(number)).message() for number in range(count))
    report: SendReport = sender.send_many(orders, window=100, timeout=DEFAULT, on_failure="collect")
    for delivery in report.failures:
        print(delivery.message.message_id, delivery.error)
    more: list[Message | str] = ["one", Message("two")]
    return report.accepted, sender.send_many(more, window=10).taken


def outcomes(sender: Sender) -> list[str]:
    """Submit now, and look later."""
    told: list[str] = []

    def tell(delivery: Delivery) -> None:
        told.append("failed" if delivery.error else "done")

    under_way = [sender.submit(Message(number, to="orders")) for number in range(3)]
    under_way[0].add_done_callback(tell)
    for delivery in under_way:
        accepted = delivery.wait(timeout=30)
        if accepted is not None and delivery.sent:
            told.append(type(accepted).__name__)
    try:
        if sender.submit_nowait("at once", timeout=5.0).cancel():
            told.append("taken back")
    except BufferFull as error:
        told.append(str(error))
    return told


def why(sender: Sender, message: Message) -> str:
    """Say why a message isn't accepted."""
    try:
        sender.send(message, timeout=20.0)
    except MessageRejected as error:
        return f"rejected: {error.condition} {error.reason} {error.queue}"
    except NotAccepted as error:
        match error.outcome:
            case Modified(delivery_failed=True):
                return "failed"
            case Modified() | Released():
                return "given back"
            case Rejected() | None:
                return "refused"
    except (NotSent, OutcomeUnknown) as error:
        return f"{'again' if error.is_temporary else 'for good'}: {error.description}"
    return "accepted"


def all_or_nothing(sender: Sender) -> str:
    try:
        sender.send_many(["a", "b"])
    except SendManyFailed as error:
        failed: list[Delivery] = [] if error.report is None else list(error.report.failures)
        return f"{len(failed)} of {0 if error.report is None else error.report.taken} failed"
    return "sent"


# -- receiving


def handle(receiver: Receiver, message: Message) -> Order:
    with receiver.process(message, requeue=False) as processed:
        return Order.of(processed)


def settle_each(receiver: Receiver) -> list[int]:
    """Settle six messages, each in another way."""
    order = handle(receiver, receiver.receive(timeout=10.0))
    counts = [order.number]
    for message in receiver.receive_many(5, minimum=5):
        counts.append(message.delivery_count)
        match len(counts):
            case 2:
                message.accept().wait()
            case 3:
                message.release()
            case 4:
                message.reject("desk:invalid", "no such customer", {"field": "customer"})
            case 5:
                message.modify(delivery_failed=True, annotations={"x-opt-tries": 1})
            case _:
                receiver.accept([message]).wait(timeout=5)
    return counts


def in_threads(receiver: Receiver, count: int) -> list[int]:
    messages = receiver.receive_many(count, minimum=count, timeout=10.0)
    with ThreadPoolExecutor(4) as pool:
        return [order.number for order in pool.map(partial(handle, receiver), messages)]


def take_all(receiver: Receiver, count: int) -> int:
    """Take messages one by one, then in batches, and stop once there were enough."""
    taken = 0
    for message in receiver:
        number, text = message.message_id, message.content_type
        taken += isinstance(number, str) and text == "application/json"
        message.accept()
        if taken == 2:
            break
    for batch in receiver.batches(50):
        receiver.accept(batch)
        taken += len(batch)
        if taken >= count:
            receiver.stop()
    try:
        receiver.receive(timeout=5.0)
    except ClosedError:
        return taken
    except OperationTimeout as error:
        raise TimeoutError(str(error)) from error
    return -1


def with_options(connection: Connection) -> list[str]:
    """Open receivers of several kinds."""
    seen: list[str] = []
    wanted = [filters.selector("amount > 100"), filters.properties(subject="&p:order.")]
    options: ReceiverOptions = {"filters": wanted, "prefetch": 0, "settle": "manual"}
    try:
        connection.open_receiver(Source("orders", browse=True), **options)
    except FilterRefused as error:
        seen.append(f"refused: {error.is_temporary}")
    options["filters_required"] = False
    with connection.open_receiver(Node("orders"), **options) as receiver:
        seen.append(f"{receiver.address} {len(receiver.receive_many(10, timeout=0.01))}")
    with connection.open_receiver(None, dynamic=True, credit="manual") as replies:
        with connection.open_sender(None, presettled=True, name="relay") as relay:
            replies.add_credit(1)
            relay.send(Message("an answer", to=replies.address))
            seen.append(replies.receive().text())
        replies.drain(timeout=5.0)
        found = replies.receive_nowait()
        seen.append("none" if found is None else found.text())
    return seen


def in_session(session: Session) -> int:
    """Send messages of both kinds over one link, and receive them over another of the same session."""
    with session.open_sender("mixed", presettled="mixed") as sender, session.open_receiver("mixed") as receiver:
        sender.send("surely")
        perhaps = sender.submit("perhaps", presettled=True)
        perhaps.wait()  # done once it is on its way
        messages = receiver.receive_many(2, minimum=2, timeout=10.0)
        for message in messages:
            message.accept().wait()
        return receiver.stats().settled


def main(url: str) -> dict[str, Any]:
    """Do all of it, and return what came of it."""
    results: dict[str, Any] = {}
    started = time.monotonic()
    options: SenderOptions = {"durable": True, "max_pending": 500, "capabilities": ["queue"]}
    options["send_timeout"] = 30.0
    events: list[ConnectionEvent] = []
    with connect(url, timeouts=Timeouts(link=10), on_event=events.append) as connection:
        with connection.open_sender(Target("bodies"), **options) as sender:
            results["bodies"] = send_bodies(sender)
            results["outcomes"] = outcomes(sender)
        with connection.open_sender("orders", **options) as sender:
            results["orders"] = send_orders(sender, 200)
            results["empty"] = (sender.pending, sender.state == "open")
        with connection.open_receiver("orders", prefetch=20, max_unsettled=None) as receiver:
            results["threads"] = in_threads(receiver, 10)
            results["settled"] = settle_each(receiver)
            results["taken"] = take_all(receiver, 50)
        results["options"] = with_options(connection)
        with connection.open_session(incoming_window=100) as session:
            results["session"] = in_session(session)
        stats = connection.stats()
        results["stats"] = (stats.sent.pending, stats.sent.unknown, stats.received.settlements_lost)
        if connection.state is ConnectionState.OPEN and connection.remote is not None:
            results["peer"] = connection.remote.container_id
    results["events"] = [f"{event.previous} -> {event.state}" for event in events]
    results["seconds"] = time.monotonic() - started
    return results


if __name__ == "__main__":
    try:
        main("amqp://localhost")
    except AMQPError as problem:
        print(problem.condition, problem.info, problem)
