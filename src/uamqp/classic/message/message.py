"""`Message`, public in `uamqp.message`.

A received message holds the bytes of its sections; a section is decoded when it is first accessed, and unchanged parts
are encoded again exactly as received. Text is passed as str or bytes; a message returns it as bytes.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import codec
from ...codec import (
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    VALUE,
)
from ...codec.message import append_sections, encode_data, section_decoder
from ...codec.sections import append_section_header, binary_at, data_head, read_sections, single_data
from ...engine.limits import MAX_DELIVERY_TAG
from ..values import native
from ..values.arguments import encoding_of, having, shown
from ..values.portable import bounded, reduced, restore, state_of, unreadable
from ..vocabulary import constants, errors
from ..vocabulary.callbacks import plain
from ..vocabulary.constants import MessageBodyType, MessageState
from .bodies import DataBody, SequenceBody, ValueBody, outline, received_body, received_outline
from .sections import (
    MessageHeader,
    MessageProperties,
    append_changed_map,
    append_map,
    checked,
    checked_header,
    received_header,
    received_properties,
)

if TYPE_CHECKING:
    from ...core import Entry
    from .delivery import Delivery


class _Unread:
    """Stands for a section that hasn't been accessed yet."""

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNREAD"


_UNREAD: Any = _Unread()
_UNREAD.__module__ = "uamqp.message"  # where pickles look for it, as UNREAD
UNREAD = _UNREAD

_ACCEPTED = errors.MessageAccepted()
_RELEASED = errors.MessageReleased()
_ALREADY_SETTLED = errors.MessageAlreadySettled()

_NEW = MessageState.WaitingToBeSent
_UNSETTLED = MessageState.ReceivedUnsettled
_SETTLED = MessageState.ReceivedSettled


class Message:
    """An AMQP message, to be sent or received.

    Wrong keys, and values nested deeper than 64, raise an error that names the key when the message is encoded.
    Received sections aren't checked.

    Args:
        body: text, bytes or a list of them (data sections), or any other value (an AMQP value).
        properties, header: a `MessageProperties` and a `MessageHeader`.
        application_properties: a dict; its keys are text or bytes, which go out as strings (section 3.2.5).
        annotations, delivery_annotations, footer: dicts; their keys are ASCII text or bytes, which go out as symbols
            (section 3.2.10; 1.6 sent strings), or integers from 0 to 2**64-1.
        msg_format: the message-format, 32 bits.
        encoding: encoding of text.
        body_type: the kind of body (`constants.MessageBodyType`), if it is to be explicit: `Data`, `Value` or
            `Sequence` (a list, or a list of lists). An empty list is one empty section.
        message: a `c_uamqp.cMessage`, which makes this a received message. Only `settler`, `delivery_no` and `encoding`
            are used then.
        settler: called with an `errors.MessageResponse` to settle a received message.
        delivery_no: the delivery-id of a received message.

    Attributes:
        state: the message's state.
        on_send_complete: called with a `constants.MessageSendResult` and an exception or None when sending is over.
        fate: for a message without an outcome, because `send_message` raised or while the message waits to be sent
            again over a new link, whether the peer may have it (`errors.Fate`). None otherwise.

    Raises:
        TypeError, ValueError: the body has no AMQP encoding, or a section the wrong type, here or when it is set later.
        OverflowError: the message-format exceeds 32 bits.
    """

    __module__ = "uamqp.message"

    __slots__ = (
        "__dict__", "__weakref__",
        "_annotations", "_application_properties", "_bounds", "_content", "_data_start", "_delivery",
        "_delivery_annotations", "_delivery_no", "_delivery_tag", "_encoding", "_entry", "_footer", "_header",
        "_message_format", "_on_message_sent", "_payload", "_properties", "_response", "_settler", "fate", "idle_time",
        "on_send_complete", "retries", "state",
    )  # fmt: skip

    _stored = __slots__[2:]

    _entry: Entry | None  # its place while it is pending in a client; copies have none
    fate: errors.Fate | None
    state: MessageState
    idle_time: int
    retries: int
    on_send_complete: Callable[[Any, Any], Any] | None
    _on_message_sent: Any
    _encoding: str
    _message_format: int
    _response: Any
    # The link's settler, called with the response and the delivery, or just the response if there is no delivery.
    _settler: Callable[..., Any] | None
    _delivery: Delivery | None
    _delivery_no: int | None
    _delivery_tag: bytes | None
    _payload: bytes | None
    _bounds: list[tuple[int, int, int]] | None
    _data_start: int  # see `codec.sections.single_data`; -1 if not determined yet

    _header: Any
    _delivery_annotations: Any
    _annotations: Any
    _properties: Any
    _application_properties: Any
    _content: Any
    _footer: Any

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
        _clear(self, encoding if encoding == "UTF-8" else encoding_of(encoding))
        self._delivery_no = delivery_no
        if settler is not None:
            self._settler = plain(settler, "settler")
        if message:
            _unread(self)
            self._init_received(message)
            return
        self._properties = properties if properties is None else checked(PROPERTIES, properties)
        self._application_properties = (
            application_properties
            if application_properties is None
            else checked(APPLICATION_PROPERTIES, application_properties)
        )
        self._annotations = annotations if annotations is None else checked(MESSAGE_ANNOTATIONS, annotations)
        self._header = header if header is None else checked_header(checked(HEADER, header))
        self._footer = footer if footer is None else checked(FOOTER, footer)
        self._delivery_annotations = (
            delivery_annotations
            if delivery_annotations is None
            else checked(DELIVERY_ANNOTATIONS, delivery_annotations)
        )
        if msg_format:
            self.message_format = msg_format
        if body_type:
            self._set_body_by_body_type(body, body_type)
        else:
            self._auto_set_body(body)

    def _init_received(self, message: Any) -> None:
        having(message, "message", "a c_uamqp.cMessage", "_encode_payload", "message_format", "delivery_tag")
        self._payload = message._encode_payload()
        self._message_format = message.message_format
        self._delivery_tag = message.delivery_tag
        if self._settler is None:
            self.state = _SETTLED
            self._response = _ALREADY_SETTLED
        else:
            self.state = _UNSETTLED

    @classmethod
    def decode_from_bytes(cls, data: bytes | bytearray | memoryview) -> Message:
        """Return the message with these encoded sections, as settled.

        Raises:
            TypeError, ValueError: the data isn't bytes, or not those of a message.
        """
        if type(data) is not bytes:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"A message is decoded from bytes, not from {type(data).__name__}.")
            data = bytes(data)
        # For the class itself, no lookup of `__new__` is necessary.
        message: Message = Message.__new__(Message) if cls is Message else Message.__new__(cls)
        _decode(message, data)
        return message

    # -- sections

    def _scanned(self) -> list[tuple[int, int, int]]:
        """Return the sections of the payload, or raise `ValueError` if it isn't a message."""
        bounds = self._bounds
        if bounds is None:
            bounds = [] if self._payload is None else codec.scan_sections(self._payload)
            self._bounds = bounds
        return bounds

    def _read(self, code: int) -> Any:
        """Return a decoded section of the payload that isn't the body; None if there is none."""
        decoder = section_decoder(self._payload or b"", self._scanned(), code, True)
        if decoder is None:
            return None
        if code == PROPERTIES:
            return received_properties(decoder, self._encoding)
        return received_header(decoder) if code == HEADER else decoder.value()

    @property
    def header(self) -> Any:
        """The `MessageHeader`, or None. It may be set."""
        value = self._header
        if value is _UNREAD:
            value = self._header = self._read(HEADER)
        return value

    @header.setter
    def header(self, value: Any) -> None:
        self._header = checked_header(checked(HEADER, value))

    @property
    def properties(self) -> Any:
        """The `MessageProperties`, or None. They may be set."""
        value = self._properties
        if value is _UNREAD:
            value = self._properties = self._read(PROPERTIES)
        return value

    @properties.setter
    def properties(self, value: Any) -> None:
        self._properties = checked(PROPERTIES, value)

    @property
    def application_properties(self) -> Any:
        """The application properties, a dict or None. They may be set."""
        value = self._application_properties
        if value is _UNREAD:
            value = self._application_properties = self._read(APPLICATION_PROPERTIES)
        return value

    @application_properties.setter
    def application_properties(self, value: Any) -> None:
        self._application_properties = checked(APPLICATION_PROPERTIES, value)

    @property
    def annotations(self) -> Any:
        """The message annotations, a dict or None. They may be set."""
        value = self._annotations
        if value is _UNREAD:
            value = self._annotations = self._read(MESSAGE_ANNOTATIONS)
        return value

    @annotations.setter
    def annotations(self, value: Any) -> None:
        self._annotations = checked(MESSAGE_ANNOTATIONS, value)

    @property
    def message_annotations(self) -> Any:
        """A read-only alias of `annotations`."""
        return self.annotations

    @property
    def delivery_annotations(self) -> Any:
        """The delivery annotations, a dict or None. They may be set."""
        value = self._delivery_annotations
        if value is _UNREAD:
            value = self._delivery_annotations = self._read(DELIVERY_ANNOTATIONS)
        return value

    @delivery_annotations.setter
    def delivery_annotations(self, value: Any) -> None:
        self._delivery_annotations = checked(DELIVERY_ANNOTATIONS, value)

    @property
    def footer(self) -> Any:
        """The footer, a dict or None. It may be set."""
        value = self._footer
        if value is _UNREAD:
            value = self._footer = self._read(FOOTER)
        return value

    @footer.setter
    def footer(self, value: Any) -> None:
        self._footer = checked(FOOTER, value)

    # -- the body

    def _read_content(self) -> Any:
        """Return the body object, or bytes for a single data section whose object hasn't been requested."""
        content = self._content
        if content is _UNREAD:
            content = None
            payload = self._payload
            if payload is not None:
                start = self._data_start
                if start < 0:
                    start = single_data(payload)
                if start:
                    content = binary_at(payload, start)
                else:
                    content = received_body(payload, self._scanned(), self._encoding)
            self._content = content
        return content

    def _read_body(self) -> Any:
        content = self._read_content()
        if type(content) is bytes:
            data = DataBody(None, self._encoding)
            data.append(content)
            self._content = content = data
        return content

    @property
    def _body(self) -> Any:
        """The body object, or None without a body."""
        return self._read_body()

    @_body.setter
    def _body(self, value: Any) -> None:
        self._content = value

    def _auto_set_body(self, body: Any) -> None:
        """Make the body: data sections of text, bytes or lists of them, an AMQP value of anything else."""
        if type(body) is bytes:
            self._content = body
            return
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
            raise ValueError(f"Unsupported MessageBodyType: {shown(body_type)}") from None
        if kind is MessageBodyType.Value:
            value = ValueBody(None, self._encoding)
            value.set(body)
            self._content = value
        elif kind is MessageBodyType.Data:
            self._set_data(body)
        else:
            self._set_sequence(body)

    def _set_data(self, body: Any) -> None:
        if not all(isinstance(part, (str, bytes)) for part in (body if isinstance(body, list) else [body])):
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
        """Return the content: an iterator over the data or sequence sections, or the value; None without a body."""
        content = self._read_content()
        if type(content) is bytes:
            return iter((content,))
        return None if content is None else content.data

    @property
    def data(self) -> Any:
        """An iterator over the data sections (bytes); None for a body of another kind."""
        body = self._read_body()
        return body.data if isinstance(body, DataBody) else None

    @property
    def sequence(self) -> Any:
        """An iterator over the sequence sections (lists); None for a body of another kind."""
        body = self._read_body()
        return body.data if isinstance(body, SequenceBody) else None

    @property
    def value(self) -> Any:
        """The value of the body; None for a body of another kind."""
        body = self._read_body()
        return body.data if isinstance(body, ValueBody) else None

    def __str__(self) -> str:
        try:
            return str(self._body)
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__} {self._outline()}>"
        except Exception as error:  # noqa: BLE001 (likewise)
            return unreadable(self, error)

    def _outline(self) -> str:
        """Return a description for `repr`, with just the id of the contents, and without storing decoded sections."""
        properties = self._properties
        if properties is _UNREAD:
            properties = self._read(PROPERTIES)
        ids = {"message_id": getattr(properties, "message_id", None), "delivery_no": self.delivery_no}
        parts = [self._body_outline(), getattr(self.state, "name", None) or bounded(self.state)]
        return ", ".join([*parts, *(f"{name}={bounded(value)}" for name, value in ids.items() if value is not None)])

    def _body_outline(self) -> str:
        content = self._content
        if content is _UNREAD:
            return received_outline(self._payload or b"", self._scanned())
        if content is None or type(content) is bytes:
            return outline(0 if content is None else DATA, 1, len(content or b""))
        return str(content._outline())

    # -- encoding

    @property
    def message_format(self) -> int:
        """The message-format; 0 for the specification's format. It may be set to any 32-bit number."""
        delivery = self._delivery
        return self._message_format if delivery is None else delivery.message_format

    @message_format.setter
    def message_format(self, value: int) -> None:
        if not hasattr(value, "__index__"):
            raise TypeError(f"The message-format must be an integer, not {type(value).__name__}.")
        number = operator.index(value)
        if not 0 <= number < 2**32:
            raise OverflowError(f"The message-format has 32 bits, {number} doesn't fit.")
        self._message_format = number

    def _encode_payload(self) -> bytes:
        """Return the encoded sections; for an unchanged received message, exactly those received."""
        return self._encoded()

    def _encoded(self) -> bytes:
        payload = self._payload
        if payload is not None and self._is_untouched():
            return payload
        content = self._content
        if type(content) is bytes:
            return self._encoded_data(content)
        out = bytearray()
        self._append_head(out)
        if content is _UNREAD:
            self._append_unread(out, DATA, VALUE)
        elif content:
            content._append_to(out)
        self._append_section(out, FOOTER, self._footer)
        return bytes(out)

    def _encoded_data(self, content: bytes) -> bytes:
        """Return the encoded message if its body is a single data section, which is copied only once."""
        if self._has_only_body():
            return data_head(len(content)) + content  # what `encode_data` does, with 60 instructions less
        out = bytearray()
        self._append_head(out)
        if self._footer is None:
            return encode_data(content, out)
        tail = bytearray()
        self._append_section(tail, FOOTER, self._footer)
        return encode_data(content, out, tail)

    def _is_untouched(self) -> bool:
        return (
            self._header is _UNREAD
            and self._delivery_annotations is _UNREAD
            and self._annotations is _UNREAD
            and self._properties is _UNREAD
            and self._application_properties is _UNREAD
            and self._content is _UNREAD
            and self._footer is _UNREAD
        )

    def _has_only_body(self) -> bool:
        return (
            self._header is None
            and self._delivery_annotations is None
            and self._annotations is None
            and self._properties is None
            and self._application_properties is None
            and self._footer is None
        )

    def _append_head(self, out: bytearray) -> None:
        """Append the sections before the body, in the order of section 3.2."""
        self._append_section(out, HEADER, self._header)
        self._append_section(out, DELIVERY_ANNOTATIONS, self._delivery_annotations)
        self._append_section(out, MESSAGE_ANNOTATIONS, self._annotations)
        self._append_section(out, PROPERTIES, self._properties)
        self._append_section(out, APPLICATION_PROPERTIES, self._application_properties)

    def _append_section(self, out: bytearray, code: int, value: Any) -> None:
        if value is _UNREAD:
            self._append_unread(out, code, code)
            return
        if not value:
            if type(value) is dict and self._read(code) == value:
                self._append_unread(out, code, code)  # it was empty when received
            return
        checked(code, value)
        append_section_header(out, code)
        if code == HEADER or code == PROPERTIES:
            value._append_to(out)
            return
        symbols = code != APPLICATION_PROPERTIES
        for found, start, end in self._scanned():
            if found == code:
                append_changed_map(out, value, self._encoding, symbols, (self._payload or b"", start, end))
                return
        append_map(out, value, self._encoding, symbols)

    def _append_unread(self, out: bytearray, first: int, last: int) -> None:
        """Append the received sections with codes from `first` to `last` unchanged."""
        payload = self._payload
        if payload is not None:
            append_sections(out, payload, self._scanned(), first, last)

    def encode_message(self) -> bytes:
        """Return the encoded message.

        Raises:
            TypeError, ValueError, OverflowError: the message can't be encoded.
        """
        return self._encode_payload()

    def get_message_encoded_size(self) -> int:
        """Return the length of the result of `encode_message`."""
        return len(self._encode_payload())

    def get_message(self) -> Any:
        """Return a copy of the message in AMQP's own terms, a `c_uamqp.cMessage`."""
        message = native.decode_message(self._encode_payload())
        message.message_format = self.message_format
        message.delivery_tag = self.delivery_tag
        return message

    @property
    def _message(self) -> Any:
        return self.get_message()

    # -- sending and settling

    @property
    def delivery_no(self) -> int | None:
        """The delivery-id of a received message. It may be set."""
        delivery = self._delivery
        if self._delivery_no is None and delivery is not None:
            return delivery.delivery_id
        return self._delivery_no

    @delivery_no.setter
    def delivery_no(self, value: int | None) -> None:
        self._delivery_no = value

    @property
    def delivery_tag(self) -> bytes | None:
        """The delivery-tag of a received message, or the one for sending a message; None if the link chooses one.

        It may be set to 1 to 32 bytes, different from other messages under way on the link (section 2.6.12).
        """
        delivery = self._delivery
        if self._delivery_tag is None and delivery is not None:
            return delivery.tag
        return self._delivery_tag

    @delivery_tag.setter
    def delivery_tag(self, value: bytes | None) -> None:
        if value is not None:
            if not isinstance(value, bytes):
                raise TypeError(f"A delivery-tag is bytes, not {type(value).__name__}.")
            if not 0 < len(value) <= MAX_DELIVERY_TAG:
                raise ValueError(f"A delivery-tag has 1 to {MAX_DELIVERY_TAG} bytes, not {len(value)}.")
        self._delivery_tag = value

    @property
    def settled(self) -> bool:
        """Whether the message's outcome is known."""
        return self._response is not None

    def gather(self) -> Any:
        """Return the messages to send: this one. Raise `TypeError` if it was received, its outcome if it was sent."""
        if self.state is _UNSETTLED or self.state is _SETTLED:
            raise TypeError(errors._ONLY_NEW)
        if self._response is not None:
            raise self._response.with_traceback(None)
        return [self]

    def _can_settle_message(self) -> bool:
        if self.state is not _UNSETTLED and self.state is not _SETTLED:
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
        # This comes last, so that a message stays unsettled if settling fails.
        self._response = response
        self.state = _SETTLED
        return True

    def accept(self) -> bool:
        """Settle the message as processed (section 3.4.2).

        Returns:
            False if it was already settled.

        Raises:
            Exception: the message wasn't received (`TypeError`), or the link can't settle it; it stays unsettled then.
        """
        return self._can_settle_message() and self._settle(_ACCEPTED)

    def reject(
        self,
        condition: str | bytes | None = None,
        description: str | bytes | None = None,
        info: dict[Any, Any] | None = None,
    ) -> bool:
        """Settle the message as invalid (section 3.4.3). Result and errors are those of `accept`.

        Args:
            condition: the error condition; amqp:internal-error by default.
            description: the error's description.
            info: more about the error, a dict; otherwise `TypeError` is raised.
        """
        if not self._can_settle_message():
            return False
        return self._settle(errors.MessageRejected(condition, description, self._encoding, info))

    def release(self) -> bool:
        """Give the message back as not processed (section 3.4.4). Result and errors are those of `accept`."""
        return self._can_settle_message() and self._settle(_RELEASED)

    def modify(self, failed: bool, deliverable: bool, annotations: dict[Any, Any] | None = None) -> bool:
        """Give the message back with changes (section 3.4.5). Result and errors are those of `accept`.

        Args:
            failed: whether this counts as a failed delivery.
            deliverable: despite its name, AMQP's undeliverable-here: True prevents the message's redelivery here.
            annotations: merged into the message's.
        """
        if not self._can_settle_message():
            return False
        return self._settle(errors.MessageModified(failed, deliverable, annotations, self._encoding))

    # -- copies

    def __getstate__(self) -> dict[str, Any]:
        state = {**state_of(self), "_entry": None}
        state["_on_message_sent"] = None
        if self._delivery is not None:
            # The link's part stays behind; the message's own data about its delivery is copied.
            state["_delivery"] = state["_settler"] = None
            state["_delivery_no"] = self.delivery_no
            state["_delivery_tag"] = self.delivery_tag
            state["_message_format"] = self.message_format
        return state

    # Taken from `Portable`, which can't be the base: classes with a base aren't recycled (`RECYCLING` in setup.py).

    __setstate__ = restore
    __reduce__ = reduced

    def __copy__(self) -> Any:
        duplicate = type(self).__new__(type(self))
        duplicate.__setstate__({**state_of(self), "_entry": None})
        return duplicate

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        duplicate = type(self).__new__(type(self))
        memo[id(self)] = duplicate
        for name, value in {**state_of(self), "_entry": None}.items():
            setattr(duplicate, name, value if name in _SHARED else copy.deepcopy(value, memo))
        return duplicate


# What a message shares with its deep copies.
_SHARED = frozenset(("_delivery", "_settler", "_payload", "_response", "on_send_complete", "_on_message_sent"))


def _clear(message: Message, encoding: str) -> None:
    """Initialize a new message, except for its sections."""
    message._encoding = encoding
    message.state = _NEW
    message.idle_time = message.retries = message._message_format = 0
    message.on_send_complete = message._on_message_sent = message._response = message._settler = None
    message._delivery = message._delivery_no = message._delivery_tag = message._payload = message._bounds = None
    message._entry = message.fate = None
    message._data_start = -1


def _unread(message: Message) -> None:
    """Mark all sections as to be decoded on first access."""
    message._header = message._delivery_annotations = message._annotations = _UNREAD
    message._properties = message._application_properties = message._content = message._footer = _UNREAD


def _decode(message: Message, payload: bytes) -> None:
    """Initialize a settled message from `payload`, and decode everything, so that errors appear at once."""
    _clear(message, "UTF-8")
    _unread(message)
    message._payload = payload
    message._response = _ALREADY_SETTLED
    message.state = _SETTLED
    if not payload:
        raise ValueError("Cannot decode bytes: there are none.")
    reader = read_sections(payload, True)
    parts = 0
    try:
        code = reader.next()
        while code:
            if code == DATA:
                parts += 1
                message._data_start = reader.pos if parts == 1 else 0
            elif code == APPLICATION_PROPERTIES:
                message._application_properties = reader.map()
            elif code == PROPERTIES:
                message._properties = received_properties(reader, "UTF-8")
            elif code == MESSAGE_ANNOTATIONS:
                message._annotations = reader.map()
            elif code == HEADER:
                message._header = received_header(reader)
            elif code == DELIVERY_ANNOTATIONS:
                message._delivery_annotations = reader.map()
            elif code == FOOTER:
                message._footer = reader.map()
            else:
                reader.value()  # of the body, which is decoded again on first access
            code = reader.next()
    except ValueError as error:
        raise ValueError(f"Cannot decode bytes: {error}") from error


def received_message(
    delivery: Delivery,
    settler: Callable[[Any, Any], Any] | None,
    encoding: str = "UTF-8",
    data_start: int = -1,
) -> Message:
    """Return a message that a link received, without decoding it yet.

    Args:
        settler: called with a response and the delivery; None if the message counts as settled.
        data_start: the result of `codec.sections.single_data`; -1 if not determined yet.
    """
    message = Message.__new__(Message)
    _clear(message, encoding)
    _unread(message)
    message._payload = delivery.payload
    message._delivery = delivery
    message._data_start = data_start
    if settler is None or delivery.settled:
        message._response = _ALREADY_SETTLED
        message.state = _SETTLED
    else:
        message._settler = settler
        message.state = _UNSETTLED
    return message
