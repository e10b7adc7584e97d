"""What an exception out of a signal handler leaves behind in `uamqp.sync`, at any line: nothing locked, twice, or lost.

The connection goes on, or it is given up with an error that says so.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.interrupts import PARTS, Interrupted, Run, everywhere, posix, raising, run_to
from tests.support.lines import plain
from tests.support.links import stored, url_of
from tests.support.threads import Call, counts_in
from uamqp import sync
from uamqp.messaging import Accepted, ClosedError, ConnectionFailure, LinkRefused, NotSent, SendError, SettlementLost
from uamqp.testing import Broker

pytestmark = [
    plain,
    # The operation of a public method is dropped unstarted if the exception comes before its first line, and one that
    # meets a finalizer comes out nowhere.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*wasn't closed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*Interrupted:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]
ON_THE_WAY = ("transport/drive.py", "transport/guard.py", "sync.py")
"""Where a result is on its way to the caller, who doesn't get it; a message comes again when the receiver is closed."""

every_part = pytest.mark.parametrize("part", range(PARTS))


def connection_of(broker: Broker) -> sync.Connection:
    return sync.connect(url_of(broker), keeper=False)


def usable(connection: sync.Connection, way: Callable[[], Any], run: Run) -> bool:
    """Use a connection in another thread, which waits for no lock; return whether it goes on."""
    error = Call(way).error()
    if error is not None:
        assert isinstance(error, (ClosedError, ConnectionFailure, LinkRefused, SettlementLost)), f"{run}: {error!r}"
        words = "the connection is closed" if isinstance(error, LinkRefused) else "was interrupted"
        assert words in str(error), f"{run}: {error!r}"
        assert connection.state in ("failed", "closed"), run
        return False
    return connection.state == "open"


def close(broker: Broker, connection: sync.Connection, run: Run) -> None:
    """Close it, after which nothing is left."""
    Call(connection.close).result()
    assert connection.state in ("closed", "failed"), run
    try:
        broker.wait_for(lambda: not broker.connections)
    except TimeoutError as error:
        raise AssertionError(f"{run}: a connection is left") from error


def check_interrupted(run: Run) -> None:
    """What the handler has raised comes out."""
    assert run.where is None or isinstance(run.raised, Interrupted), f"{run}: {run.raised!r}"


# -- sending

SENDS: dict[str, tuple[Callable[[sync.Sender], Any], int]] = {
    "send": (lambda sender: sender.send("x"), 17),
    "submit": (lambda sender: sender.submit("x").wait(), 61),
    "submit_nowait": (lambda sender: sender.submit_nowait("x").wait(), 67),
    "send_many": (lambda sender: sender.send_many(["x", "y", "z"], window=2), 37),
}


@every_part
@pytest.mark.parametrize("way", SENDS)
def test_sending(broker: Broker, way: str, part: int) -> None:
    send, stride = SENDS[way]

    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        name = f"{way}{number}"
        sender = connection.open_sender(name)
        sender.send("first")
        run = run_to(number, lambda: send(sender), raising)
        check_interrupted(run)
        goes_on = usable(connection, lambda: sender.send("last"), run)
        close(broker, connection, run)
        arrived = counts_in(broker, name)
        assert set(arrived.values()) == {1}, f"{run}: {arrived}"
        assert arrived["last"] == goes_on, run
        assert run.where is not None or set(arrived) > {"first", "x", "last"} - {"last"}, run
        assert sender.pending == 0 or not goes_on, run
        return run

    assert len(list(everywhere(stride, attempt, part))) > 5


@every_part
def test_a_delivery_tells_what_became_of_it(broker: Broker, part: int) -> None:
    """Whenever waiting for it, or flushing, is interrupted."""

    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        name = f"delivery{number}"
        sender = connection.open_sender(name)
        sender.send("first")
        deliveries = [sender.submit(body) for body in range(3)]
        run = run_to(number, deliveries[1].wait if number % 2 else sender.flush, raising)
        check_interrupted(run)
        ends: dict[int, Any] = {}
        for delivery in deliveries:
            call = Call(delivery.wait)
            ends[delivery.message.body] = call.error() or call.result()
        close(broker, connection, run)
        arrived = counts_in(broker, name)
        for body, end in ends.items():
            assert arrived[body] <= 1, run
            assert end != Accepted() or arrived[body] == 1, run
            assert end == Accepted() or isinstance(end, SendError), run
            assert not isinstance(end, NotSent) or arrived[body] == 0, run
        return run

    assert len(list(everywhere(53, attempt, part))) > 5


def test_what_is_pending_after_an_interrupt(broker: Broker) -> None:
    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        sender = connection.open_sender("q")
        run = run_to(number, lambda: sender.submit_nowait("x"), raising, within={"take_in", "_take"}, of="messaging")
        close(broker, connection, run)
        assert sender.pending == 0, run
        return run

    assert list(everywhere(1, attempt))


# -- receiving

RECEIVES: dict[str, tuple[Callable[[sync.Receiver], Any], dict[str, Any], int]] = {
    "receive": (lambda receiver: receiver.receive(), {}, 61),
    "receive_many": (lambda receiver: receiver.receive_many(3), {}, 41),
    "pulled": (lambda receiver: receiver.receive_many(3, minimum=3), {"prefetch": 0}, 29),
    "accepted": (lambda receiver: receiver.receive(), {"settle": "on_receive"}, 67),
    "batches": (lambda receiver: next(receiver.batches(3)), {"max_unsettled": 4}, 41),
    "nowait": (lambda receiver: receiver.receive_nowait(), {}, 47),
}


@every_part
@pytest.mark.parametrize("way", RECEIVES)
def test_receiving(broker: Broker, way: str, part: int) -> None:
    """Each message is got by one call, or is there afterwards; but one that was accepted as it was handed out."""
    receive, options, stride = RECEIVES[way]

    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        name = f"{way}{number}"
        receiver = connection.open_receiver(name, **options)
        for body in range(5):
            broker.put(name, body)
        got: list[Any] = []

        def take(function: Callable[[sync.Receiver], Any]) -> None:
            found = function(receiver)
            got.extend(found if isinstance(found, list) else [found] if found is not None else [])

        run = run_to(number, lambda: take(receive), raising)
        check_interrupted(run)
        goes_on = usable(connection, lambda: take(lambda receiver: receiver.receive_many(2, timeout=0.0)), run)
        seen = [message.body for message in got]
        assert len(set(seen)) == len(seen), run
        if goes_on and options.get("settle") is None:
            if not str(run.where).startswith(ON_THE_WAY):
                assert receiver.unsettled == len(seen), f"{run}: {seen}, {receiver.unsettled} of them unsettled"
            for message in got:
                message.accept()
        close(broker, connection, run)
        check_the_rest(broker, name, seen if goes_on or options.get("settle") else [], run)
        return run

    assert len(list(everywhere(stride, attempt, part))) > 5


def test_what_was_interrupted_is_not_handed_out_when_its_link_has_gone(broker: Broker) -> None:
    """Nobody could settle it, and it comes again."""

    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        receiver = connection.open_receiver("q")
        broker.put("q", "x")
        run = run_to(number, receiver.receive, raising, within={"hand_out", "_unsettled"}, of="messaging")
        if connection.state != "open":
            with pytest.raises((ClosedError, ConnectionFailure)):
                receiver.receive(timeout=0)
        close(broker, connection, run)
        return run

    assert list(everywhere(1, attempt))


def test_a_message_that_was_interrupted_on_its_way_is_there(broker: Broker) -> None:
    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        name = f"q{number}"
        broker.put(name, "x")
        receiver = connection.open_receiver(name)
        receiver.drain()
        assert receiver.buffered == 1
        run = run_to(number, receiver.receive_nowait, raising, within={"__exit__"}, of="transport/guard.py")
        if connection.state == "open" and run.where is not None:
            assert receiver.buffered == 1, run
        close(broker, connection, run)
        return run

    assert list(everywhere(1, attempt))


def check_the_rest(broker: Broker, name: str, accepted: list[Any], run: Run) -> None:
    """Five messages were accepted, or are there."""
    queue = broker.queue(name)
    broker.wait_for(lambda: queue.unsettled == 0)
    assert sorted({*stored(broker, name), *accepted}) == list(range(5)), run
    assert queue.counters.accepted + queue.depth == 5, run
    assert queue.counters.accepted == len(accepted) or run.where is not None, run


SETTLES: dict[str, tuple[Callable[[sync.Receiver, list[Any]], Any], int]] = {
    "one": (lambda receiver, messages: messages[0].accept(), 3),
    "confirmed": (lambda receiver, messages: messages[0].accept().wait(), 13),
    "many": (lambda receiver, messages: receiver.accept(messages), 11),
    "process": (lambda receiver, messages: receiver.process(messages[0]).__exit__(None, None, None), 7),
    "stop": (lambda receiver, messages: receiver.stop(), 13),
}


@every_part
@pytest.mark.parametrize("way", SETTLES)
def test_settling(way: str, part: int) -> None:
    """It is accepted for the peer if it is so here, unless the connection is given up."""
    settle, stride = SETTLES[way]
    with Broker(allow_second=True) as broker:

        def attempt(number: int) -> Run:
            connection = connection_of(broker)
            name = f"{way}{number}"
            for body in range(5):
                broker.put(name, body)
            receiver = connection.open_receiver(name, confirm=way == "confirmed")
            messages = receiver.receive_many(4, minimum=4)
            run = run_to(number, lambda: settle(receiver, messages), raising)
            check_interrupted(run)
            goes_on = usable(connection, lambda: receiver.accept(messages).wait(), run)
            close(broker, connection, run)
            if goes_on:
                check_the_rest(broker, name, [message.body for message in messages], run)
            else:
                broker.wait_for(lambda: broker.queue(name).unsettled == 0)
                assert broker.queue(name).counters.accepted + broker.queue(name).depth == 5, run
            return run

        assert len(list(everywhere(stride, attempt, part))) > 5


# -- opening and closing

OPENINGS: dict[str, tuple[Callable[[sync.Connection], Any], int]] = {
    "open_sender": (lambda connection: connection.open_sender("q"), 61),
    "open_receiver": (lambda connection: connection.open_receiver("q"), 61),
    "open_session": (lambda connection: connection.open_session(), 31),
}


@every_part
@pytest.mark.parametrize("way", OPENINGS)
def test_opening(broker: Broker, way: str, part: int) -> None:
    """No link is left that nobody has."""
    open_it, stride = OPENINGS[way]

    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        opened: list[Any] = []
        run = run_to(number, lambda: opened.append(open_it(connection)), raising)
        check_interrupted(run)
        is_over = str(run.where).startswith(ON_THE_WAY)
        if usable(connection, lambda: connection.open_sender("q2").close(), run) and not opened and not is_over:
            stats = connection.stats()
            assert (stats.senders, stats.receivers) == (0, 0), run
        close(broker, connection, run)
        return run

    assert len(list(everywhere(stride, attempt, part))) > 5


@every_part
def test_connecting(broker: Broker, part: int) -> None:
    def attempt(number: int) -> Run:
        made: list[sync.Connection] = []
        run = run_to(number, lambda: made.append(sync.connect(url_of(broker))), raising)
        check_interrupted(run)
        for connection in made:
            close(broker, connection, run)
        try:
            broker.wait_for(lambda: not broker.connections)
        except TimeoutError as error:
            raise AssertionError(f"{run}: a connection is left") from error
        return run

    assert len(list(everywhere(97, attempt, part))) > 5


CLOSINGS: dict[str, tuple[Callable[[sync.Connection, Any, Any], Any], int]] = {
    "sender": (lambda connection, sender, receiver: sender.close(), 73),
    "receiver": (lambda connection, sender, receiver: receiver.close(), 83),
    "connection": (lambda connection, sender, receiver: connection.close(), 149),
}


@every_part
@pytest.mark.parametrize("way", CLOSINGS)
def test_closing(broker: Broker, way: str, part: int) -> None:
    """What is pending is told; what wasn't handed out is given back."""
    close_it, stride = CLOSINGS[way]

    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        name = f"{way}{number}"
        sender, receiver = connection.open_sender(f"to{name}"), connection.open_receiver(name)
        for body in range(5):
            broker.put(name, body)
        receiver.receive()
        delivery = sender.submit("x")
        run = run_to(number, lambda: close_it(connection, sender, receiver), raising)
        check_interrupted(run)
        close(broker, connection, run)
        end = Call(delivery.wait)
        error = end.error()
        arrived = counts_in(broker, f"to{name}")["x"]
        assert arrived == 1 if error is None else isinstance(error, SendError), run
        assert not isinstance(error, NotSent) or arrived == 0, run
        check_the_rest(broker, name, [], run)
        return run

    assert len(list(everywhere(stride, attempt, part))) > 5


def test_aborting(broker: Broker) -> None:
    def attempt(number: int) -> Run:
        connection = connection_of(broker)
        run = run_to(number, connection.abort, raising, within={"abort"}, of="messaging")
        check_interrupted(run)
        closing = Call(lambda: connection.close(timeout=0.1))
        assert closing.end() is None
        assert connection.state in ("closed", "failed"), run
        return run

    assert list(everywhere(1, attempt))


# -- while waiting: the common Ctrl-C

WAITS: dict[str, Callable[[sync.Connection], Any]] = {
    "send": lambda connection: connection.open_sender("q").send("x"),
    "flush": lambda connection: flush(connection.open_sender("q")),
    "wait": lambda connection: connection.open_sender("q").submit("x").wait(),
    "receive": lambda connection: connection.open_receiver("r").receive(),
    "receive_many": lambda connection: connection.open_receiver("r").receive_many(3, timeout=100),
    "pulling": lambda connection: connection.open_receiver("r", prefetch=0).receive(),
    "iterating": lambda connection: next(iter(connection.open_receiver("r"))),
}


def flush(sender: sync.Sender) -> None:
    sender.submit("x")
    sender.flush(timeout=100)


@posix
@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError], ids=["KeyboardInterrupt", "an alarm"])
@pytest.mark.parametrize("keeper", [False, True], ids=["alone", "kept"])
@pytest.mark.parametrize("way", WAITS)
def test_while_waiting_the_connection_stays(broker: Broker, way: str, keeper: bool, kind: type[BaseException]) -> None:
    broker.faults.withhold_outcomes = True
    main = threading.get_ident()

    def handler(number: int, frame: Any) -> None:
        raise kind("of a handler")

    def when_it_waits() -> None:
        broker.wait_for(lambda: broker.queue("q").depth > 0 or broker.queue("r").consumers > 0)
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    connection = sync.connect(url_of(broker), keeper=keeper)
    try:
        watcher = Call(when_it_waits)
        with pytest.raises(kind, match="of a handler"):
            WAITS[way](connection)
        watcher.result()
    finally:
        signal.signal(signal.SIGUSR1, before)
        broker.faults.withhold_outcomes = False
    if connection.state == "open":  # it came while the connection was being written or read, if not
        Call(lambda: connection.open_sender("other").send("x")).result()
        assert stored(broker, "other") == ["x"]
    close(broker, connection, Run(where=way))


@posix
def test_an_alarm_while_many_messages_are_sent(broker: Broker) -> None:
    """What is on the wire goes on, and the call ends at once."""
    broker.faults.withhold_outcomes = True
    out = threading.Event()
    watching: list[Call] = []

    def handler(number: int, frame: Any) -> None:
        raise TimeoutError("the time is over")

    def watch() -> bool:
        ended = out.wait(2.0)
        broker.faults.withhold_outcomes = False
        return ended

    def interrupt() -> None:
        watching.append(Call(watch))
        signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    connection = sync.connect(url_of(broker))
    try:
        sender = connection.open_sender("q")
        run = run_to(1, lambda: sender.send_many(range(9), window=3), interrupt, within={"_wait_for_many"})
        out.set()
        assert watching[0].result()
        assert isinstance(run.raised, TimeoutError)
    finally:
        signal.signal(signal.SIGUSR1, before)
        connection.close()
