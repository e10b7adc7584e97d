"""`ConnectionAsync`: one AMQP connection of the asyncio front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...transport.asyncio.driver import AsyncDriver
from ...transport.asyncio.shared import Mutex, SharedAmongTasks
from ...transport.driver import Driver
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

    Many tasks may use it. It connects when its first link or session is opened, and belongs to the loop running then.
    Without a running loop, it becomes an ordinary blocking `Connection`, as in 1.6.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        Others: see `Connection`.

    Raises:
        ValueError: a loop was given; otherwise see `Connection`.
        TypeError: see `Connection`.
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
        self._mutex = Mutex()  # see `lock_async`
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
        """Take a lock of the connection for the tasks' own use; it holds up nothing except other `lock_async`.

        Raises:
            asyncio.TimeoutError: it wasn't free within `timeout` seconds.
        """
        limit = finite(timeout, "timeout", "seconds")
        if self._tasks.has_loop:
            await self._mutex.acquire(limit)

    async def release_async(self) -> None:
        """Release the lock of `lock_async` if it is held."""
        self._mutex.release()

    async def work_async(self) -> None:
        """Give the loop a turn, in which the connection does what is due, unless it is being closed.

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
        """Follow a redirect from the peer to another host; see `Connection.redirect`."""
        await self._do_redirect(redirect_error, auth)

    async def destroy_async(self) -> None:
        """Close the connection and everything on it; it can't be used again. Only the first call counts.

        This waits up to 5 seconds for the peer's answer. When all tasks that wait for it are cancelled, the connection
        ends at once, without telling the peer.
        """
        await self._do_destroy()

    # -- the driver

    def _make_driver(self) -> Driver:
        self._tasks = AsyncDriver(self._core)
        return self._tasks
