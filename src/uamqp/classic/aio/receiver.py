"""`MessageReceiverAsync`: a link of the asyncio front over which messages are received."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..endpoints import receiver
from ..vocabulary import constants, errors
from ..vocabulary.address import Source
from ..vocabulary.settings import CreditKeywords, Unpack
from .link import MessageLinkAsync
from .loop import get_dict_with_loop_if_needed
from .session import SessionAsync

__all__ = ["MessageReceiverAsync"]

if TYPE_CHECKING:
    from ..message import Message


class MessageReceiverAsync(MessageLinkAsync, receiver.MessageReceiver):
    """A link over which messages are received, on a `SessionAsync`.

    Args:
        on_message_received: a plain function, called in the loop with each `Message` as it arrives.
        loop: must be None, as in asyncio since Python 3.10.
        Others: see `MessageReceiver`.
    """

    __module__ = "uamqp.async_ops.receiver_async"

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

    async def reset_link_credit_async(self, link_credit: int, **kwargs: Unpack[CreditKeywords]) -> None:
        """Ask for `link_credit` messages from now on; see `MessageReceiver.reset_link_credit`."""
        self.reset_link_credit(link_credit, **kwargs)
