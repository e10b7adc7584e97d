"""How the two fronts share their operations. Imports nothing of ours.

What a client does is written once, as a coroutine (`_do_open`, `_do_send_message`, ...), and waits in one place:
`Connection._turn`. The blocking front's `_turn` waits for the socket itself and never suspends the coroutine, so `run`
gets through it in one go. The asyncio front awaits the same coroutine, and its connection's `_turn` suspends.
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
        RuntimeError: it has to wait for an event loop: the object is used by asyncio.
    """
    try:
        operation.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    try:
        operation.throw(RuntimeError(_SUSPENDED))
    except StopIteration:
        pass  # it took the error for one of the connection's
    finally:
        operation.close()
    raise RuntimeError(_SUSPENDED)
