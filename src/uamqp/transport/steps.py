"""`Steps`: what happens on a connection for every single message, at little cost. Both drivers have them.

They do what `Driver` does otherwise, and are compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .guard import Guard

if TYPE_CHECKING:
    from asyncio import Future

T = TypeVar("T")


class Stepping(Protocol):
    """What steps need of a pump: see `Pump`."""

    lock: Any
    guard: Guard

    @property
    def flush_is_due(self) -> bool:
        """Whether the output that `flush_soon` was called for is still to be written."""

    def flush(self) -> None:
        """Write pending output; with asyncio, in the loop's next turn. Do nothing once the connection is gone."""

    def flush_soon(self) -> None:
        """Write pending output within a few milliseconds, whether or not anybody calls `turn`.

        For calls in quick succession, such as settling one message after another.
        """


class Steps:
    """The steps of a connection that threads drive.

    Args:
        pump: the connection's.

    Attributes:
        has_loop: whether an event loop drives the connection.
    """

    __slots__ = ("_pump", "has_loop")

    def __init__(self, pump: Stepping) -> None:
        self._pump = pump
        self.has_loop = False

    def settling(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do what `Driver.change` does, for a single message that is taken or settled."""
        pump = self._pump
        with pump.lock, pump.guard.settling:
            return function(*arguments)

    def sending(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do what `Driver.change` does, for a single message that is sent."""
        pump = self._pump
        with pump.lock, pump.guard.sending:
            return function(*arguments)

    def write(self, is_last: bool) -> None:
        """Write what was settled or sent: at once if it `is_last` of what there is, otherwise soon, with the rest."""
        pump = self._pump
        if is_last:
            pump.flush()
        elif not pump.flush_is_due:
            pump.flush_soon()

    def check_caller(self) -> None:
        """Check that the caller may wait for the connection.

        Raises:
            RuntimeError: another event loop drives it; or what the driver was given to raise then.
        """

    def begin_sleep(self) -> Future[None]:
        """Return a future of the loop's, for a task that waits for something without a deadline; `end_sleep` follows.

        That takes less than `Driver.wait`. Whatever is waited for has to happen, by the connection's end at the latest.

        Raises:
            RuntimeError: no event loop drives the connection, or another one.
        """
        raise RuntimeError("no event loop drives the connection")

    def end_sleep(self) -> None:
        """Note that the task goes on, for whatever reason."""

    def wake(self, waiter: Any) -> None:
        """Set what `begin_sleep` has returned, or fire a `SoleSignal`. Call it with the lock held."""
        waiter.fire()
