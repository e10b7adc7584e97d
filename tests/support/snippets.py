"""The Python of a document, run as it stands there, except for where the brokers are.

A document is run from its first line to its last, in one namespace, by one of two worlds:

* "aio": a block may await, as in `python -m asyncio`.
* "sync": the same text without `async` and `await`, and with `uamqp.sync` in place of `uamqp.aio`. What is left of an
  awaited delivery or settlement is its `wait()`.

What follows "python" where a block begins says more: "aio" and "sync" that it is for one of the worlds, "no-run" that
it isn't run, "later" that it shows what isn't there yet, so that it has to fail. A comment of HTML that begins with
"python" is a block, too, which readers don't see.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import signal
import ssl
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest

from tests.peer.certs import Certificates
from uamqp import aio, sync
from uamqp.messaging import Delivery, Settlement
from uamqp.testing import Broker

World: TypeAlias = Literal["aio", "sync"]

PATIENCE = 60.0
_TLS = ("amqps", "amqpwss", "wss")

_SHOWN = r"^ *```python(?P<words>[^\n]*)\n(?P<shown>.*?)^ *```$"
_HIDDEN = r"^<!-- python(?P<more>[^\n]*)\n(?P<hidden>.*?)^-->$"
_BLOCK = re.compile(f"{_SHOWN}|{_HIDDEN}", re.MULTILINE | re.DOTALL)
_URL = re.compile(r"\b(?P<scheme>amqpwss|amqpws|amqps|amqp|wss|ws)://(?P<user>[^@/\s\"']*@)?(?P<hosts>[\w.:,\[\]-]+)")


@dataclass(frozen=True)
class Snippet:
    """A block of Python.

    Attributes:
        document: where it is, below the repository's root.
        line: of the document, on which it begins.
        words: what follows "python".
        code: the text.
        is_hidden: whether readers don't see it.
    """

    document: str
    line: int
    words: tuple[str, ...]
    code: str
    is_hidden: bool = False

    def is_for(self, world: World) -> bool:
        """Whether it is run in a world."""
        other = "sync" if world == "aio" else "aio"
        return "no-run" not in self.words and other not in self.words

    def compiled(self, world: World, where: Brokers) -> Any:
        """The code, whose tracebacks show the document."""
        text = "\n" * self.line + where.substituted(self.code)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree: Any = compile(text, self.document, "exec", flags | ast.PyCF_ONLY_AST)
        if world == "sync" and "sync" not in self.words:
            tree = ast.fix_missing_locations(_Blocking().visit(tree))
        return compile(tree, self.document, "exec", flags if world == "aio" else 0)

    def expected(self) -> AbstractContextManager[Any]:
        """What running it has to end with."""
        return pytest.raises(Exception) if "later" in self.words else nullcontext()


def snippets(root: Path, document: str) -> list[Snippet]:
    """The blocks of a document, in their order."""
    text = (root / document).read_text("utf-8")
    found = []
    for each in _BLOCK.finditer(text):
        is_hidden = each["hidden"] is not None
        code = textwrap.dedent(each["hidden"] if is_hidden else each["shown"])
        words = tuple((each["more"] if is_hidden else each["words"]).split())
        found.append(Snippet(document, text.count("\n", 0, each.start()) + 1, words, code, is_hidden))
    return found


class Brokers:
    """A broker for each scheme of URLs, started when it is first needed."""

    def __init__(self, certificates: Certificates, stack: ExitStack) -> None:
        self._certificates = certificates
        self._stack = stack
        self._running: dict[tuple[bool, bool, bool], Broker] = {}

    def broker(self, scheme: str = "amqp", hosts: str = "localhost") -> Broker:
        """The one for a scheme; where the hosts are Azure's, one that asks for tokens."""
        kind = is_tls, is_websocket, needs_token = scheme in _TLS, "ws" in scheme, "windows.net" in hosts
        found = self._running.get(kind)
        if found is None:
            tls = self._certificates.server_context() if is_tls else None
            if tls is not None:
                tls.load_verify_locations(self._certificates.ca)
                tls.verify_mode = ssl.CERT_OPTIONAL
            found = self._stack.enter_context(Broker(tls=tls, websocket=is_websocket, cbs=needs_token))
            self._running[kind] = found
        return found

    def substituted(self, text: str) -> str:
        """A text with these brokers as hosts of all URLs, and with shorter waits for what doesn't come."""
        return _URL.sub(self._here, text).replace("timeout=5)", "timeout=0.2)").replace("timeout=5000)", "timeout=500)")

    def _here(self, url: re.Match[str]) -> str:
        broker = self.broker(url["scheme"], url["hosts"])
        hosts = ",".join(f"{broker.host}:{broker.port}" for _ in url["hosts"].split(","))
        return f"{url['scheme']}://{url['user'] or ''}{hosts}"


_SETTLING = ("accept", "reject", "release", "modify")


class _Blocking(ast.NodeTransformer):
    """Makes blocking code of code for asyncio."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if called is not None and not (isinstance(called, ast.Attribute) and called.attr in _SETTLING):
            return node.value
        return ast.Call(ast.Name("_waited", ast.Load()), [node.value], [])

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(ast.With(node.items, node.body), node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(ast.For(node.target, node.iter, node.body, node.orelse), node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        plain = ast.FunctionDef(node.name, node.args, node.body, node.decorator_list, node.returns)
        for field in ("type_comment", "type_params"):
            if hasattr(node, field):
                setattr(plain, field, getattr(node, field))
        return ast.copy_location(plain, node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.is_async = 0
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == "uamqp.aio":
            node.module = "uamqp.sync"
        return node


def _waited(thing: Any) -> Any:
    return thing.wait(PATIENCE) if isinstance(thing, (Delivery, Settlement)) else thing


def run(document: list[Snippet], world: World, where: Brokers) -> None:
    """Run the blocks of a document.

    Hidden blocks have more names: `broker`, the one of all `amqp://` URLs; `await until(condition)`, which waits until
    the broker's `condition()` is true; and `when(condition, action)`, which calls `action` then, while the document
    goes on.
    """
    names: dict[str, Any] = {"__name__": "__main__", "_waited": _waited, "broker": where.broker()}
    blocks = [block for block in document if block.is_for(world)]
    with _bounded(document[0].document):
        if world == "aio":
            asyncio.run(_run_in_loop(blocks, where, names))
        else:
            _run_in_thread(blocks, where, names)


@contextmanager
def _bounded(document: str) -> Iterator[None]:
    """Interrupt what is inside if it takes too long. It is in the main thread, the one that has signal handlers."""
    main = threading.main_thread().ident
    assert main == threading.get_ident()
    is_over = threading.Event()

    def interrupt() -> None:
        seconds = PATIENCE
        while not is_over.wait(seconds):
            signal.pthread_kill(main, signal.SIGINT)  # the first only cancels what asyncio runs
            seconds = 1.0

    watch = threading.Thread(target=interrupt, daemon=True)
    began = time.monotonic()
    watch.start()
    try:
        yield
    except KeyboardInterrupt:
        if time.monotonic() - began < PATIENCE:
            raise
        pytest.fail(f"{document} hangs")
    finally:
        is_over.set()
        watch.join()


async def _run_in_loop(blocks: list[Snippet], where: Brokers, names: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()

    def act(action: Callable[[], Any]) -> None:
        async def acted() -> None:
            result = action()
            if inspect.isawaitable(result):
                await result

        asyncio.run_coroutine_threadsafe(acted(), loop).result(PATIENCE)

    def until(condition: Callable[[], bool]) -> Awaitable[None]:
        return asyncio.to_thread(where.broker().wait_for, condition)

    names |= {"until": until, "when": _Watch(where.broker(), act).when}
    for block in blocks:
        code = block.compiled("aio", where)
        with block.expected():
            if "asyncio.run(" in block.code:
                await asyncio.to_thread(exec, code, names)
                continue
            result = eval(code, names)
            if inspect.iscoroutine(result):
                await result
    for value in list(names.values()):
        if isinstance(value, aio.Connection):
            await value.close()


def _run_in_thread(blocks: list[Snippet], where: Brokers, names: dict[str, Any]) -> None:
    names |= {"until": where.broker().wait_for, "when": _Watch(where.broker(), lambda action: action()).when}
    for block in blocks:
        with block.expected():
            exec(block.compiled("sync", where), names)
    for value in list(names.values()):
        if isinstance(value, sync.Connection):
            value.close()


class _Watch:
    """What is done beside a document."""

    def __init__(self, broker: Broker, act: Callable[[Callable[[], Any]], None]) -> None:
        self._broker = broker
        self._act = act

    def when(self, condition: Callable[[], bool], action: Callable[[], Any]) -> None:
        def watch() -> None:
            self._broker.wait_for(condition, PATIENCE)
            self._act(action)

        threading.Thread(target=watch, daemon=True).start()
