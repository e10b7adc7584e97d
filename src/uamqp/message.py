"""Messages, batches and their parts.

May import `codec` and the other modules of values: `c_uamqp`, `constants`, `errors`, `utils`.

A received message holds the bytes of its sections; a section is decoded when it is first looked at, and what was
not changed is encoded again as it came. Text is given as str or bytes; a message gives it back as bytes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Protocol

from . import _sections, codec
from . import c_uamqp as c_uamqp  # noqa: PLC0414
from . import constants as constants  # noqa: PLC0414
from . import errors as errors  # noqa: PLC0414
from . import utils as utils  # noqa: PLC0414
from ._bodies import DataBody, MessageBody, SequenceBody, ValueBody, received_body
from ._sections import MessageHeader, MessageProperties
from .constants import MessageBodyType, MessageState

__all__ = [
    "BatchMessage",
    "DataBody",
    "Message",
    "MessageBody",
    "MessageHeader",
    "MessageProperties",
    "SequenceBody",
    "ValueBody",
]


# Where they are public is what a pickle says; the modules they are in may change.
for _part in (MessageBody, DataBody, ValueBody, SequenceBody, MessageHeader, MessageProperties):
    _part.__module__ = __name__


class Delivery(Protocol):
    """What a received message needs to know of its delivery; the engine's `IncomingDelivery` has it."""

    delivery_id: int
    tag: bytes
    message_format: int
    payload: bytes
    settled: bool


class _Unread:
    """Stands for a section that nobody has looked at yet."""

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "_UNREAD"


_UNREAD: Any = _Unread()

_ACCEPTED = errors.MessageAccepted()
_RELEASED = errors.MessageReleased()
_ALREADY_SETTLED = errors.MessageAlreadySettled()

# The sections in the order of section 3.2: attribute and code; 0 stands for the body.
_ORDER = (
    ("_header", codec.HEADER),
    ("_delivery_annotations", codec.DELIVERY_ANNOTATIONS),
    ("_annotations", codec.MESSAGE_ANNOTATIONS),
    ("_properties", codec.PROPERTIES),
    ("_application_properties", codec.APPLICATION_PROPERTIES),
    ("_content", 0),
    ("_footer", codec.FOOTER),
)
_ATTRIBUTES = {code: name for name, code in _ORDER}
_HEADERS = {
    codec.HEADER: _sections.HEADER,
    codec.DELIVERY_ANNOTATIONS: _sections.DELIVERY_ANNOTATIONS,
    codec.MESSAGE_ANNOTATIONS: _sections.MESSAGE_ANNOTATIONS,
    codec.PROPERTIES: _sections.PROPERTIES,
    codec.APPLICATION_PROPERTIES: _sections.APPLICATION_PROPERTIES,
    codec.DATA: _sections.DATA,
    codec.SEQUENCE: _sections.SEQUENCE,
    codec.VALUE: _sections.VALUE,
    codec.FOOTER: _sections.FOOTER,
}
# What a section has to be, and the error's text if it is something else.
_TYPES: dict[int, tuple[type, str]] = {
    codec.HEADER: (MessageHeader, "Header must be a MessageHeader."),
    codec.DELIVERY_ANNOTATIONS: (dict, "Delivery annotations must be a dictionary."),
    codec.MESSAGE_ANNOTATIONS: (dict, "Message annotations must be a dictionary."),
    codec.PROPERTIES: (MessageProperties, "Properties must be a MessageProperties."),
    codec.APPLICATION_PROPERTIES: (dict, "Application properties must be a dictionary."),
    codec.FOOTER: (dict, "Footer must be a dictionary"),
}


def _checked(code: int, value: Any) -> Any:
    """The value of a section; raises `TypeError` if it is of the wrong type. What is false stands for none."""
    kind, text = _TYPES[code]
    if value and not isinstance(value, kind):
        raise TypeError(text)
    return value


class Message:
    """An AMQP message, to send or received.

    `body`: text, bytes or a list of them (data sections), or any other value (an AMQP value); `body_type`
    (`constants.MessageBodyType`) says it in so many words: `Data`, `Value` or `Sequence` (a list, or a list of
    lists). An empty list is one empty section. `properties`: a `MessageProperties`. `header`: a `MessageHeader`.
    `application_properties`, `annotations`, `delivery_annotations`, `footer`: dicts; the keys of the last three go
    out as symbols (section 3.2.10 of the specification; 1.6 sent strings), unless they are wrapped in `types`.
    `msg_format`: the message-format, 32 bits. `encoding`: of text.

    `message` (a `c_uamqp.cMessage`) makes a received message, with `settler`, which is called with an
    `errors.MessageResponse` to settle it, and `delivery_no`; the other arguments are then ignored.

    Raises `TypeError` or `ValueError` for a body that has no AMQP encoding, and `OverflowError` for a
    message-format beyond 32 bits. Wrong types of other sections raise `TypeError` when they are set, or when the
    message is encoded.

    `state` is where the message stands; `on_send_complete`, if set, is called with a
    `constants.MessageSendResult` and an exception or None once it is known what became of it.
    """

    # What most messages never set costs nothing to have: it is the class's.
    state: MessageState = MessageState.WaitingToBeSent
    idle_time: int = 0
    retries: int = 0
    on_send_complete: Callable[[Any, Any], Any] | None = None
    _on_message_sent: Any = None
    _encoding: str = "UTF-8"
    _message_format: int = 0
    _response: errors.MessageResponse | None = None
    # The link's settler, called with the response and the delivery; without a delivery, with the response alone.
    _settler: Callable[..., Any] | None = None
    _delivery: Delivery | None = None
    _delivery_no: int | None = None
    _delivery_tag: bytes | None = None
    _payload: bytes | None = None
    _bounds: list[tuple[int, int, int]] | None = None

    _header: Any = _UNREAD
    _delivery_annotations: Any = _UNREAD
    _annotations: Any = _UNREAD
    _properties: Any = _UNREAD
    _application_properties: Any = _UNREAD
    _content: Any = _UNREAD
    _footer: Any = _UNREAD

    def __init__(
        self,
        body: Any = None,
        properties: MessageProperties | None = None,
        application_properties: dict[Any, Any] | None = None,
        annotations: dict[Any, Any] | None = None,
        header: MessageHeader | None = None,
        msg_format: int | None = None,
        message: Any = None,
        settler: Callable[..., Any] | None = None,
        delivery_no: int | None = None,
        encoding: str = "UTF-8",
        body_type: Any = None,
        footer: dict[Any, Any] | None = None,
        delivery_annotations: dict[Any, Any] | None = None,
    ) -> None:
        self.state = MessageState.WaitingToBeSent
        if encoding != "UTF-8":
            self._encoding = encoding
        if delivery_no is not None:
            self._delivery_no = delivery_no
        if message is not None:
            self._init_received(message, settler)
            return
        if settler is not None:
            self._settler = settler
        self._properties = properties
        self._application_properties = application_properties
        self._annotations = annotations
        self._header = header
        self._footer = footer
        self._delivery_annotations = delivery_annotations
        if msg_format:
            self.message_format = msg_format
        if body_type:
            self._set_body_by_body_type(body, body_type)
        else:
            self._auto_set_body(body)

    def _init_received(self, message: Any, settler: Callable[..., Any] | None) -> None:
        self._payload = message._encode_payload()
        self._message_format = message.message_format
        self._delivery_tag = message.delivery_tag
        if settler is None:
            self.state = MessageState.ReceivedSettled
            self._response = _ALREADY_SETTLED
        else:
            self.state = MessageState.ReceivedUnsettled
            self._settler = settler

    @classmethod
    def _received(
        cls, delivery: Delivery, settler: Callable[[Any, Any], Any] | None, encoding: str = "UTF-8"
    ) -> Message:
        """A message that a link received; nothing of it is decoded yet, nor looked at.

        `settler` is called with a response and the delivery; None: the message counts as settled.
        """
        message = cls.__new__(cls)
        message._payload = delivery.payload
        message._delivery = delivery
        if encoding != "UTF-8":
            message._encoding = encoding
        if settler is None or delivery.settled:
            message._response = _ALREADY_SETTLED
            message.state = MessageState.ReceivedSettled
        else:
            message._settler = settler
            message.state = MessageState.ReceivedUnsettled
        return message

    @classmethod
    def decode_from_bytes(cls, data: bytes | bytearray | memoryview) -> Message:
        """A message out of its encoded sections, as settled.

        Raises `ValueError` for bytes that are no message, `TypeError` for what isn't bytes.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"A message is decoded from bytes, not from {type(data).__name__}.")
        message = cls.__new__(cls)
        message._payload = bytes(data)
        message._response = _ALREADY_SETTLED
        message.state = MessageState.ReceivedSettled
        if not message._payload:
            raise ValueError("Cannot decode bytes: there are none.")
        try:
            message._read_all()
        except ValueError as error:
            raise ValueError(f"Cannot decode bytes: {error}") from error
        return message

    # Sections

    def _scanned(self) -> list[tuple[int, int, int]]:
        """The sections of the payload. Raises `ValueError` for a payload that is no message."""
        bounds = self._bounds
        if bounds is None:
            bounds = [] if self._payload is None else codec.scan_sections(self._payload)
            self._bounds = bounds
        return bounds

    def _find(self, code: int) -> tuple[bytes, int, int] | None:
        """Where a section of the payload is."""
        if self._payload is not None:
            for found, start, end in self._scanned():
                if found == code:
                    return self._payload, start, end
        return None

    def _read_map(self, code: int) -> Any:
        found = self._find(code)
        value = None if found is None else codec.Decoder(*found, True).value()
        setattr(self, _ATTRIBUTES[code], value)
        return value

    def _read_all(self) -> None:
        """Decodes all that there is, the values in the body included, so that what is wrong shows now."""
        for code, start, end in self._scanned():
            if code == codec.HEADER or code == codec.PROPERTIES:
                getattr(self, _ATTRIBUTES[code][1:])
            elif code in _ATTRIBUTES:
                self._read_map(code)
            elif code != codec.DATA:
                codec.Decoder(self._payload or b"", start, end, True).value()

    @property
    def header(self) -> Any:
        """The `MessageHeader`, None if there is none. Settable."""
        if self._header is _UNREAD:
            found = self._find(codec.HEADER)
            self._header = None if found is None else MessageHeader._received(*found)
        return self._header

    @header.setter
    def header(self, value: Any) -> None:
        self._header = _checked(codec.HEADER, value)

    @property
    def properties(self) -> Any:
        """The `MessageProperties`, None if there are none. Settable."""
        if self._properties is _UNREAD:
            found = self._find(codec.PROPERTIES)
            self._properties = None if found is None else MessageProperties._received(*found, self._encoding)
        return self._properties

    @properties.setter
    def properties(self, value: Any) -> None:
        self._properties = _checked(codec.PROPERTIES, value)

    @property
    def application_properties(self) -> Any:
        """The application properties, a dict; None if there are none. Settable."""
        value = self._application_properties
        return self._read_map(codec.APPLICATION_PROPERTIES) if value is _UNREAD else value

    @application_properties.setter
    def application_properties(self, value: Any) -> None:
        self._application_properties = _checked(codec.APPLICATION_PROPERTIES, value)

    @property
    def annotations(self) -> Any:
        """The message annotations, a dict; None if there are none. Settable."""
        value = self._annotations
        return self._read_map(codec.MESSAGE_ANNOTATIONS) if value is _UNREAD else value

    @annotations.setter
    def annotations(self, value: Any) -> None:
        self._annotations = _checked(codec.MESSAGE_ANNOTATIONS, value)

    @property
    def message_annotations(self) -> Any:
        """Another name of `annotations`, to read."""
        return self.annotations

    @property
    def delivery_annotations(self) -> Any:
        """The delivery annotations, a dict; None if there are none. Settable; checked when encoded."""
        value = self._delivery_annotations
        return self._read_map(codec.DELIVERY_ANNOTATIONS) if value is _UNREAD else value

    @delivery_annotations.setter
    def delivery_annotations(self, value: Any) -> None:
        self._delivery_annotations = value

    @property
    def footer(self) -> Any:
        """The footer, a dict; None if there is none. Settable."""
        value = self._footer
        return self._read_map(codec.FOOTER) if value is _UNREAD else value

    @footer.setter
    def footer(self, value: Any) -> None:
        self._footer = _checked(codec.FOOTER, value)

    # The body

    @property
    def _body(self) -> Any:
        """The body object, None if there is no body."""
        content = self._content
        if content is _UNREAD:
            content = None
            if self._payload is not None:
                content = received_body(self._payload, self._scanned(), self._encoding)
            self._content = content
        return content

    @_body.setter
    def _body(self, value: Any) -> None:
        self._content = value

    def _auto_set_body(self, body: Any) -> None:
        """Makes the body: text, bytes and lists of them data sections, anything else an AMQP value."""
        if isinstance(body, (str, bytes)):
            parts = [body]
        elif isinstance(body, list) and all(isinstance(part, (str, bytes)) for part in body):
            parts = body
        else:
            value = ValueBody(None, self._encoding)
            value.set(body)
            self._content = value
            return
        data = DataBody(None, self._encoding)
        for part in parts:
            data.append(part)
        self._content = data

    def _set_body_by_body_type(self, body: Any, body_type: Any) -> None:
        try:
            kind = constants.member_of(MessageBodyType, body_type, "body_type")
        except ValueError:
            raise ValueError(f"Unsupported MessageBodyType: {body_type}") from None
        if kind is MessageBodyType.Value:
            value = ValueBody(None, self._encoding)
            value.set(body)
            self._content = value
        elif kind is MessageBodyType.Data:
            self._set_data(body)
        else:
            self._set_sequence(body)

    def _set_data(self, body: Any) -> None:
        if not isinstance(body, (str, bytes)) and not (
            isinstance(body, list) and all(isinstance(part, (str, bytes)) for part in body)
        ):
            raise TypeError("For MessageBodyType.Data, the body must be str or bytes or list of str or bytes.")
        self._auto_set_body(body)

    def _set_sequence(self, body: Any) -> None:
        if not isinstance(body, list):
            raise TypeError("For MessageBodyType.Sequence, the body must be list or list of lists.")
        sequence = SequenceBody(None, self._encoding)
        if all(isinstance(part, list) for part in body):
            for part in body:
                sequence.append(part)
        else:
            sequence.append(body)
        self._content = sequence

    def get_data(self) -> Any:
        """The body's content: an iterator over the data or sequence sections, or the value; None without a body."""
        body = self._body
        return None if body is None else body.data

    @property
    def data(self) -> Any:
        """An iterator over the data sections (bytes); None for a body of another kind."""
        body = self._body
        return body.data if isinstance(body, DataBody) else None

    @property
    def sequence(self) -> Any:
        """An iterator over the sequence sections (lists); None for a body of another kind."""
        body = self._body
        return body.data if isinstance(body, SequenceBody) else None

    @property
    def value(self) -> Any:
        """The value that is the body, None for a body of another kind."""
        body = self._body
        return body.data if isinstance(body, ValueBody) else None

    def __str__(self) -> str:
        return str(self._body)

    # Encoding

    @property
    def message_format(self) -> int:
        """The message-format, 0 for a message as the specification defines it. Settable to any 32-bit number."""
        delivery = self._delivery
        return self._message_format if delivery is None else delivery.message_format

    @message_format.setter
    def message_format(self, value: int) -> None:
        if not 0 <= value < 2**32:
            raise OverflowError(f"The message-format has 32 bits, {int(value)} doesn't fit.")
        self._message_format = value

    def _encode_payload(self) -> bytes:
        """The encoded sections; a received message that nobody changed gives them as they came."""
        payload = self._payload
        if payload is not None and self._is_untouched():
            return payload
        out = bytearray()
        self._append_sections(out)
        return bytes(out)

    def _is_untouched(self) -> bool:
        return not any(name in self.__dict__ for name, _ in _ORDER)

    def _append_sections(self, out: bytearray) -> None:
        """Appends all sections in the order of section 3.2."""
        for name, code in _ORDER:
            value = getattr(self, name)
            if value:
                if code:
                    self._append_section(out, code, value)
                else:
                    value._append_to(out)
            elif value is _UNREAD and self._payload is not None:
                self._append_unread(out, code)

    def _append_section(self, out: bytearray, code: int, value: Any) -> None:
        _checked(code, value)
        out += _HEADERS[code]
        if code == codec.HEADER or code == codec.PROPERTIES:
            value._append_to(out)
            return
        symbols = code != codec.APPLICATION_PROPERTIES
        original = self._find(code) if self._payload is not None else None
        if original is None:
            _sections.append_map(out, value, self._encoding, symbols)
        else:
            _sections.append_changed_map(out, value, self._encoding, symbols, original)

    def _append_unread(self, out: bytearray, code: int) -> None:
        for found, start, end in self._scanned():
            if found == code or (code == 0 and codec.DATA <= found <= codec.VALUE):
                out += _HEADERS[found]
                out += (self._payload or b"")[start:end]

    def encode_message(self) -> bytes:
        """The encoded message. Raises `TypeError`, `ValueError` or `OverflowError` for what can't be encoded."""
        return self._encode_payload()

    def get_message_encoded_size(self) -> int:
        """The length of what `encode_message` gives."""
        return len(self._encode_payload())

    def get_message(self) -> Any:
        """The message in AMQP's own terms, a `c_uamqp.cMessage`; a copy."""
        message = c_uamqp.decode_message(self._encode_payload())
        message.message_format = self.message_format
        message.delivery_tag = self.delivery_tag
        return message

    @property
    def _message(self) -> Any:
        return self.get_message()

    # Sending and settling

    @property
    def delivery_no(self) -> int | None:
        """The delivery-id of a received message. Settable."""
        delivery = self._delivery
        if self._delivery_no is None and delivery is not None:
            return delivery.delivery_id
        return self._delivery_no

    @delivery_no.setter
    def delivery_no(self, value: int | None) -> None:
        self._delivery_no = value

    @property
    def delivery_tag(self) -> bytes | None:
        """The delivery-tag of a received message. Settable."""
        delivery = self._delivery
        if self._delivery_tag is None and delivery is not None:
            return delivery.tag
        return self._delivery_tag

    @delivery_tag.setter
    def delivery_tag(self, value: bytes | None) -> None:
        self._delivery_tag = value

    @property
    def settled(self) -> bool:
        """Is it known what became of the message?"""
        return self._response is not None

    def gather(self) -> Any:
        """The messages to send: this one. Raises `TypeError` for a received message, and for one that was sent
        the error that says what became of it.
        """
        if self.state in constants.RECEIVE_STATES:
            raise TypeError("Only new messages can be gathered.")
        if self._response is not None:
            raise self._response
        return [self]

    def _can_settle_message(self) -> bool:
        if self.state not in constants.RECEIVE_STATES:
            raise TypeError("Only received messages can be settled.")
        return self._response is None

    def _settle(self, response: errors.MessageResponse) -> bool:
        settler = self._settler
        if settler is None:
            raise RuntimeError("This message can't be settled: it is a copy that has no link.")
        if self._delivery is None:
            settler(response)
        else:
            settler(response, self._delivery)
        # Only now: what couldn't be settled stays unsettled.
        self._response = response
        self.state = MessageState.ReceivedSettled
        return True

    def accept(self) -> bool:
        """Settles the message as processed (section 3.4.2). False if it was settled already.

        This, `reject`, `release` and `modify` raise `TypeError` for a message that wasn't received, and what the
        link raises if it can't settle; the message then stays unsettled.
        """
        return self._can_settle_message() and self._settle(_ACCEPTED)

    def reject(
        self,
        condition: str | bytes | None = None,
        description: str | bytes | None = None,
        info: dict[Any, Any] | None = None,
    ) -> bool:
        """Settles the message as invalid (section 3.4.3). False if it was settled already.

        `condition` is amqp:internal-error by default; `info` is a dict, else `TypeError`.
        """
        if not self._can_settle_message():
            return False
        return self._settle(errors.MessageRejected(condition, description, self._encoding, info))

    def release(self) -> bool:
        """Gives the message back as not processed (section 3.4.4). False if it was settled already."""
        return self._can_settle_message() and self._settle(_RELEASED)

    def modify(self, failed: bool, deliverable: bool, annotations: dict[Any, Any] | None = None) -> bool:
        """Gives the message back with changes (section 3.4.5). False if it was settled already.

        `failed` counts as a failed delivery. `deliverable` is, in spite of its name, AMQP's undeliverable-here:
        True keeps the message from coming here again. `annotations` are merged into the message's.
        """
        if not self._can_settle_message():
            return False
        return self._settle(errors.MessageModified(failed, deliverable, annotations, self._encoding))

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_on_message_sent", None)
        if state.pop("_delivery", None) is not None:
            # What belongs to the link stays with it; what the message says of its delivery goes along.
            state.pop("_settler", None)
            state["_delivery_no"] = self.delivery_no
            state["_delivery_tag"] = self.delivery_tag
            state["_message_format"] = self.message_format
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __copy__(self) -> Any:
        duplicate = type(self).__new__(type(self))
        duplicate.__dict__.update(self.__dict__)
        return duplicate

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        duplicate = type(self).__new__(type(self))
        memo[id(self)] = duplicate
        for name, value in self.__dict__.items():
            shared = name in _SHARED
            duplicate.__dict__[name] = value if shared else copy.deepcopy(value, memo)
        return duplicate


# What a deep copy of a message has in common with it.
_SHARED = frozenset(("_delivery", "_settler", "_payload", "_response", "on_send_complete", "_on_message_sent"))


class BatchMessage(Message):
    """Several messages that go out as one, in the batch format of Azure's services (message-format 0x80013700).

    `data` is an iterable of what the batch is to hold: messages, objects with a message in their attribute
    `message`, or bodies. Messages without application properties get the batch's `application_properties`;
    `properties`, `annotations` and `header` are those of the message around them. `multi_messages`: as many messages
    as it takes, none larger than `max_message_length` bytes; else there is one. An encoding is that of text.
    """

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
        self._multi_messages = multi_messages
        self._body_gen: Any = data
        self._encoding = encoding
        self.on_send_complete = None
        self._properties = properties
        self._application_properties = application_properties
        self._annotations = annotations
        self._header = header

    @property
    def data(self) -> Any:
        """What the batch is to hold, as it was given."""
        return self._body_gen

    def get_data(self) -> Any:
        """What the batch is to hold, as it was given."""
        return self._body_gen

    def __str__(self) -> str:
        return str(self._body_gen)

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

    def gather(self) -> Any:
        """The messages to send: a list with one, or with `multi_messages` an iterator over as many as it takes.

        Raises `errors.MessageContentTooLarge` for what doesn't fit into one message of `max_message_length` bytes,
        `TypeError` for data that can't be iterated over.
        """
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
