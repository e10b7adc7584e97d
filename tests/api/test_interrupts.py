"""What an exception out of a signal handler leaves behind, wherever it comes: nothing twice, or lost, or open.

An interrupted step either took place and is booked, or the connection fails with an error that says so.
"""

from __future__ import annotations

import abc
import collections
import contextlib
import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.support.effort import ALL
from tests.support.interrupts import PARTS, Interrupted, Run, everywhere, raising, run_to
from uamqp import Message, ReceiveClient, SendClient, errors
from uamqp.constants import MessageState, ReceiverSettleMode
from uamqp.testing import Broker

COUNT = 6
every_part = pytest.mark.parametrize("part", range(PARTS))

# The operation of a public method is dropped unstarted if the exception comes before its first line.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


def body(message: Message) -> bytes:
    return b"".join(message.get_data())


def bodies(broker: Broker, queue: str) -> collections.Counter[bytes]:
    return collections.Counter(view.body for view in broker.queue(queue).messages)


def check_nothing_left(broker: Broker, run: Run) -> None:
    """No connection, and no thread that works on one."""
    try:
        broker.wait_for(lambda: not broker.connections)
    except TimeoutError as error:
        raise AssertionError(f"{run}: a connection is left") from error
    for thread in threading.enumerate():
        if thread.name.startswith("uamqp-flush"):
            thread.join(10)
            assert not thread.is_alive(), f"{run}: a thread is left"


def check_unlocked(connection: Any, run: Run) -> None:
    """Another thread can use the connection."""
    free: list[bool] = []

    def look() -> None:
        try:
            connection.lock(timeout=10)
        except TimeoutError:
            return
        free.append(True)
        connection.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert free, f"{run}: the lock is left"


def check_says_so(error: errors.AMQPConnectionError, run: Run) -> None:
    assert "was interrupted" in str(error), f"{run}: {error}"
    assert " while " in str(error)


def attempt_to_send(broker: Broker, number: int) -> Run:
    queue = f"sent{number}"
    client = SendClient(f"{broker.url}/{queue}")
    client.send_message(Message(b"first"))
    connection = client._connection
    messages = [Message(b"%d" % index) for index in range(3)]
    run = run_to(number, lambda: client.send_message(messages), raising)
    if run.where is None:
        client.close()
        return run
    assert isinstance(run.raised, Interrupted), run
    check_unlocked(connection, run)
    try:
        client.send_message(Message(b"last"))
    except errors.AMQPConnectionError as error:
        check_says_so(error, run)
    client.close()
    check_nothing_left(broker, run)
    arrived = bodies(broker, queue)
    assert all(count == 1 for count in arrived.values()), f"{run}: {arrived}"
    for message in messages:
        if message.state is MessageState.SendComplete:
            assert arrived[body(message)] == 1, f"{run}: counted as sent, and isn't"
    return run


@every_part
def test_sending(broker: Broker, part: int) -> None:
    runs = list(everywhere(11, lambda number: attempt_to_send(broker, number), part))
    assert len(runs) > 20


@every_part
def test_what_was_interrupted_is_sent_by_another_client(broker: Broker, part: int) -> None:
    """None is lost; what had an unknown fate may be there twice, and nothing else."""

    def attempt(number: int) -> Run:
        queue = f"again{number}"
        client = SendClient(f"{broker.url}/{queue}")
        client.send_message(Message(b"first"))
        messages = [Message(b"%d" % index) for index in range(3)]
        run = run_to(number, lambda: client.send_message(messages), raising)
        client.close()
        untouched = [message for message in messages if getattr(message, "fate", None) == "not sent"]
        again = [message for message in messages if message.state is not MessageState.SendComplete]
        with SendClient(f"{broker.url}/{queue}") as other:
            for message in again:
                other.send_message(Message(body(message)))
        arrived = bodies(broker, queue)
        assert all(arrived[body(message)] >= 1 for message in messages), run
        assert all(arrived[body(message)] == 1 for message in untouched), run
        return run

    list(everywhere(37, attempt, part))


def everything(client: ReceiveClient, got: list[Message]) -> None:
    while len(got) < COUNT:
        got.extend(client.receive_message_batch(max_batch_size=3, timeout=10_000))


def iterate(client: ReceiveClient, got: list[Message]) -> None:
    with contextlib.closing(client.receive_messages_iter()) as messages:
        for message in messages:
            got.append(message)
            if len(got) == COUNT:
                message.accept()
                break


def call_back(client: ReceiveClient, got: list[Message]) -> None:
    def take(message: Message) -> None:
        got.append(message)
        if len(got) == COUNT:
            message.accept()
            client.close()

    client.receive_messages(take)


def rest_of(broker: Broker, queue: str) -> list[bytes]:
    """What another client receives of a queue."""
    view, rest = broker.queue(queue), []
    broker.wait_for(lambda: view.unsettled == 0)
    with ReceiveClient(f"{broker.url}/{queue}") as client:
        while view.depth:
            rest += client.receive_message_batch(timeout=10_000)
    return [body(message) for message in rest]


def attempt_to_receive(
    broker: Broker, number: int, receive: Callable[[ReceiveClient, list[Message]], None], settled: bool
) -> Run:
    queue = f"{receive.__name__}{settled}{number}"
    mode = ReceiverSettleMode.ReceiveAndDelete if settled else None
    client = ReceiveClient(f"{broker.url}/{queue}", prefetch=10, receive_settle_mode=mode)
    client.open()
    while not client.client_ready():
        pass
    connection = client._connection
    for index in range(COUNT):
        broker.put(queue, Message(b"%d" % index))
    got: list[Message] = []
    run = run_to(number, lambda: receive(client, got), raising)
    if run.where is None:
        client.close()
        return run
    assert isinstance(run.raised, Interrupted), run
    check_unlocked(connection, run)
    # The next call hands out what the interrupted one had taken.
    with contextlib.suppress(errors.AMQPConnectionError, errors.AMQPClientShutdown):
        got += client.receive_message_batch(timeout=1)
    client.close()
    check_nothing_left(broker, run)
    seen = [body(message) for message in got]
    view = broker.queue(queue)
    if settled:  # what was on its way is lost with a connection
        assert receive is call_back or len(set(seen)) == len(seen), f"{run}: {seen}"
        return run
    broker.wait_for(lambda: view.unsettled == 0)
    unseen = COUNT - view.counters.accepted - view.depth
    assert unseen == 0, f"{run}: {unseen} are lost"
    accepted = COUNT - view.depth
    assert accepted <= len(set(seen)), f"{run}: {accepted} are accepted, and {seen} were seen"
    rest = rest_of(broker, queue)
    assert {*seen, *rest} == {b"%d" % index for index in range(COUNT)}, f"{run}: {seen}, then {rest}"
    return run


@pytest.mark.parametrize("settled", [False, True], ids=["unsettled", "settled"])
@pytest.mark.parametrize("receive", [everything, iterate, call_back])
@every_part
def test_receiving(broker: Broker, receive: Callable[..., None], settled: bool, part: int) -> None:
    stride = 113 if settled else 61
    runs = list(everywhere(stride, lambda number: attempt_to_receive(broker, number, receive, settled), part))
    assert len(runs) > 5


def test_a_call_that_was_broken_off_at_its_end_is_over(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the exception is being dealt with, and so its frames are still there."""
    client = ReceiveClient(broker.url + "/q", timeout=50, shutdown_after_timeout=False)
    with monkeypatch.context() as patch:
        patch.setattr(client, "_end_stream", raising)  # a handler, as it were
        with pytest.raises(Interrupted) as caught:
            client.receive_messages(print)
    broker.put("q", Message(b"x"))
    assert [body(message) for message in client.receive_message_batch(timeout=10_000)] == [b"x"]
    assert caught.tb is not None
    client.close()


@every_part
def test_opening(broker: Broker, part: int) -> None:
    def attempt(number: int) -> Run:
        made: list[SendClient] = []

        def open_client() -> None:
            client = SendClient(f"{broker.url}/opened")
            made.append(client)
            client.open()
            while not client.client_ready():
                pass

        run = run_to(number, open_client, raising)
        for client in made:
            client.close()
            client.open()  # it can be opened again
            client.send_message(Message(b"x"))
            client.close()
        check_nothing_left(broker, run)
        return run

    list(everywhere(179, attempt, part))


@pytest.mark.filterwarnings("ignore:unclosed client:ResourceWarning")  # an exception before the first line of __exit__
@every_part
def test_entering_and_leaving_a_with_statement(broker: Broker, part: int) -> None:
    """A client that could not be entered is nobody's to close."""

    def attempt(number: int) -> Run:
        def enter() -> None:
            with SendClient(f"{broker.url}/entered") as client:
                client.send_message(Message(b"x"))

        run = run_to(number, enter, raising)
        check_nothing_left(broker, run)
        return run

    list(everywhere(263, attempt, part))


@pytest.mark.parametrize("kind", [SendClient, ReceiveClient])
@every_part
def test_closing(broker: Broker, kind: type[Any], part: int) -> None:
    def attempt(number: int) -> Run:
        queue = f"closed{kind.__name__}{number}"
        client = kind(f"{broker.url}/{queue}")
        client.open()
        while not client.client_ready():
            pass
        if kind is ReceiveClient:
            broker.put(queue, Message(b"held"))
            while client._received_messages.empty():
                client.do_work()
        run = run_to(number, client.close, raising)
        client.close()
        check_nothing_left(broker, run)
        if kind is ReceiveClient:
            broker.wait_for(lambda: broker.queue(queue).depth == 1)
        return run

    list(everywhere(41, attempt, part))


class Socket:
    """A socket, and a signal handler that raises right behind one of its calls."""

    def __init__(self, sock: Any, call: str, error: BaseException, wanted: Callable[[Any], bool] = bool) -> None:
        self.sock = sock
        self._call = call
        self._error: BaseException | None = error
        self._wanted = wanted

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.sock, name)
        if name != self._call:
            return found

        def call(argument: Any) -> Any:
            result = found(argument)
            error = self._error
            if error is not None and self._wanted(bytes(argument) if name == "send" else result):
                self._error = None
                raise error
            return result

        return call


def put_between(client: Any, call: str, error: BaseException, wanted: Callable[[Any], bool] = bool) -> None:
    stream = client._connection._pump._stream
    stream._sock = Socket(stream._sock, call, error, wanted)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError("5 s are over"), InterruptedError()], ids=repr)
def test_right_behind_a_send(broker: Broker, error: BaseException) -> None:
    """The bytes are out, and nobody has noted it: they aren't written again. What the handler raised comes out."""
    client = SendClient(broker.url + "/q")
    client.send_message(Message(b"first"))
    messages = [Message(b"%d" % number) for number in range(10)]
    put_between(client, "send", error)
    with pytest.raises(type(error)) as caught:
        client.send_message(messages)
    assert error in (caught.value, caught.value.__cause__)  # a TimeoutError comes out with `message_fates`
    what_to_do = r"was interrupted by .* while writing; .*: close the client, and its next use connects anew$"
    with pytest.raises(errors.AMQPConnectionError, match=what_to_do):
        client.send_message(Message(b"last"))
    client.close()
    check_nothing_left(broker, Run(where="send"))
    assert all(count == 1 for count in bodies(broker, "q").values())
    assert not any(message.state is MessageState.SendComplete for message in messages)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError("5 s are over"), InterruptedError()], ids=repr)
def test_right_behind_a_receive(broker: Broker, error: BaseException) -> None:
    """What was read has vanished: nobody waits for it."""
    client = ReceiveClient(broker.url + "/q", prefetch=1)
    client.open()
    while not client.client_ready():
        pass
    put_between(client, "recv", error)
    broker.put("q", Message(b"1"))
    broker.put("q", Message(b"2"))
    with pytest.raises(type(error)) as caught:
        client.receive_message_batch(timeout=10_000)
    assert caught.value is error
    with pytest.raises(errors.AMQPConnectionError, match=r"was interrupted by .* while reading"):
        client.receive_message_batch(timeout=10_000)
    client.close()
    assert sorted(rest_of(broker, "q")) == [b"1", b"2"]


def test_an_alarm_while_frames_are_decoded(broker: Broker) -> None:
    """It comes out, though the codec and the engine deal with what is wrong with the bytes themselves."""

    def alarm() -> None:
        raise TimeoutError("5 s are over")

    number, wheres = 0, set()
    where: str | None = ""
    while where is not None:
        number += 1
        client = SendClient(broker.url + "/q")
        functions = ("decode_sasl", "decode_composite", "_choose", "append_to")  # what is compiled isn't traced
        run = run_to(number, functools.partial(client.send_message, Message(b"x")), alarm, within=functions)
        where = run.where
        client.close()
        if where is not None:
            assert isinstance(run.raised, TimeoutError), f"{run}: {run.raised!r}"
            assert "5 s are over" in str(run.raised), f"{run}: {run.raised!r}"
            wheres.add(where.rpartition(" ")[2])
    assert wheres == set(functions)


def test_an_alarm_while_arguments_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes out of the test for an abstract class, which is Python, and isn't its answer."""
    look = abc.ABCMeta.__instancecheck__

    def interrupted(cls: Any, instance: Any) -> bool:
        if cls is Mapping:
            raise TimeoutError("5 s are over")
        return look(cls, instance)

    client = SendClient("amqp://localhost/q")
    with monkeypatch.context() as patch:
        patch.setattr(abc.ABCMeta, "__instancecheck__", interrupted)
        with pytest.raises(TimeoutError, match="5 s are over"):
            client.send_message([Message(b"x")])


@posix
@every_part
def test_an_alarm_comes_out_of_a_send(broker: Broker, part: int) -> None:
    """Wherever it comes, also when all outcomes are in: whoever bounds a call by one hears that it has gone off."""

    def alarm(number: int, frame: object) -> None:
        raise TimeoutError("5 s are over")

    def attempt(number: int) -> Run:
        with SendClient(f"{broker.url}/alarmed") as client:
            client.send_message(Message(b"first"))
            run = run_to(
                number, lambda: client.send_message(Message(b"x")), lambda: signal.raise_signal(signal.SIGUSR1)
            )
        assert run.where is None or "5 s are over" in str(run.raised), f"{run}: {run.raised!r}"
        assert run.where is None or isinstance(run.raised, TimeoutError), f"{run}: {run.raised!r}"
        return run

    before = signal.signal(signal.SIGUSR1, alarm)
    try:
        assert len(list(everywhere(7, attempt, part))) > 20
    finally:
        signal.signal(signal.SIGUSR1, before)


@posix
@pytest.mark.parametrize("takes", ["two", "any"])
def test_an_alarm_while_a_message_is_encoded(broker: Broker, takes: str) -> None:
    """It isn't taken for a fault of the message, as what a body raises is."""

    def two(number: int, frame: object) -> None:
        raise TimeoutError("5 s are over")

    def any_number(*args: object) -> None:
        two(1, None)

    class Alarming(Message):
        def encode_message(self) -> bytes:
            signal.raise_signal(signal.SIGUSR1)
            return b""

    class Broken(Message):
        def encode_message(self) -> bytes:
            raise TimeoutError("5 s are over")

    before = signal.signal(signal.SIGUSR1, two if takes == "two" else any_number)
    try:
        client = SendClient(broker.url + "/q")
        message = Alarming(b"x")
        with pytest.raises(TimeoutError, match="5 s are over"):
            client.send_message(message)
        client.close()
        assert (message.state, message.fate) == (MessageState.WaitingToBeSent, "not sent")
        broken = Broken(b"x")
        with pytest.raises(errors.ClientMessageError, match="5 s are over"):
            client.send_message(broken)
        client.close()
        assert broken.state is MessageState.SendFailed
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_right_behind_the_disposition_of_a_batch(broker: Broker) -> None:
    """It is accepted, so it is handed out: by the next call."""
    client = ReceiveClient(broker.url + "/q")
    client.open()
    while not client.client_ready():
        pass
    put_between(client, "send", KeyboardInterrupt(), lambda data: b"\x00\x53\x15" in data)
    for number in range(20):
        broker.put("q", Message(b"%d" % number))
    broker.wait_for(lambda: broker.queue("q").unsettled == 20)
    with pytest.raises(KeyboardInterrupt):
        client.receive_message_batch(timeout=10_000)
    got = [body(message) for message in client.receive_message_batch(timeout=10_000)]
    assert got
    with pytest.raises(errors.AMQPConnectionError, match="was interrupted by KeyboardInterrupt while writing"):
        client.receive_message_batch(timeout=10_000)
    client.close()
    assert sorted([*got, *rest_of(broker, "q")]) == sorted(b"%d" % number for number in range(20))


@contextlib.contextmanager
def interrupting(error: type[BaseException]) -> Iterator[Callable[[], None]]:
    """Give a function that has the main thread interrupted by an exception out of a signal handler, once."""

    def handler(number: int, frame: object) -> None:
        raise error

    before = signal.signal(signal.SIGUSR1, handler)
    main = threading.main_thread().ident
    assert main is not None
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


@posix
def test_while_waiting_the_connection_stays(broker: Broker) -> None:
    """The common Ctrl-C."""
    with interrupting(KeyboardInterrupt) as interrupt, ReceiveClient(broker.url + "/q", prefetch=1) as client:
        while not client.client_ready():
            pass

        def when_it_waits() -> None:
            broker.wait_for(lambda: broker.queue("q").consumers == 1)
            while not client._connection._pump._waiting:  # type: ignore[union-attr]
                pass
            interrupt()

        for number in range(3):
            thread = threading.Thread(target=when_it_waits)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                client.receive_message_batch(timeout=60_000)
            thread.join()
            broker.put("q", Message(b"%d" % number))
            assert [body(message) for message in client.receive_message_batch(timeout=10_000)] == [b"%d" % number]
        assert len(broker.connections) == 1


@posix
@pytest.mark.filterwarnings("ignore:.*Interrupted:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_signals_at_random_moments(broker: Broker) -> None:
    """Real signals, whenever they come: `setitimer` has them come at moments of its own."""
    rounds = 5000 if ALL else 500
    armed = False
    interrupts = 0

    def handler(number: int, frame: object) -> None:
        nonlocal armed, interrupts
        if armed:
            armed = False
            interrupts += 1
            raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    client: SendClient | None = None
    number = 0
    seconds = 0.0
    try:
        while interrupts < rounds:
            seconds = (seconds + 0.000037) % 0.003
            messages = [Message(b"%d" % (number + index)) for index in range(20)]
            number += len(messages)
            try:
                client = client or SendClient(broker.url + "/q")
                armed = True
                signal.setitimer(signal.ITIMER_REAL, 0.00005 + seconds)
                client.send_message(messages)
                armed = False
            except Interrupted:
                pass
            except errors.AMQPConnectionError as error:
                armed = False
                check_says_so(error, Run(where="random moments"))
                if client is not None:
                    client.close()
                client = None
            armed = False
            if number % 4000 == 0 or interrupts >= rounds:
                check_counts(broker, client)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if client is not None:
            client.close()
    check_nothing_left(broker, Run(where="random moments"))


def check_counts(broker: Broker, client: SendClient | None) -> None:
    twice = [name for name, count in bodies(broker, "q").items() if count > 1]
    assert not twice
    if client is not None:
        broker.queue("q").purge()
