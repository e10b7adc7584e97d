"""`BlockingDriver`: drives a connection from whatever thread calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ...core import ConnectionCore
from ...engine import EngineConfig, Trace
from ..background import started
from ..drive import run
from ..driver import Driver, Pump
from ..sansio.clock import FOREVER
from ..sansio.endpoint import Endpoint
from ..signals import Awaited
from ..steps import Steps
from .pump import BlockingPump

_logger = logging.getLogger(__name__)


class BlockingDriver(Driver):
    """Drives a connection from whatever thread calls; the coroutines never suspend.

    Args:
        core: the connection.
    """

    def __init__(self, core: ConnectionCore) -> None:
        self._blocking: BlockingPump = BlockingPump(core)
        self._steps = Steps(self._blocking)

    @property
    def pump(self) -> Pump:
        """See `Driver`."""
        return self._blocking

    @property
    def steps(self) -> Steps:
        """See `Driver`."""
        return self._steps

    def renew(self, core: ConnectionCore) -> None:
        """See `Driver`."""
        lock = self._blocking.lock
        self._blocking = BlockingPump(core)
        self._blocking.lock = lock
        self._steps = Steps(self._blocking)

    def later(self, function: Callable[[], object]) -> None:
        """See `Driver`."""
        self._blocking.later(function)

    def spawn(self, operation: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """See `Driver`."""

        def work() -> None:
            try:
                run(operation())
            except Exception:
                _logger.exception("Working for a connection in the background raised an exception.")

        if not self._blocking.is_kept or not started(threading.Thread(target=work, name="uamqp-work", daemon=True)):
            self._blocking.later(work)

    def keep(self) -> None:
        """See `Driver`."""
        self._blocking.keep()

    def read_now(self) -> None:
        """See `Driver`."""
        self._blocking.turn(0.0)

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
