"""`ConnectionAsync`: one AMQP connection of the asyncio front. Imports the blocking front's and `transport`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...engine import EngineConfig, Trace
from ...transport.asyncio.pump import AsyncPump, is_in_loop, off_loop
from ...transport.asyncio.shared import SharedAmongTasks
from ...transport.asyncio.signals import LoopSignal
from ...transport.sansio.endpoint import Endpoint
from ...transport.signals import Signal
from ..auth import AMQPAuth
from ..endpoints import connection
from ..values.arguments import finite
from ..vocabulary import errors
from ..vocabulary.settings import TimeoutKeywords, Unpack
from .loop import LoopArgument, get_dict_with_loop_if_needed

__all__ = ["ConnectionAsync"]

if TYPE_CHECKING:
    from types import TracebackType


class ConnectionAsync(LoopArgument, connection.Connection):
    """An AMQP connection that an event loop drives.

    Many tasks may use it. It connects when its first link or session is opened, and belongs to the loop of that moment.
    Where no loop runs then, it is an ordinary blocking `Connection` from then on, as in 1.6.

    Args:
        loop: must be None; see `asyncio`.
        Others: see `Connection`.

    Raises:
        ValueError: a loop was given.
        TypeError, ValueError: see `Connection`.
    """

    __module__ = "uamqp.async_ops.connection_async"

    _shared_type = SharedAmongTasks

    def __init__(
        self,
        hostname: str | bytes,
        sasl: AMQPAuth | None,
        container_id: str | bytes | bool | None = False,
        max_frame_size: int | None = None,
        channel_max: int | None = None,
        idle_timeout: float | None = None,
        properties: dict[Any, Any] | None = None,
        remote_idle_timeout_empty_frame_send_ratio: float | None = None,
        error_policy: errors.ErrorPolicy | None = None,
        debug: bool = False,
        encoding: str = "UTF-8",
        loop: Any = None,
        **timeouts: Unpack[TimeoutKeywords],
    ) -> None:
        self._internal_kwargs = get_dict_with_loop_if_needed(loop)
        super().__init__(
            hostname,
            sasl,
            container_id=container_id,
            max_frame_size=max_frame_size,
            channel_max=channel_max,
            idle_timeout=idle_timeout,
            properties=properties,
            remote_idle_timeout_empty_frame_send_ratio=remote_idle_timeout_empty_frame_send_ratio,
            error_policy=error_policy,
            debug=debug,
            encoding=encoding,
            **timeouts,
        )

    async def __aenter__(self) -> ConnectionAsync:  # noqa: PYI034 (Self needs Python 3.11)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.destroy_async()

    async def lock_async(self, timeout: float = 3.0) -> None:
        """Take a lock of the connection that tasks can agree on; it holds up nothing but other `lock_async`.

        Raises:
            asyncio.TimeoutError: it wasn't free within `timeout` seconds.
        """
        limit = finite(timeout, "timeout", "seconds")
        if isinstance(self._pump, AsyncPump):
            await self._pump.acquire(limit)

    async def release_async(self) -> None:
        """Release the lock of `lock_async`; does nothing if it is free."""
        if isinstance(self._pump, AsyncPump):
            self._pump.release()

    async def work_async(self) -> None:
        """Give the loop a turn, in which the connection does what is due. Does nothing while it is being closed.

        Raises:
            AMQPConnectionError, ConnectionClose: the connection has failed or was closed by the peer.
        """
        if not self._closing:
            await self._do_work()

    async def sleep_async(self, seconds: float) -> None:
        """Let `seconds` pass.

        Raises:
            AMQPConnectionError, ConnectionClose: the connection has failed or was closed by the peer.
        """
        await self._do_sleep(seconds)

    async def redirect_async(self, redirect_error: Any, auth: AMQPAuth) -> None:
        """Go to another host, as a redirect of the peer says; see `Connection.redirect`."""
        await self._do_redirect(redirect_error, auth)

    async def destroy_async(self) -> None:
        """Close the connection and everything on it; it can't be used again. Does nothing the second time.

        Waits for the peer's answer, 5 seconds at most. When all who wait for that are cancelled it is closed at once,
        without a word to the peer.
        """
        await self._do_destroy()

    # -- the pump

    def _make_pump(self) -> Any:
        return AsyncPump(self._core)

    async def _make_endpoint(self) -> Endpoint:
        if not is_in_loop() or self.auth._is_prepared:
            return await super()._make_endpoint()
        return await off_loop(lambda: self.auth._endpoint(self._port))  # it reads certificates

    async def _start_pump(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        if not is_in_loop():
            pump, self._pump = self._pump, super()._make_pump()
            self._pump.lock = pump.lock
            if isinstance(pump, AsyncPump):
                pump.retire()
        if isinstance(self._pump, AsyncPump):
            await self._pump.start(endpoint, config, trace)
        else:
            await super()._start_pump(endpoint, config, trace)

    async def _turn_pump(self, timeout: float, seen: int | None) -> bool:
        if isinstance(self._pump, AsyncPump):
            return await self._pump.turn(timeout, seen)
        return await super()._turn_pump(timeout, seen)

    async def _wait_until(self, done: Callable[[], bool]) -> None:
        if isinstance(self._pump, AsyncPump):
            await self._pump.wait_until(done)
        else:
            await super()._wait_until(done)

    async def _close_pump(self) -> None:
        if isinstance(self._pump, AsyncPump):
            await self._pump.close()
        else:
            await super()._close_pump()

    def _make_signal(self, busy: int) -> Signal | None:
        if not isinstance(self._pump, AsyncPump):
            return super()._make_signal(busy)
        return LoopSignal() if self._pump.is_driven_here else None
