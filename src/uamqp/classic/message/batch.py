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

    It is for services that take batches apart: any other broker delivers it as a single message. To send many messages,
    pass a list of them to `send_message`.

    Args:
        data: an iterable of the contents: messages, objects with a message in their attribute `message`, or bodies.
        properties, annotations, header: those of the message that contains the others.
        application_properties: the application properties of contained messages that have none.
        multi_messages: whether to make as many messages as necessary, none larger than `max_message_length` bytes;
            otherwise there is just one.
        encoding: encoding of text.
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
        self._kept: list[Message] | None = None  # unsent messages of an iterator that is used up

    @property
    def data(self) -> Any:
        """The contents of the batch, as given."""
        return self._body_gen

    def get_data(self) -> Any:
        """Return the contents of the batch, as given."""
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
        """Return a message to contain the batch's messages, without any so far."""
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
        """Yield the encoded messages of the batch."""
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
        """Return the size of the containing message without its contents."""
        message = self._create_batch_message()
        message._content = None
        return message.get_message_encoded_size() + self.size_offset

    def _keep(self, parts: list[Message]) -> None:
        """Keep messages for the next attempt after sending has failed, if the data can be iterated over only once."""
        if iter(self._body_gen) is self._body_gen:
            self._kept = parts

    def gather(self) -> Any:
        """Return the messages to send: a list of one, or, with `multi_messages`, an iterator over as many as necessary.

        Raises:
            MessageContentTooLarge: something doesn't fit into a message of `max_message_length` bytes.
            TypeError: the data can't be iterated over.
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
