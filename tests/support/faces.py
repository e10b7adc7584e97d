"""One text of a test for both faces of the modern API.

    @both_faces
    def test_something(face: Face, broker: Broker) -> None:
        with face.open(lambda: face.connect(broker.url)) as connection:
            face.go(lambda: connection.close())

A function given to `go` is called where the face's objects may be used, and a coroutine that it
returns is awaited there.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from uamqp import aio, sync

PATIENCE = 60.0


def raising(error: BaseException | None) -> AbstractContextManager[Any]:
    """What is inside raises this, or nothing."""
    return nullcontext() if error is None else pytest.raises(type(error), check=lambda caught: caught is error)


class Face:
    """One of the two. Its methods are called from the test's thread."""

    name: str
    connect: Callable[..., Any]

    def go(self, function: Callable[[], Any]) -> Any:
        """The result of a function that uses the face."""
        raise NotImplementedError

    def wait(self, thing: Any) -> Any:
        """What a delivery or a settlement comes to."""
        raise NotImplementedError

    def spawn(self, function: Callable[[], Any]) -> Future:
        """What `go` does, while the test goes on."""
        raise NotImplementedError

    @contextmanager
    def open(self, opening: Callable[[], Any]) -> Iterator[Any]:
        """What `connect` and the like return, entered as a context manager."""
        raise NotImplementedError

    def take(self, receiver: Any, count: int) -> list[Any]:
        """So many items, by iteration."""
        raise NotImplementedError

    def block(self, scope: Callable[[], Any], error: BaseException | None) -> None:
        """Run a block that raises an exception, which has to come out of it."""
        raise NotImplementedError


class Future:
    """What becomes of a spawned function."""

    def __init__(
        self, result: Callable[[float], Any], done: Callable[[], bool], cancel: Callable[[], Any] | None = None
    ) -> None:
        self.result = lambda: result(PATIENCE)
        self._done = done
        self._cancel = cancel

    @property
    def done(self) -> bool:
        """Whether the function has returned, or raised."""
        return self._done()

    def cancel(self) -> None:
        """Cancel its task, and wait until that has ended; asyncio only."""
        assert self._cancel is not None
        self._cancel()


class Blocking(Face):
    name = "sync"
    connect = staticmethod(sync.connect)

    def go(self, function: Callable[[], Any]) -> Any:
        return function()

    def wait(self, thing: Any) -> Any:
        return thing.wait(PATIENCE)

    def spawn(self, function: Callable[[], Any]) -> Future:
        done: list[Any] = []

        def run() -> None:
            try:
                done.append((self.go(function), None))
            except BaseException as error:  # noqa: BLE001 (it comes out of result())
                done.append((None, error))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def result(seconds: float) -> Any:
            thread.join(seconds)
            assert not thread.is_alive()
            value, error = done[0]
            if error is not None:
                raise error
            return value

        return Future(result, lambda: bool(done))

    @contextmanager
    def open(self, opening: Callable[[], Any]) -> Iterator[Any]:
        with opening() as opened:
            yield opened

    def take(self, receiver: Any, count: int) -> list[Any]:
        iterator = iter(receiver)
        return [next(iterator) for _ in range(count)]

    def block(self, scope: Callable[[], Any], error: BaseException | None) -> None:
        with raising(error), scope():
            if error is not None:
                raise error


class Asyncio(Face):
    name = "aio"
    connect = staticmethod(aio.connect)

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()

    def _run(self, operation: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(operation, self.loop)

    async def _go(self, function: Callable[[], Any]) -> Any:
        found = function()
        return await found if inspect.iscoroutine(found) or isinstance(found, aio.Opening) else found

    def wait(self, thing: Any) -> Any:
        async def wait() -> Any:
            return await thing

        return self._run(wait()).result(PATIENCE)

    def go(self, function: Callable[[], Any]) -> Any:
        return self._run(self._go(function)).result(PATIENCE)

    def spawn(self, function: Callable[[], Any]) -> Future:
        async def start() -> asyncio.Task[Any]:
            return asyncio.get_running_loop().create_task(self._go(function))

        async def result() -> Any:
            return await task

        async def cancel() -> None:
            task.cancel()
            await asyncio.wait([task])

        task: asyncio.Task[Any] = self._run(start()).result(PATIENCE)
        return Future(
            lambda seconds: self._run(result()).result(seconds),
            task.done,
            lambda: self._run(cancel()).result(PATIENCE),
        )

    @contextmanager
    def open(self, opening: Callable[[], Any]) -> Iterator[Any]:
        async def enter() -> tuple[Any, Any]:
            context = opening()
            return context, await context.__aenter__()

        context, opened = self._run(enter()).result(PATIENCE)
        try:
            yield opened
        finally:
            self._run(context.__aexit__(None, None, None)).result(PATIENCE)

    def take(self, receiver: Any, count: int) -> list[Any]:
        async def take() -> list[Any]:
            iterator = aiter(receiver)
            return [await anext(iterator) for _ in range(count)]

        return self._run(take()).result(PATIENCE)

    def block(self, scope: Callable[[], Any], error: BaseException | None) -> None:
        async def run() -> None:
            with raising(error):
                async with scope():
                    if error is not None:
                        raise error

        self._run(run()).result(PATIENCE)


both_faces = pytest.mark.parametrize("face", ["sync", "aio"], indirect=True)
only_sync = pytest.mark.parametrize("face", ["sync"], indirect=True)
only_aio = pytest.mark.parametrize("face", ["aio"], indirect=True)


@pytest.fixture
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """One face after the other, for tests that are marked `both_faces`."""
    if request.param == "sync":
        yield Blocking()
        return
    asynchronous = Asyncio()
    yield asynchronous
    asynchronous.end()
