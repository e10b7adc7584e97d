"""The common part of `MessageSenderAsync` and `MessageReceiverAsync`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..endpoints.link import MessageLink
from .loop import LoopArgument

__all__ = ["MessageLinkAsync"]

if TYPE_CHECKING:
    from types import TracebackType

_LinkT = TypeVar("_LinkT", bound="MessageLinkAsync")


class MessageLinkAsync(LoopArgument, MessageLink):
    """Opening, closing and driving the links of the asyncio front. A mixin."""

    __module__ = "uamqp.async_ops.link_async"

    async def __aenter__(self: _LinkT) -> _LinkT:  # noqa: PYI019 (Self needs Python 3.11)
        await self.open_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.destroy_async()

    async def open_async(self) -> None:
        """Attach the link, after connecting and beginning the session if necessary. `get_state` tells when it is open.

        Raises:
            AMQPConnectionError: the host is unknown or doesn't answer, or the connection has failed.
        """
        await self._do_open()

    async def close_async(self, *, detach: bool = False) -> None:
        """Close the link if it is open, or just detach it; see `MessageLink.close`."""
        self.close(detach=detach)

    async def destroy_async(self, *, detach: bool = False) -> None:
        """Close the link, or just detach it, and wait for the peer's answer; see `MessageLink.destroy`."""
        await self._do_destroy(detach=detach)

    async def work_async(self) -> None:
        """Do what is due on the link, including time-outs of messages, and give the loop a turn.

        Raises:
            AMQPConnectionError, ConnectionClose: the connection has failed or was closed by the peer.
        """
        self.work()
        await self._connection._turn(0.0)
