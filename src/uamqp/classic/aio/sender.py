"""`MessageSenderAsync`: a link of the asyncio front over which messages are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..endpoints import sender
from ..vocabulary import constants, errors
from ..vocabulary.address import Source, Target
from .link import MessageLinkAsync
from .loop import get_dict_with_loop_if_needed
from .session import SessionAsync

__all__ = ["MessageSenderAsync"]

if TYPE_CHECKING:
    from ..message import Message


class MessageSenderAsync(MessageLinkAsync, sender.MessageSender):
    """A link over which messages are sent, on a `SessionAsync`.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        Others: see `MessageSender`.
    """

    __module__ = "uamqp.async_ops.sender_async"

    def __init__(
        self,
        session: SessionAsync,
        source: str | bytes | Source,
        target: Target,
        name: str | bytes | None = None,
        send_settle_mode: Any = constants.SenderSettleMode.Unsettled,
        receive_settle_mode: Any = None,
        max_message_size: int = constants.MAX_MESSAGE_LENGTH_BYTES,
        link_credit: int | None = None,
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
            name=name,
            send_settle_mode=send_settle_mode,
            receive_settle_mode=receive_settle_mode,
            max_message_size=max_message_size,
            link_credit=link_credit,
            properties=properties,
            error_policy=error_policy,
            debug=debug,
            encoding=encoding,
            desired_capabilities=desired_capabilities,
        )

    async def send_async(  # type: ignore[override]  # the blocking front has a method of this name, too
        self, message: Message, callback: Callable[..., Any] | None = None, timeout: float = 0
    ) -> bool:
        """Hand a message over; see `MessageSender.send`. `callback` is called in the loop."""
        return self.send(message, callback, timeout)
