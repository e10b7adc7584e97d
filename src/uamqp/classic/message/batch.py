"""`BatchMessage`, public in `uamqp.message`: several messages that go out as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from ..values.arguments import having
from ..values.portable import unreadable
from ..vocabulary import constants, errors
from .message import Message
from .sections import MessageHeader, MessageProperties


class BatchMessage(Message):
    """Several messages that go out as one, in the batch format of Azure's services (message-format 0x80013700).

    It is for services that take batches apart: from any other broker it comes out as the one message that it is. To
    send many messages give `send_message` a list of them.

    `data` is an iterable of what the batch is to hold: messages, objects with a message in their attribute
    `message`, or bodies. Messages without application properties get the batch's `application_properties`;
    `properties`, `annotations` and `header` are those of the message around them. `multi_messages`: as many messages
    as it takes, none larger than `max_message_length` bytes; else there is one. An encoding is that of text.
    """

    __module__ = "uamqp.message"

    batch_format: ClassVar[int] = constants.BATCH_MESSAGE_FORMAT
    max_message_length: int = constants.MAX_MESSAGE_LENGTH_BYTES
    size_offset: int = 0

    def __init__(
        self,
        data: Iterable[Any] | None = None,
        properties: MessageProperties | None = None,
        application_properties: dict[Any, Any] | None = None,
        annotations: dict[Any, Any] | None = None,
        header: MessageHeader | None = None,
        multi_messages: bool = False,
        encoding: str = "UTF-8",
    ) -> None:
        items: Any = data
        if items is not None and not isinstance(items, Iterable):
            having(items, "data", "an iterable of what the batch is to hold", "__getitem__")
        super().__init__([], properties, application_properties, annotations, header, encoding=encoding)
        self._multi_messages = multi_messages
        self._body_gen: Any = data
        self._kept: list[Message] | None = None  # what an iterator that is used up has given, and that isn't sent yet

    @property
    def data(self) -> Any:
        """What the batch is to hold, as it was given."""
        return self._body_gen

    def get_data(self) -> Any:
        """What the batch is to hold, as it was given."""
        return self._body_gen

    def __str__(self) -> str:
        try:
            return str(self._body_gen)
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)

    def _body_outline(self) -> str:
        data = self._body_gen
        if data is None:
            return "no data"
        return f"{len(data)} items" if hasattr(data, "__len__") else f"items of a {type(data).__name__}"

    def _encode_payload(self) -> bytes:
        if self._multi_messages:
            raise TypeError("A batch of several messages has no one encoding: encode what gather() gives.")
        payload: bytes = self.gather()[0].encode_message()
        return payload

    def _create_batch_message(self) -> Message:
        """An empty message around the batch's."""
        message = Message(
            [],
            properties=self._properties,
            annotations=self._annotations,
            header=self._header,
            msg_format=self.batch_format,
            encoding=self._encoding,
        )
        message.on_send_complete = self.on_send_complete
        return message

    def _items(self) -> Iterator[bytes]:
        """The messages in the batch, encoded."""
        if self._body_gen is None:
            raise TypeError("A batch needs data: an iterable of what it is to hold.")
        shared = self._application_properties
        for item in self._body_gen:
            message = getattr(item, "message", item)
            if not isinstance(message, Message):
                message = Message(message, application_properties=shared, encoding=self._encoding)
            elif shared and not message.application_properties:
                message.application_properties = shared
            yield message.encode_message()

    def _base_size(self) -> int:
        """The size of a message around the batch's, without them."""
        message = self._create_batch_message()
        message._content = None
        return message.get_message_encoded_size() + self.size_offset

    def _keep(self, parts: list[Message]) -> None:
        """Sending has failed for these. Data that can be gone through but once would give nothing the next time."""
        if iter(self._body_gen) is self._body_gen:
            self._kept = parts

    def gather(self) -> Any:
        """The messages to send: a list with one, or with `multi_messages` an iterator over as many as it takes.

        Raises `errors.MessageContentTooLarge` for what doesn't fit into one message of `max_message_length` bytes,
        `TypeError` for data that can't be iterated over.
        """
        if self._kept is not None:
            return list(self._kept)
        if self._multi_messages:
            return self._multi_message_generator()
        size = self._base_size()
        message = self._create_batch_message()
        for item in self._items():
            size += _data_section_size(item)
            if size > self.max_message_length:
                raise errors.MessageContentTooLarge
            message._content.append(item)
        return [message]

    def _multi_message_generator(self) -> Iterator[Message]:
        base = size = self._base_size()
        message = self._create_batch_message()
        for item in self._items():
            item_size = _data_section_size(item)
            if size + item_size > self.max_message_length and len(message._content):
                yield message
                message = self._create_batch_message()
                size = base
            if size + item_size > self.max_message_length:
                raise errors.MessageContentTooLarge
            message._content.append(item)
            size += item_size
        if len(message._content):
            yield message


def _data_section_size(content: bytes) -> int:
    return len(content) + (5 if len(content) < 256 else 8)
