"""The asyncio front in the blocking front's clothes, so that one test can be run with both.

A bridged object is made in the thread of an event loop, and each of its methods runs there: `send_message` is
`send_message_async`, awaited; what has no `_async` twin is called as it is. The test's thread waits for the result.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uamqp
from tests.support.waiting import cancel_the_others
from uamqp.async_ops import MgmtOperationAsync
from uamqp.async_ops.client_async import AMQPClientAsync, ReceiveClientAsync, SendClientAsync
from uamqp.authentication import JWTTokenAsync, SASTokenAsync

_LIMIT = 60.0  # seconds that a call may take; more than any test has


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.classes: dict[type[Any], type[Any]] = {}  # the bridged class of each asyncio class
        self.views: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # by the id of what they show
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="bridge", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(_LIMIT)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def called() -> Any:
            return function(*args, **kwargs)

        return self.run(called())

    def view(self, value: Any) -> Any:
        """What a test is to see of a value: the one bridged object for it, if it is of an asyncio class."""
        for base in type(value).__mro__:
            if base in self.classes:
                found = self.views.get(id(value))
                if found is None:
                    found = object.__new__(self.classes[base])
                    object.__setattr__(found, "_inner", value)
                    self.views[id(value)] = found
                return found
        return value

    def close(self) -> None:
        async def finish() -> None:
            await cancel_the_others()
            await asyncio.get_running_loop().shutdown_default_executor()

        self.run(finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_LIMIT)
        self.loop.close()


def bridged(kind: type[Any], loop: Loop) -> type[Any]:
    """A class that looks as the blocking twin of an asyncio class, and works through the loop.

    What a subclass of it overrides is overridden in the asyncio class, and gets the asyncio object as its `self`.
    """
    if kind in loop.classes:
        return loop.classes[kind]

    class Bridged:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            overrides: dict[str, Any] = {}
            for base in reversed(type(self).__mro__[: type(self).__mro__.index(Bridged)]):
                overrides |= {name: value for name, value in vars(base).items() if not name.startswith("__")}
            made = type(type(self).__name__, (kind,), overrides) if overrides else kind
            object.__setattr__(self, "_inner", loop.call(made, *map(unwrapped, args), **all_unwrapped(kwargs)))
            loop.views[id(self._inner)] = self

        def __getattr__(self, name: str) -> Any:
            inner = self._inner
            for twin in (f"{name}_async", f"_do_{name}"):
                if inspect.iscoroutinefunction(getattr(type(inner), twin, None)):
                    operation = getattr(inner, twin)
                    return lambda *args, **kwargs: loop.view(
                        loop.run(operation(*map(unwrapped, args), **all_unwrapped(kwargs)))
                    )
            value = getattr(inner, name)
            if inspect.ismethod(value):
                return lambda *args, **kwargs: loop.view(
                    loop.call(value, *map(unwrapped, args), **all_unwrapped(kwargs))
                )
            return loop.view(value)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self._inner, name, unwrapped(value))

        def __enter__(self) -> Any:
            loop.run(self._inner.__aenter__())
            return self

        def __exit__(self, *details: object) -> None:
            loop.run(self._inner.__aexit__(*details))

        def receive_messages_iter(self, on_message_received: Any = None) -> Iterator[Any]:
            iterator = loop.call(self._inner.receive_messages_iter_async, on_message_received)
            try:
                while True:
                    try:
                        yield loop.run(iterator.__anext__())
                    except StopAsyncIteration:
                        return
            finally:
                loop.run(iterator._iteration.end())  # an `async for` has no such end of its own

    Bridged.__name__ = Bridged.__qualname__ = kind.__name__
    loop.classes[kind] = Bridged
    return Bridged


def unwrapped(value: Any) -> Any:
    return value.__dict__.get("_inner", value) if hasattr(value, "__dict__") else value


def all_unwrapped(values: dict[str, Any]) -> dict[str, Any]:
    return {name: unwrapped(value) for name, value in values.items()}


class TokenAsync(JWTTokenAsync):
    """`JWTTokenAsync` that takes a plain function, as `JWTTokenAuth` does."""

    def __init__(self, audience: Any, uri: Any, get_token: Callable[[], Any], **kwargs: Any) -> None:
        async def get() -> Any:
            token = get_token()
            return await token if inspect.isawaitable(token) else token

        super().__init__(audience, uri, get, **kwargs)


KINDS: dict[str, type[Any]] = {"SASTokenAuth": SASTokenAsync, "JWTTokenAuth": TokenAsync}
"""Classes that stand in as they are: nothing in a test calls what is a coroutine there."""

TWINS = {
    "MgmtOperation": MgmtOperationAsync,
    "Connection": uamqp.ConnectionAsync,
    "Session": uamqp.SessionAsync,
    "MessageSender": uamqp.MessageSenderAsync,
    "MessageReceiver": uamqp.MessageReceiverAsync,
    "AMQPClient": AMQPClientAsync,
    "SendClient": SendClientAsync,
    "ReceiveClient": ReceiveClientAsync,
}
