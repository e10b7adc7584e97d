"""`MessageReceiverAsync`: a link of the asyncio front over which messages come. Imports the blocking front's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import constants, errors, receiver
from ..address import Source
from .session_async import SessionAsync
from .utils import LoopArgument, get_dict_with_loop_if_needed

if TYPE_CHECKING:
    from types import TracebackType

    from ..message import Message


class MessageReceiverAsync(LoopArgument, receiver.MessageReceiver):
    """A link over which messages are received, on a `SessionAsync`.

    Args:
        on_message_received: a plain function, called in the loop with each `Message` as it arrives.
        loop: must be None; see `asyncio`.
        Others: see `MessageReceiver`.
    """

    def __init__(
        self,
        session: SessionAsync,
        source: Source,
        target: str | bytes,
        on_message_received: Callable[[Message], Any],
        name: str | bytes | None = None,
        receive_settle_mode: Any = None,
        send_settle_mode: Any = constants.SenderSettleMode.Unsettled,
        max_message_size: int = constants.MAX_MESSAGE_LENGTH_BYTES,
        prefetch: int | None = 300,
        properties: dict[Any, Any] | None = None,
        error_policy: errors.ErrorPolicy | None = None,
        debug: bool = False,
        encoding: str = "UTF-8",
        desired_capabilities: Any = None,
        loop: Any = None,
    ) -> None:
        self._internal_kwargs = get_dict_with_loop_if_needed(loop)
        super().__init__(
            session,
            source,
            target,
            on_message_received,
            name=name,
            receive_settle_mode=receive_settle_mode,
            send_settle_mode=send_settle_mode,
            max_message_size=max_message_size,
            prefetch=prefetch,
            properties=properties,
            error_policy=error_policy,
            debug=debug,
            encoding=encoding,
            desired_capabilities=desired_capabilities,
        )

    async def __aenter__(self) -> MessageReceiverAsync:  # noqa: PYI034 (Self needs Python 3.11)
        await self.open_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.destroy_async()

    async def open_async(self) -> None:
        """Attach the link; connects and begins the session where that wasn't done. `get_state` tells when it is open.

        Raises:
            AMQPConnectionError: the host is unknown, or doesn't answer; or the connection has failed.
        """
        await self._do_open()

    async def close_async(self) -> None:
        """Detach the link. Does nothing on one that isn't open."""
        self.close()

    async def destroy_async(self) -> None:
        """Detach the link and wait for the peer's answer, as long as the connection's `close_timeout` at most."""
        await self._do_destroy()

    async def work_async(self) -> None:
        """Do what is due on the link, and give the loop a turn.

        Raises:
            AMQPConnectionError, ConnectionClose: the connection has failed or was closed by the peer.
        """
        self.work()
        await self._connection._turn(0.0)

    async def reset_link_credit_async(self, link_credit: int, **kwargs: Any) -> None:
        """Ask for `link_credit` messages from now on; see `MessageReceiver.reset_link_credit`."""
        self.reset_link_credit(link_credit, **kwargs)
