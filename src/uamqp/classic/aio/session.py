"""`SessionAsync`: one AMQP session of the asyncio front."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...transport.asyncio.pump import is_in_loop
from ..endpoints import session
from ..message import Message
from ..vocabulary import constants
from ..vocabulary.settings import RequestKeywords, Unpack
from .connection import ConnectionAsync
from .loop import LoopArgument, get_dict_with_loop_if_needed
from .management import MgmtOperationAsync as MgmtOperationAsync  # noqa: PLC0414

__all__ = ["SessionAsync"]

if TYPE_CHECKING:
    from types import TracebackType


class SessionAsync(LoopArgument, session.Session):
    """A session on a `ConnectionAsync`.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        Others: see `Session`.
    """

    __module__ = "uamqp.async_ops.session_async"

    def __init__(
        self,
        connection: ConnectionAsync,
        incoming_window: int | None = None,
        outgoing_window: int | None = None,
        handle_max: int | None = None,
        on_attach: Callable[[Any, Any, Any, Any], Any] | None = None,
        loop: Any = None,
    ) -> None:
        self._internal_kwargs = get_dict_with_loop_if_needed(loop)
        super().__init__(
            connection,
            incoming_window=incoming_window,
            outgoing_window=outgoing_window,
            handle_max=handle_max,
            on_attach=on_attach,
        )

    async def __aenter__(self) -> SessionAsync:  # noqa: PYI034 (Self needs Python 3.11)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.destroy_async()

    async def mgmt_request_async(
        self,
        message: Message,
        operation: str | bytes,
        op_type: str | bytes | None = None,
        node: str | bytes | None = constants.MGMT_TARGET,
        **kwargs: Unpack[RequestKeywords],
    ) -> Any:
        """Make a request to a management node and wait for the answer; see `Session.mgmt_request`.

        A `callback` that is a coroutine function is awaited.
        """
        return await self._do_mgmt_request(message, operation, op_type, node, **kwargs)

    async def _finish(self, result: Any) -> Any:
        return await result if inspect.isawaitable(result) and is_in_loop() else await super()._finish(result)

    async def destroy_async(self) -> None:
        """End the session and its links; only the first call counts."""
        await self._do_destroy()
