"""How the two fronts share their operations.

Each operation of a client is written once, as a coroutine (`_do_open`, `_do_send_message`, ...), and waits for nothing
but its driver. A blocking front's driver waits in the calling thread and never suspends the coroutine, so `run` gets
through it in one go. An asyncio front awaits the same coroutine, which its driver suspends.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SUSPENDED = (
    "A blocking method was called on a connection that an event loop drives. "
    "Await the method of the same name that ends in _async instead."
)


def run(operation: Coroutine[Any, Any, T]) -> T:
    """Run an operation of the blocking front to its end, and return its result.

    Raises:
        RuntimeError: the operation has to wait for an event loop, because asyncio uses the object.
    """
    try:
        operation.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    try:
        operation.throw(RuntimeError(_SUSPENDED))
    except StopIteration:
        pass  # it took the error for the connection's
    finally:
        operation.close()
    raise RuntimeError(_SUSPENDED)
