"""`AsyncDriver`: drives a connection in an event loop.

Without a running loop it becomes a blocking one when the connection is made, as 1.6's asyncio classes did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ...core import ConnectionCore
from ...engine import EngineConfig, Trace
from ..blocking.driver import BlockingDriver
from ..driver import Driver, Pump
from ..sansio.clock import FOREVER
from ..sansio.endpoint import Endpoint
from ..signals import Awaited
from ..steps import Steps
from .pump import AsyncPump, is_in_loop, off_loop
from .steps import LoopSteps


class AsyncDriver(Driver):
    """Drives a connection in the event loop that is running when it is made, or as `BlockingDriver` does without one.

    Args:
        core: the connection.
        wrong_loop: the exception to raise where another loop than its own waits for it.
    """

    def __init__(self, core: ConnectionCore, wrong_loop: type[Exception] = RuntimeError) -> None:
        self._core = core
        self._wrong_loop = wrong_loop
        self._pump: AsyncPump | None = AsyncPump(core, wrong_loop)
        self._without_loop: BlockingDriver | None = None
        self._steps: Steps = LoopSteps(self._pump)

    @property
    def pump(self) -> Pump:
        """See `Driver`."""
        return self._pump if self._pump is not None else self._blocking.pump

    @property
    def steps(self) -> Steps:
        """See `Driver`."""
        return self._steps

    @property
    def has_loop(self) -> bool:
        """Whether a loop drives the connection, or will: it hasn't become a blocking one."""
        return self._pump is not None

    @property
    def _blocking(self) -> BlockingDriver:
        if self._without_loop is None:
            self._without_loop = BlockingDriver(self._core)
        return self._without_loop

    def renew(self, core: ConnectionCore) -> None:
        """See `Driver`."""
        lock = self.pump.lock
        self._core = core
        self._pump, self._without_loop = AsyncPump(core, self._wrong_loop), None
        self._pump.lock = lock
        self._steps = LoopSteps(self._pump)

    @property
    def off_loop(self) -> Callable[[Callable[[], Any]], Awaitable[Any]] | None:
        """See `Driver`."""
        return off_loop

    def later(self, function: Callable[[], object]) -> None:
        """See `Driver`."""
        pump = self._pump
        if pump is not None:
            pump.later(function)
        else:
            self._blocking.later(function)

    def spawn(self, operation: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """See `Driver`."""
        pump = self._pump
        if pump is not None:
            pump.spawn(operation)
        else:
            self._blocking.spawn(operation)

    def keep(self) -> None:
        """See `Driver`."""
        if self._pump is None:
            self._blocking.keep()

    def read_now(self) -> None:
        """See `Driver`."""
        if self._pump is None:
            self._blocking.read_now()

    async def prepare(self, make_endpoint: Callable[[], Endpoint], *, is_quick: bool) -> Endpoint:
        """See `Driver`."""
        return make_endpoint() if is_quick or not is_in_loop() else await off_loop(make_endpoint)

    async def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        """See `Driver`."""
        if not is_in_loop() and self._pump is not None:
            retired, driver = self._pump, BlockingDriver(self._core)
            driver.pump.lock = retired.lock
            self._without_loop, self._pump, self._steps = driver, None, driver.steps
            retired.retire()
        if self._pump is not None:
            await self._pump.start(endpoint, config, trace)
        else:
            await self._blocking.start(endpoint, config, trace)

    async def turn(self, timeout: float | None, seen: int | None = None) -> bool:
        """See `Driver`."""
        pump = self._pump
        if pump is None:
            return await self._blocking.turn(timeout, seen)
        return await pump.turn(FOREVER if timeout is None else timeout, seen)

    async def close(self) -> None:
        """See `Driver`."""
        pump = self._pump
        await (pump.close() if pump is not None else self._blocking.close())

    async def wait(
        self, signal: Awaited, done: Callable[[], bool], deadline: float | None = None, *others: Awaited
    ) -> bool:
        """See `Driver`."""
        pump = self._pump
        return await (pump if pump is not None else self._blocking).wait(signal, done, deadline, *others)

    async def wait_for(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """See `Driver`."""
        pump = self._pump
        return await (pump if pump is not None else self._blocking).wait_for(done, deadline)
