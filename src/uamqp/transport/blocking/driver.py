"""`BlockingDriver`: drives a connection from whatever thread calls."""

from __future__ import annotations

from collections.abc import Callable

from ...core import ConnectionCore
from ...engine import EngineConfig, Trace
from ..driver import Driver, Pump
from ..sansio.clock import FOREVER
from ..sansio.endpoint import Endpoint
from ..signals import Awaited
from .pump import BlockingPump


class BlockingDriver(Driver):
    """Drives a connection from whatever thread calls; the coroutines never suspend.

    Args:
        core: the connection.
    """

    def __init__(self, core: ConnectionCore) -> None:
        self._blocking: BlockingPump = BlockingPump(core)

    @property
    def pump(self) -> Pump:
        """See `Driver`."""
        return self._blocking

    def renew(self, core: ConnectionCore) -> None:
        """See `Driver`."""
        lock = self._blocking.lock
        self._blocking = BlockingPump(core)
        self._blocking.lock = lock

    async def prepare(self, make_endpoint: Callable[[], Endpoint], *, is_quick: bool) -> Endpoint:
        """See `Driver`."""
        return make_endpoint()

    async def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        """See `Driver`."""
        self._blocking.start(endpoint, config, trace)

    async def turn(self, timeout: float | None, seen: int | None = None) -> bool:
        """See `Driver`."""
        return self._blocking.turn(FOREVER if timeout is None else timeout, seen)

    async def close(self) -> None:
        """See `Driver`."""
        self._blocking.close()

    async def wait(
        self, signal: Awaited, done: Callable[[], bool], deadline: float | None = None, *others: Awaited
    ) -> bool:
        """See `Driver`."""
        return self._blocking.wait(signal, done, deadline, *others)

    async def wait_for(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """See `Driver`."""
        return self._blocking.wait_for(done, deadline)
