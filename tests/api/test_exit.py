"""The interpreter's end, in child processes: nothing hangs, nothing that was settled is lost, nothing makes a noise.

While it ends no thread can be started, and daemon threads stand still, with the locks that they hold.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.peer.certs import Certificates
from uamqp import Message
from uamqp.testing import Broker

LIMIT = 60.0


def run_to_its_end(program: str, broker: Broker, *options: str) -> str:
    """Run a program, which knows `URL`, to its end; return what it has written. It says nothing on stderr."""
    code = f"from uamqp import *\nURL = {broker.url!r}\n" + textwrap.dedent(program)
    child = subprocess.run(
        [sys.executable, *options, "-c", code], timeout=LIMIT, capture_output=True, text=True, check=False
    )
    assert child.stderr == ""
    assert child.returncode == 0
    return child.stdout


def fill(broker: Broker, count: int = 5) -> None:
    for number in range(count):
        broker.put("q", Message(f"{number}"))


# -- what lives when the program ends

ITERATORS = {
    "an iterator": """
        client = ReceiveClient(URL + '/q')
        messages = client.receive_messages_iter()
        print(next(messages))
        """,
    "in a list": """
        client = ReceiveClient(URL + '/q')
        kept = [client.receive_messages_iter()]
        print(next(kept[0]))
        """,
    "that doesn't close its client": """
        client = ReceiveClient(URL + '/q', shutdown_after_timeout=False)
        messages = client.receive_messages_iter()
        print(next(messages))
        """,
    "of a client with a keep-alive thread": """
        client = ReceiveClient(URL + '/q', keep_alive_interval=60)
        messages = client.receive_messages_iter()
        print(next(messages))
        """,
    "whose loop was left": """
        client = ReceiveClient(URL + '/q')
        messages = client.receive_messages_iter()
        for message in messages:
            print(message)
            break
        """,
}


@pytest.mark.parametrize("program", ITERATORS.values(), ids=ITERATORS)
def test_a_live_iterator_ends_with_the_program(broker: Broker, program: str) -> None:
    fill(broker)
    assert run_to_its_end(program, broker) == "0\n"
    broker.wait_for(lambda: not broker.connections)


SETTLES = """
    class Keeper:
        def __init__(self, messages):
            self.messages = messages
        def __del__(self, sys=__import__('sys')):
            print('finalizing', sys.is_finalizing())
            for message in self.messages:
                print(message.accept())
    keeper = Keeper(MESSAGES)
    """

KEEPERS = {
    "blocking": """
        client = ReceiveClient(URL + '/q', auto_complete=False)
        MESSAGES = client.receive_message_batch(timeout=5000)
        """,
    "blocking, with a flusher": """
        client = ReceiveClient(URL + '/q', auto_complete=False, prefetch=7)
        MESSAGES = client.receive_message_batch(timeout=5000)
        MESSAGES.pop().accept()
        MESSAGES.pop().accept()
        """,
    "blocking, with a keep-alive thread": """
        client = ReceiveClient(URL + '/q', auto_complete=False, keep_alive_interval=60)
        MESSAGES = client.receive_message_batch(timeout=5000)
        """,
    "a loop in a daemon thread": """
        import asyncio, threading
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        async def receive():
            global client
            client = ReceiveClientAsync(URL + '/q', auto_complete=False)
            return await client.receive_message_batch_async(timeout=5000)
        MESSAGES = asyncio.run_coroutine_threadsafe(receive(), loop).result()
        stands_still = threading.Event()  # between two events of its connection, as a rule
        loop.call_soon_threadsafe(stands_still.set)
        loop.call_soon_threadsafe(threading.Event().wait)
        stands_still.wait()
        """,
}


@pytest.mark.parametrize("program", KEEPERS.values(), ids=KEEPERS)
def test_what_a_finalizer_settles_is_told_to_the_peer(broker: Broker, program: str) -> None:
    fill(broker, 7)
    whole = textwrap.dedent(program) + "assert len(MESSAGES) >= 3, MESSAGES\n" + textwrap.dedent(SETTLES)
    output = run_to_its_end(whole, broker).splitlines()
    assert output[0] == "finalizing True"
    assert set(output[1:]) == {"True"}
    broker.wait_for(lambda: broker.queue("q").counters.accepted >= len(output) - 1)


def test_what_was_settled_just_before_the_end_is_told_to_the_peer(broker: Broker) -> None:
    """Such things are put off for a moment, and a program may end within it."""
    fill(broker, 7)
    program = """
        client = ReceiveClient(URL + '/q', auto_complete=False, prefetch=7)
        messages = []
        while len(messages) < 7:
            messages += client.receive_message_batch(timeout=5000)
        for message in messages:
            message.accept()
        """
    run_to_its_end(program, broker)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 7)


def test_a_connection_that_a_thread_holds_for_ever(broker: Broker) -> None:
    """A daemon thread freezes in a callback, and so with the connection's lock: later callers get an error."""
    fill(broker)
    program = """
        import threading
        client = ReceiveClient(URL + '/q', auto_complete=False)
        (message, *_) = client.receive_message_batch(timeout=5000)
        held = threading.Event()
        elsewhere = {}  # the thread doesn't keep what is global here
        exec('def hold(lock, held, wait): lock(); held.set(); wait()', elsewhere)
        ever = threading.Event().wait
        threading.Thread(target=elsewhere['hold'], args=(client._connection.lock, held, ever), daemon=True).start()
        held.wait()
        class Keeper:
            def __init__(self, message):
                self.message = message
            def __del__(self):
                try:
                    self.message.accept()
                except RuntimeError as error:
                    print(error)
        keeper = Keeper(message)
        """
    assert "holds the connection" in run_to_its_end(program, broker)


WAITING = """
    import threading
    client = ReceiveClient(URL + '/other', auto_complete=False, shutdown_after_timeout=False)
    client.open()
    while not client.client_ready(): pass
    threading.Thread(target=client.receive_message_batch, daemon=True).start()
    class Closer:
        def __del__(self):
            client.close()
            print('closed')
    closer = Closer()
    """


def test_closing_what_a_daemon_thread_waits_for(broker: Broker) -> None:
    """It waits for the socket, and never will read from it: the finalizer does."""
    assert run_to_its_end(WAITING, broker) == "closed\n"
    broker.wait_for(lambda: not broker.connections)


# -- handlers of `atexit`, where no thread can be started since Python 3.12

LATE = {
    "a client with a keep-alive thread": """
        def late():
            with SendClient(URL + '/out', keep_alive_interval=1) as client:
                client.send_message(Message('late'))
        """,
    "a client that is open": """
        client = SendClient(URL + '/out')
        client.open()
        def late():
            client.send_message(Message('late'))
            client.close()
        """,
    "settling": """
        def late():
            with ReceiveClient(URL + '/q', auto_complete=False) as client:
                for message in client.receive_message_batch(timeout=5000):
                    message.accept()
            with SendClient(URL + '/out') as client:
                client.send_message(Message('late'))
        """,
    "asyncio": """
        import asyncio
        async def send():
            async with SendClientAsync(URL + '/out') as client:
                await client.send_message_async(Message('late'))
        def late():
            asyncio.run(send())
        """,
}


@pytest.mark.parametrize("program", LATE.values(), ids=LATE)
@pytest.mark.parametrize("early", [False, True], ids=["registered late", "registered early"])
def test_clients_work_in_handlers_of_the_end(broker: Broker, program: str, early: bool) -> None:
    """Those that were registered before the library was imported come after its own."""
    fill(broker)
    program = textwrap.dedent(program)
    code = f"from uamqp import *\nURL = {broker.url!r}\n{program}"
    if early:
        code = f"import atexit\natexit.register(lambda: late())\n{code}"
    else:
        code = f"{code}\nimport atexit\natexit.register(late)\n"
    child = subprocess.run([sys.executable, "-c", code], timeout=LIMIT, capture_output=True, text=True, check=False)
    assert (child.stderr, child.returncode) == ("", 0)
    assert broker.queue("out").depth == 1


def test_a_thread_that_outlives_the_main_one(broker: Broker) -> None:
    """Since Python 3.12 it can't start threads any more."""
    fill(broker)
    program = """
        import threading
        def work():
            threading.main_thread().join()
            with ReceiveClient(URL + '/q', auto_complete=False, keep_alive_interval=60) as client:
                messages = client.receive_message_batch(timeout=5000)
                for message in messages:
                    message.accept()
                print(len(messages) > 0)
        threading.Thread(target=work).start()
        """
    assert run_to_its_end(program, broker) == "True\n"
    broker.wait_for(lambda: broker.queue("q").counters.accepted >= 1)


# -- noise

CLOSED = {
    "blocking": """
        with ReceiveClient(URL + '/q', keep_alive_interval=1) as client:
            messages = client.receive_message_batch(timeout=5000)
        with SendClient(URL + '/out') as sender:
            sender.send_message(Message('x'))
        """,
    "asyncio": """
        import asyncio
        async def main():
            global client, messages
            asyncio.get_running_loop().slow_callback_duration = 60  # it is said in -X dev, and a busy machine is slow
            async with ReceiveClientAsync(URL + '/q') as client:
                messages = await client.receive_message_batch_async(timeout=5000)
            async with SendClientAsync(URL + '/out') as sender:
                await sender.send_message_async(Message('x'))
        asyncio.run(main())
        """,
}


@pytest.mark.parametrize("program", CLOSED.values(), ids=CLOSED)
def test_closed_clients_are_no_noise(broker: Broker, program: str) -> None:
    fill(broker)
    assert run_to_its_end(program, broker, "-X", "dev", "-W", "error") == ""


UNCLOSED = {
    "blocking": """
        client = ReceiveClient(URL + '/q', keep_alive_interval=1)
        messages = client.receive_message_batch(timeout=5000)
        connection = Connection('127.0.0.1', authentication.SASLAnonymous('127.0.0.1', port=PORT, use_tls=False))
        connection.start()
        """,
    "blocking, without a thread": """
        client = ReceiveClient(URL + '/q')
        messages = client.receive_message_batch(timeout=5000)
        """,
    "asyncio": """
        import asyncio
        async def main():
            global client, messages
            client = ReceiveClientAsync(URL + '/q')
            messages = await client.receive_message_batch_async(timeout=5000)
        asyncio.run(main())
        """,
}


@pytest.mark.parametrize("program", UNCLOSED.values(), ids=UNCLOSED)
def test_the_end_is_no_reason_to_complain_of_clients(broker: Broker, program: str) -> None:
    """The system closes what is open: who ends his program needn't do it before."""
    fill(broker)
    program = f"PORT = {broker.port}\n" + textwrap.dedent(program)
    assert run_to_its_end(program, broker, "-W", "always::ResourceWarning") == ""
    broker.wait_for(lambda: not broker.connections)


def test_the_end_is_no_reason_to_complain_of_tls(certificates: Certificates) -> None:
    program = f"""
        auth = authentication.SASLAnonymous('localhost', port=PORT, verify={certificates.ca!r})
        client = ReceiveClient(URL + '/q', auth=auth)
        messages = client.receive_message_batch(timeout=5000)
        """
    with Broker("localhost", tls=certificates.server_context()) as broker:
        fill(broker)
        program = f"PORT = {broker.port}\n" + textwrap.dedent(program)
        assert run_to_its_end(program, broker, "-W", "always::ResourceWarning") == ""
        broker.wait_for(lambda: not broker.connections)
