"""What an import loads, and that the names of `uamqp` are there although they are imported when they are first used.

Each program here runs in an interpreter of its own, which has imported nothing of ours before.
"""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import uamqp
from tests.support.waiting import bounded
from uamqp import testing
from uamqp.testing import Broker

FACE = Path(__file__).parent.parent / "src" / "uamqp" / "__init__.py"

IO = {"asyncio", "certifi", "select", "selectors", "socket", "ssl", "websockets"}

# The modules of ours where I/O, threads and fronts begin.
FRONTS = {"uamqp.async_ops", "uamqp.authentication", "uamqp.client", "uamqp.connection", "uamqp.testing"}
FRONTS |= {"uamqp.classic.aio", "uamqp.classic.client", "uamqp.classic.endpoints"}
FRONTS |= {"uamqp.transport.asyncio", "uamqp.transport.blocking", "uamqp.transport.driver"}


def output(program: str, *arguments: str) -> str:
    """What a program prints in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded(program: str, *arguments: str) -> set[str]:
    """The modules that a program has loaded at its end, except for those that any has."""
    return set(output(program + "\nimport sys; print(*sys.modules)", *arguments).split())


def ours(modules: set[str]) -> set[str]:
    """The modules and packages right below `uamqp`."""
    return {".".join(name.split(".")[:2]) for name in modules if name.partition(".")[0] == "uamqp"}


def checked_imports(face: Path = FACE) -> Iterator[tuple[str, str]]:
    """What `uamqp` imports for type checkers: name, and the module it comes from."""
    for statement in ast.parse(face.read_text("utf-8")).body:
        if isinstance(statement, ast.If):
            for node in statement.body:
                if isinstance(node, ast.ImportFrom):
                    yield from ((alias.name, node.module or "") for alias in node.names)


# What is loaded


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import uamqp", {"uamqp"}),
        ("import uamqp.codec", {"uamqp", "uamqp.codec"}),
        ("import uamqp; uamqp.codec", {"uamqp", "uamqp.codec"}),
        ("import uamqp.engine", {"uamqp", "uamqp.codec", "uamqp.engine"}),
        ("from uamqp import engine", {"uamqp", "uamqp.codec", "uamqp.engine"}),
        ("import uamqp; uamqp.TransportType", {"uamqp", "uamqp.classic"}),
        ("import uamqp.testing", {"uamqp", "uamqp.testing"}),
    ],
)
def test_what_is_below_the_fronts_loads_nothing_above_itself(program: str, expected: set[str]) -> None:
    modules = loaded(program)
    assert modules & IO == set()
    assert ours(modules) == expected


@pytest.mark.parametrize("name", ["Message", "Source", "errors", "types"])
def test_values_load_no_front(name: str) -> None:
    modules = loaded(f"import uamqp; uamqp.{name}")
    assert modules & IO == set()
    assert modules & FRONTS == set()


@pytest.mark.parametrize("name", ["SendClient", "ReceiveClient", "Connection", "authentication", "send_message"])
def test_the_blocking_front_loads_no_asyncio_and_no_tls(name: str) -> None:
    modules = loaded(f"import uamqp; uamqp.{name}")
    assert modules & IO <= {"select", "selectors", "socket"}
    assert modules & {"uamqp.async_ops", "uamqp.classic.aio", "uamqp.transport.asyncio"} == set()


def test_the_asyncio_front_loads_no_websockets() -> None:
    modules = loaded("import uamqp; uamqp.SendClientAsync")
    assert modules & {"certifi", "websockets"} == set()


def test_a_message_over_tcp_takes_no_asyncio_and_no_tls() -> None:
    with Broker() as broker:
        modules = loaded("import sys, uamqp; uamqp.send_message(sys.argv[1], 'text')", broker.url + "/q")
        assert broker.queue("q").counters.received == 1
    assert modules & {"asyncio", "certifi", "ssl", "websockets"} == set()


# The names


def test_an_import_of_everything_binds_everything() -> None:
    program = "from uamqp import *\nimport uamqp; print(*sorted(set(uamqp.__all__) - set(globals())))"
    assert output(program) == ""


def test_dir_has_the_names_before_they_are_used() -> None:
    program = (
        "import uamqp; print(*sorted({*uamqp.__all__, '_Platform', 'codec', 'engine', '__file__'} - {*dir(uamqp)}))"
    )
    assert output(program) == ""


def test_a_name_is_looked_for_once() -> None:
    program = "import uamqp; print([uamqp.Message is vars(uamqp)['Message'], uamqp.types is vars(uamqp)['types']])"
    assert output(program) == "[True, True]"


def test_a_name_of_the_broker_for_tests_is_imported_when_it_is_used() -> None:
    modules = loaded("import uamqp.testing; assert uamqp.testing.error is vars(uamqp.testing)['error']")
    assert "uamqp.testing.broker" in modules
    assert ours(modules) & {"uamqp.classic", "uamqp.messaging"} == set()
    program = "import uamqp.testing as t; print(*sorted({*t.__all__, '__file__', '__path__'} - {*dir(t)}))"
    assert output(program) == ""
    assert dict(checked_imports(FACE.parent / "testing" / "__init__.py")) == testing._HOMES
    assert {*testing._HOMES} == {*testing.__all__}
    for name, module in testing._HOMES.items():
        assert getattr(testing, name) is getattr(import_module(f"uamqp.testing.{module}"), name)
    assert not hasattr(testing, "nonsense")


def test_there_is_no_other_name() -> None:
    assert not hasattr(uamqp, "nonsense")
    with pytest.raises(AttributeError) as caught:
        uamqp.nonsense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError) as pythons:
        ast.nonsense  # type: ignore[attr-defined]  # noqa: B018
    assert str(caught.value) == str(pythons.value).replace("ast", "uamqp")
    assert (caught.value.name, caught.value.obj) == ("nonsense", uamqp)
    with pytest.raises(ImportError, match="cannot import name 'nonsense' from 'uamqp'"):
        from uamqp import nonsense  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize(
    "program",
    [
        "import uamqp; print(uamqp.async_ops.client_async.SendClientAsync.__name__)",
        "import uamqp.async_ops; print(uamqp.async_ops.client_async.SendClientAsync.__name__)",
        "import uamqp.client as c; import uamqp; print(c.SendClient is uamqp.SendClient and 'SendClientAsync')",
        "from uamqp import constants; import uamqp; print(constants is uamqp.constants and 'SendClientAsync')",
        "import uamqp; print(uamqp.types.AMQPType and uamqp.authentication.common and 'SendClientAsync')",
        "import uamqp\ntry: raise KeyError\nexcept uamqp.errors.AMQPError: pass\n"
        "except KeyError: print('SendClientAsync')",
        "import uamqp, importlib; a = uamqp.SendClient; importlib.reload(uamqp)\n"
        "print(uamqp.SendClient is a and uamqp.SendClientAsync.__name__)",
        "import uamqp, typing; print(typing.get_type_hints(uamqp.send_message)['debug'] is bool and 'SendClientAsync')",
    ],
)
def test_ways_to_a_name(program: str) -> None:
    assert output(program) == "SendClientAsync"


def test_a_pickle_of_a_function_names_uamqp() -> None:
    for function in (uamqp.send_message, uamqp.receive_message, uamqp.receive_messages, uamqp.get_platform_info):
        assert (function.__module__, function.__qualname__) == ("uamqp", function.__name__)
        assert pickle.loads(pickle.dumps(function)) is function
    assert uamqp._Platform.__module__ == "uamqp"
    program = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])).__name__)"
    assert output(program, pickle.dumps(uamqp.send_message).hex()) == "send_message"


PATCHED = """
from unittest import mock
with mock.patch("uamqp.SendClient") as stand_in:
    import uamqp
    assert uamqp.SendClient is stand_in
with mock.patch("uamqp.client.ReceiveClient"), mock.patch("uamqp.constants.MAX_FRAME_SIZE_BYTES", 5):
    assert isinstance(uamqp.ReceiveClient, type)
    assert uamqp.constants.MAX_FRAME_SIZE_BYTES == 5
with mock.patch.object(uamqp, "types", 5):
    assert uamqp.types == 5
from uamqp import client
assert uamqp.SendClient is client.SendClient
assert uamqp.ReceiveClient is client.ReceiveClient
assert uamqp.types.AMQPType
"""


def test_a_stand_in_is_gone_after_the_test() -> None:
    output(PATCHED)


AT_ONCE = """
import random, sys, threading
import uamqp
sys.setswitchinterval(1e-5)
names = [name for name in uamqp.__all__ if name[0] != "_"]
random.Random(int(sys.argv[1])).shuffle(names)
barrier = threading.Barrier(len(names))
failed = []

def use(name):
    barrier.wait()
    try:
        getattr(uamqp, name)
    except BaseException as error:
        failed.append((name, error))

threads = [threading.Thread(target=use, args=(name,)) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*failed)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_threads_use_first_names_at_the_same_time(seed: int) -> None:
    with bounded(120):
        assert output(AT_ONCE, str(seed)) == ""
        assert output(AT_ONCE.replace("import uamqp", "import uamqp.testing as uamqp"), str(seed)) == ""


ONE_BY_ONE = """
import threading, time
import uamqp

inside, most = set(), 0
original = uamqp.import_module

def slow(name):
    global most
    inside.add(threading.get_ident())
    most = max(most, len(inside))
    try:
        time.sleep(0.01)
        return original(name)
    finally:
        inside.discard(threading.get_ident())

uamqp.import_module = slow
names = "types", "Message", "SendClient", "errors"
threads = [threading.Thread(target=getattr, args=(uamqp, name)) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(most)
"""


def test_threads_import_names_one_after_the_other() -> None:
    """While a package's import ends it isn't in `sys.modules` for a moment; imports of its modules fail then."""
    assert output(ONE_BY_ONE) == "1"


WITHIN = """
import sys, threading
import uamqp

begun = threading.Event()
original = uamqp.import_module

def waiting(name):  # has the lock of first use, and wants what the other thread is importing
    begun.set()
    return original(name)

class Finder:  # stops the import of a door until the other thread waits for it
    def find_spec(self, name, path=None, target=None):
        if name == "uamqp.constants":
            uamqp.import_module = waiting
            thread.start()
            begun.wait()
        return None

thread = threading.Thread(target=lambda: uamqp.client)
sys.meta_path.insert(0, Finder())
import uamqp.client  # which has the doors of constants and errors as attributes
thread.join()
print("done")
"""


def test_an_import_statement_and_a_first_use_do_not_wait_for_each_other() -> None:
    assert output(WITHIN) == "done"


FORKED = """
import os, threading
import uamqp

entered, leave = threading.Event(), threading.Event()
original = uamqp.import_module

def stop(name):
    entered.set()
    leave.wait()
    return original(name)

uamqp.import_module = stop
thread = threading.Thread(target=lambda: uamqp.codec)
thread.start()
entered.wait()
uamqp.import_module = original
process = os.fork()
if not process:
    uamqp.engine
    os._exit(0)
print(os.waitpid(process, 0)[1])
leave.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_uses_names_although_another_thread_imported_one() -> None:
    assert output(FORKED) == "0"


# In a process for each name, so that each is the first: what fails, and which imports ask for a module before its
# package, if that imports its modules itself. Another thread that imports the package waits for the module then, and
# this one for the package: Python tells of a deadlock.
FIRST = """
import builtins, importlib.util, os, sys, traceback
import asyncio, inspect, logging, uuid  # once for all of them
import uamqp

original = builtins.__import__
importing, asked = set(), []

def watched(name, globals=None, locals=None, fromlist=(), level=0):
    module = importlib.util.resolve_name("." * level + name, globals["__package__"]) if level else name
    if module.startswith("uamqp."):
        importer = (globals or {}).get("__name__", "C")
        if f"{module}.".startswith(f"{importer}."):  # its own modules
            importing.add(importer)
        package = module.rpartition(".")[0]
        if package not in sys.modules:
            asked.append((importer, module, package))
    return original(name, globals, locals, fromlist, level)

builtins.__import__ = watched
for name in sys.argv[1:]:
    process = os.fork()
    if not process:
        try:
            getattr(uamqp, name)
            for importer, module, package in asked:
                if package in importing:
                    print(f"{name}: {importer} imports {module} before {package}", flush=True)
        except BaseException:
            print(name, traceback.format_exc(), flush=True)
        finally:
            os._exit(0)
    os.waitpid(process, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each name needs a process")
def test_each_name_can_be_the_first_and_packages_come_before_their_modules() -> None:
    homes = {module or name: name for name, module in checked_imports()}
    assert len(homes) > 30
    assert output(FIRST, *homes.values()) == ""


def test_type_checkers_see_the_same_as_programs() -> None:
    found = dict(checked_imports())
    found.pop("codec"), found.pop("engine"), found.pop("_Platform")  # reachable, and not for `import *`
    assert {*found, "__version__"} == set(uamqp.__all__)
    for name, module in checked_imports():
        there = import_module(f"uamqp.{module}" if module else "uamqp")
        expected = getattr(there, name)
        assert getattr(uamqp, name) is expected, name
