"""`Message`: what is sent and received.

A received message keeps the bytes of its sections; a section is decoded when somebody looks at it, and otherwise is
passed on byte for byte. A message to send is encoded when it is submitted. How sections are found, passed on and
encoded is `codec.message`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..codec import (
    ACCEPTED,
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    RELEASED,
    SEQUENCE,
    VALUE,
    DecodeError,
    Timestamp,
    UInt,
    scan_sections,
)
from ..codec.message import Bounds, body_code
from ..codec.sections import binary_at, data_head, single_data
from . import fields
from .assembly import BODY, DURABLE_HEADER, OF_HEADER, UNREAD, assembled, section_value
from .bodies import KINDS, NO_BODY, UNKNOWN, decoded_body, described
from .checks import shown
from .errors import ReadOnlyMessage, UsageError
from .fields import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    CORRELATION_ID,
    CREATION_TIME,
    DELIVERY_COUNT,
    DURABLE,
    EXPIRY_TIME,
    FIRST_ACQUIRER,
    GROUP_ID,
    GROUP_SEQUENCE,
    MESSAGE_ID,
    PRIORITY,
    PROPERTY_NAMES,
    REPLY_TO,
    REPLY_TO_GROUP_ID,
    SETTABLE,
    SUBJECT,
    TO,
    TTL,
    USER_ID,
    check_properties,
    checked_field,
    checked_header,
    checked_identifier,
    checked_property,
    copied,
    mapping,
    misread,
    new_header,
)
from .outcomes import modified, rejected
from .readonly import NOTHING, ReadOnlyDict

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ..engine import IncomingDelivery
    from .bodies import BodyKind
    from .fields import Body, MessageId
    from .options import MessageChanges, MessageFields
    from .settlement import Settlement


class Message:
    """A message to send, or a received one (section 3.2 of the AMQP specification).

    A received message is read-only; `copy` gives one to send. A list or dict that it returns is the caller's: changing
    it doesn't change the message. A message to send may be changed, lists and dicts in place as well, and sent again:
    it is encoded when it is submitted.

    Bytes (`bytes`, `bytearray`, `memoryview`) are sent as a data section; anything else as an AMQP value: `str`,
    `None`, `bool`, `int`, `float`, `list`, `dict`, an aware `datetime`, `uuid.UUID`, `Decimal`, and the types of
    `uamqp.codec`. `of_data`, `of_value`, `of_sequence` and `of_json` say otherwise.

    Args:
        body: the body.
        message_id: identifies the message: text, a number from 0 to 2**64-1, a UUID or bytes.
        user_id: the user that has made it, as bytes.
        to: the address that it is for.
        subject: what it is about; brokers may route by it.
        reply_to: the address for replies.
        correlation_id: the message-id of the request that this is the reply to.
        content_type: the media type of a body of bytes, as "application/json".
        content_encoding: what was done with these bytes, as "gzip".
        expiry_time: when it expires (absolute-expiry-time); a datetime with a time zone.
        creation_time: when it was made; a datetime with a time zone.
        group_id: the group to which it belongs.
        group_sequence: its place in the group, from 0 to 2**32-1.
        reply_to_group_id: the group to which the reply belongs.
        durable: whether it must survive a restart of the broker; None for what its sender says.
        priority: from 0 to 255; brokers take 4 if there is none.
        ttl: how long it lives, as timedelta or in seconds; None forever.
        application_properties: your own properties, by text; their values are simple ones, neither maps nor lists.
        annotations, delivery_annotations: for all brokers on the way, and for the next one; keys go out as symbols.
        footer: what follows the body.
        format: the message-format (section 2.7.5), 32 bits; 0 is AMQP's own.

    Raises:
        TypeError: an argument has the wrong type; the text says which would be right.
        EncodeError: AMQP has no encoding for an argument's value, as it is out of range. It is a `ValueError`. Text
            that isn't Unicode, and values within maps and lists, are checked when the message is encoded.
    """

    __slots__ = (
        "_annotations", "_application_properties", "_bounds", "_changed", "_code", "_content", "_data_start",
        "_delivery", "_delivery_annotations", "_footer", "_format", "_header", "_payload", "_properties",
    )  # fmt: skip

    _payload: bytes | None  # the encoded sections that it was made from
    _bounds: Bounds | None  # of the payload, once they were looked for
    _data_start: int  # see `codec.sections.single_data`; -1 if not determined yet
    _delivery: IncomingDelivery | None
    _format: int
    _code: int  # the section code of the body, or `NO_BODY`, or `UNKNOWN` as long as nobody has looked
    _changed: int  # which fields differ from the payload's

    _header: Any  # its fields, as a list; as of all sections: `UNREAD`, or None if there is none
    _properties: Any
    _delivery_annotations: Any
    _annotations: Any
    _application_properties: Any
    _footer: Any
    _content: Any  # of several sections a tuple

    def __init__(
        self,
        body: Body = None,
        *,
        message_id: MessageId | None = None,
        user_id: bytes | None = None,
        to: str | None = None,
        subject: str | None = None,
        reply_to: str | None = None,
        correlation_id: MessageId | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        expiry_time: datetime | None = None,
        creation_time: datetime | None = None,
        group_id: str | None = None,
        group_sequence: int | None = None,
        reply_to_group_id: str | None = None,
        durable: bool | None = None,
        priority: int | None = None,
        ttl: timedelta | float | None = None,
        application_properties: Mapping[str, Any] | None = None,
        annotations: Mapping[str, Any] | None = None,
        delivery_annotations: Mapping[str, Any] | None = None,
        footer: Mapping[str, Any] | None = None,
        format: int = 0,
    ) -> None:
        self._payload = self._bounds = self._delivery = None
        self._header = self._properties = None
        self._delivery_annotations = self._annotations = self._application_properties = self._footer = None
        self._changed = self._format = self._data_start = 0
        if type(body) is bytes:
            self._content = body
            self._code = DATA
        else:
            _set_body(self, body)
        if (
            message_id is not None or user_id is not None or to is not None or subject is not None
            or reply_to is not None or correlation_id is not None or content_type is not None
            or content_encoding is not None or expiry_time is not None or creation_time is not None
            or group_id is not None or group_sequence is not None or reply_to_group_id is not None
        ):  # fmt: skip
            self._properties = [
                message_id, user_id, to, subject, reply_to, correlation_id, content_type, content_encoding,
                expiry_time, creation_time, group_id, group_sequence, reply_to_group_id,
            ]  # fmt: skip
            check_properties(self._properties)
        if durable is not None or priority is not None or ttl is not None:
            self._header = new_header(durable, priority, ttl)
        if application_properties is not None:
            self._application_properties = mapping("application_properties", application_properties)
        if annotations is not None:
            self._annotations = mapping("annotations", annotations)
        if delivery_annotations is not None:
            self._delivery_annotations = mapping("delivery_annotations", delivery_annotations)
        if footer is not None:
            self._footer = mapping("footer", footer)
        if format != 0:
            self.format = format

    # -- other ways to make one

    @classmethod
    def of_data(cls, *chunks: bytes | bytearray | memoryview, **options: Unpack[MessageFields]) -> Self:
        """Return a message whose body is data sections (section 3.2.6), one for each chunk.

        Args:
            chunks: bytes; none stands for a single empty section.
            options: the other arguments of the class.
        """
        message = cls(None, **options)
        message._content = tuple(fields.binary(f"chunk {index}", chunk) for index, chunk in enumerate(chunks)) or b""
        message._code = DATA
        return message

    @classmethod
    def of_value(cls, value: Any, **options: Unpack[MessageFields]) -> Self:
        """Return a message whose body is an AMQP value (section 3.2.8); bytes are a binary value then.

        Args:
            value: the value.
            options: the other arguments of the class.
        """
        message = cls(None, **options)
        message._content = fields.body(value)
        message._code = VALUE
        return message

    @classmethod
    def of_sequence(cls, *lists: list[Any] | tuple[Any, ...], **options: Unpack[MessageFields]) -> Self:
        """Return a message whose body is sequence sections (section 3.2.7), one for each list.

        Args:
            lists: the lists; none stands for a single empty section.
            options: the other arguments of the class.
        """
        message = cls(None, **options)
        message._content = tuple(fields.sequence(f"list {index}", each) for index, each in enumerate(lists)) or ([],)
        message._code = SEQUENCE
        return message

    @classmethod
    def of_json(cls, value: Any, **options: Unpack[MessageFields]) -> Self:
        """Return a message whose body is JSON in UTF-8, and whose content type says so unless you give another.

        Args:
            value: anything that `json.dumps` takes.
            options: the other arguments of the class.

        Raises:
            TypeError, ValueError: the value can't be written as JSON, or has a number that JSON doesn't have, as NaN.
        """
        options.setdefault("content_type", "application/json")
        return cls(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(), **options)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Self:
        """Return the message with these encoded sections, to be read, changed or sent.

        Raises:
            TypeError: the data isn't bytes.
            DecodeError: it isn't a message. What is within a section is decoded, and checked, when it is looked at.
        """
        payload = data if type(data) is bytes else fields.binary("data", data)
        message = cls.__new__(cls)
        _unread(message, payload)
        message._bounds = scan_sections(payload)
        return message

    def copy(self, **changes: Unpack[MessageChanges]) -> Self:
        """Return a message to send with the same contents, and changes. What doesn't change is passed on as it is.

        What concerns the last hop stays behind: delivery annotations, delivery count, first acquirer.

        Args:
            changes: arguments of the class, `body` among them.

        Raises:
            TypeError, EncodeError: see the class.
        """
        duplicate = type(self).__new__(type(self))
        _copy_into(duplicate, self)
        for name, value in changes.items():
            if name not in SETTABLE:
                raise TypeError(f"{name!r} is no argument of Message")
            setattr(duplicate, name, value)
        return duplicate

    def __reduce__(self) -> tuple[Any, ...]:
        """Make copies, deep copies and pickles messages to send."""
        return _restored, (type(self), self.encode(), self.format), getattr(self, "__dict__", None) or None

    # -- the header (section 3.2.1)

    @property
    def durable(self) -> bool | None:
        """Whether it must survive a restart of the broker. None: its sender says (`durable` of `open_sender`)."""
        found: bool | None = self._header_field(DURABLE)
        return found

    @durable.setter
    def durable(self, value: bool | None) -> None:
        self._set_header(DURABLE, value)

    @property
    def priority(self) -> int | None:
        """From 0 to 255; brokers take 4 if there is none."""
        found = self._header_field(PRIORITY)
        return None if found is None else int(found)

    @priority.setter
    def priority(self, value: int | None) -> None:
        self._set_header(PRIORITY, value)

    @property
    def ttl(self) -> timedelta | None:
        """How long it lives from when the broker has received it. It may be set to seconds as well."""
        value = self._header_field(TTL)
        return None if value is None else timedelta(milliseconds=value)

    @ttl.setter
    def ttl(self, value: timedelta | float | None) -> None:
        self._set_header(TTL, value)

    @property
    def delivery_count(self) -> int:
        """How many deliveries of this message have failed before this one; 0 for one that wasn't received."""
        return int(self._header_field(DELIVERY_COUNT) or 0)

    @property
    def redelivered(self) -> bool:
        """Whether an earlier delivery has failed, as far as the broker counts that."""
        return self.delivery_count > 0

    def _header_field(self, index: int) -> Any:
        found = self._header
        if found is UNREAD:
            found = self._header = self._read(HEADER)
        return None if found is None else checked_field(index, found[index])

    def _set_header(self, index: int, value: Any) -> None:
        self._refuse_received()
        value = checked_header(index, value)
        self._header_field(index)  # decodes it
        if self._header is None:
            self._header = [None] * 5
        self._header[index] = value
        self._changed |= 1 << OF_HEADER + index

    # -- the properties (section 3.2.4)

    @property
    def message_id(self) -> MessageId | None:
        """Identifies the message. A number, UUID or bytes stay what they are."""
        return self._identifier(MESSAGE_ID)

    @message_id.setter
    def message_id(self, value: MessageId | None) -> None:
        self._set_property(MESSAGE_ID, value)

    @property
    def user_id(self) -> bytes | None:
        """The user that has made it; brokers may check it against the login."""
        value = self._property(USER_ID)
        if value is None or isinstance(value, bytes):
            return value
        raise misread("user_id", value)

    @user_id.setter
    def user_id(self, value: bytes | None) -> None:
        self._set_property(USER_ID, value)

    @property
    def to(self) -> str | None:
        """The address that it is for."""
        return self._text(TO)

    @to.setter
    def to(self, value: str | None) -> None:
        self._set_property(TO, value)

    @property
    def subject(self) -> str | None:
        """What it is about."""
        return self._text(SUBJECT)

    @subject.setter
    def subject(self, value: str | None) -> None:
        self._set_property(SUBJECT, value)

    @property
    def reply_to(self) -> str | None:
        """The address for replies."""
        return self._text(REPLY_TO)

    @reply_to.setter
    def reply_to(self, value: str | None) -> None:
        self._set_property(REPLY_TO, value)

    @property
    def correlation_id(self) -> MessageId | None:
        """The message-id of the request that this is the reply to."""
        return self._identifier(CORRELATION_ID)

    @correlation_id.setter
    def correlation_id(self, value: MessageId | None) -> None:
        self._set_property(CORRELATION_ID, value)

    @property
    def content_type(self) -> str | None:
        """The media type of a body of bytes."""
        return self._text(CONTENT_TYPE)

    @content_type.setter
    def content_type(self, value: str | None) -> None:
        self._set_property(CONTENT_TYPE, value)

    @property
    def content_encoding(self) -> str | None:
        """What was done with these bytes, as "gzip"."""
        return self._text(CONTENT_ENCODING)

    @content_encoding.setter
    def content_encoding(self, value: str | None) -> None:
        self._set_property(CONTENT_ENCODING, value)

    @property
    def expiry_time(self) -> datetime | None:
        """When it expires, in UTC. Reading one beyond the year 9999 is an `OverflowError`."""
        return self._moment(EXPIRY_TIME)

    @expiry_time.setter
    def expiry_time(self, value: datetime | None) -> None:
        self._set_property(EXPIRY_TIME, value)

    @property
    def creation_time(self) -> datetime | None:
        """When it was made, in UTC. Reading one beyond the year 9999 is an `OverflowError`."""
        return self._moment(CREATION_TIME)

    @creation_time.setter
    def creation_time(self, value: datetime | None) -> None:
        self._set_property(CREATION_TIME, value)

    @property
    def group_id(self) -> str | None:
        """The group to which it belongs."""
        return self._text(GROUP_ID)

    @group_id.setter
    def group_id(self, value: str | None) -> None:
        self._set_property(GROUP_ID, value)

    @property
    def group_sequence(self) -> int | None:
        """Its place in the group."""
        value = self._property(GROUP_SEQUENCE)
        if value is None or isinstance(value, int):
            return None if value is None else int(value)
        raise misread("group_sequence", value)

    @group_sequence.setter
    def group_sequence(self, value: int | None) -> None:
        self._set_property(GROUP_SEQUENCE, value)

    @property
    def reply_to_group_id(self) -> str | None:
        """The group to which the reply belongs."""
        return self._text(REPLY_TO_GROUP_ID)

    @reply_to_group_id.setter
    def reply_to_group_id(self, value: str | None) -> None:
        self._set_property(REPLY_TO_GROUP_ID, value)

    def _property(self, index: int) -> Any:
        found = self._properties
        if found is UNREAD:
            found = self._properties = self._read(PROPERTIES)
        return None if found is None or index >= len(found) else found[index]

    def _text(self, index: int) -> str | None:
        value = self._property(index)
        if value is None or isinstance(value, str):
            return None if value is None else str(value)  # a symbol is text here
        raise misread(PROPERTY_NAMES[index], value)

    def _identifier(self, index: int) -> MessageId | None:
        return checked_identifier(index, self._property(index))

    def _moment(self, index: int) -> datetime | None:
        value = self._property(index)
        if value is None:
            return None
        if isinstance(value, Timestamp):
            return value.to_datetime()
        raise misread(PROPERTY_NAMES[index], value)

    def _set_property(self, index: int, value: Any) -> None:
        self._refuse_received()
        value = checked_property(index, value)
        self._property(index)  # decodes them
        found = self._properties
        if found is None:
            found = self._properties = []
        found += [None] * (13 - len(found))
        found[index] = value
        self._changed |= 1 << index

    # -- sections that are maps (sections 3.2.2, 3.2.3, 3.2.5 and 3.2.10)

    @property
    def application_properties(self) -> dict[str, Any]:
        """Your own properties, by text. Of a message to send they may be changed in place."""
        if type(self._application_properties) is not dict:
            self._application_properties = self._read_map(APPLICATION_PROPERTIES, self._application_properties)
        found: dict[str, Any] = self._application_properties
        return found

    @application_properties.setter
    def application_properties(self, value: Mapping[str, Any] | None) -> None:
        self._refuse_received()
        self._application_properties = None if value is None else mapping("application_properties", value)

    @property
    def annotations(self) -> dict[str, Any]:
        """For, and from, brokers on the way, by name. Of a message to send they may be changed in place."""
        if type(self._annotations) is not dict:
            self._annotations = self._read_map(MESSAGE_ANNOTATIONS, self._annotations)
        found: dict[str, Any] = self._annotations
        return found

    @annotations.setter
    def annotations(self, value: Mapping[str, Any] | None) -> None:
        self._refuse_received()
        self._annotations = None if value is None else mapping("annotations", value)

    @property
    def delivery_annotations(self) -> dict[str, Any]:
        """From, or for, the next broker alone. Of a message to send they may be changed in place."""
        if type(self._delivery_annotations) is not dict:
            self._delivery_annotations = self._read_map(DELIVERY_ANNOTATIONS, self._delivery_annotations)
        found: dict[str, Any] = self._delivery_annotations
        return found

    @delivery_annotations.setter
    def delivery_annotations(self, value: Mapping[str, Any] | None) -> None:
        self._refuse_received()
        self._delivery_annotations = None if value is None else mapping("delivery_annotations", value)

    @property
    def footer(self) -> dict[str, Any]:
        """What follows the body, as a checksum of it. Of a message to send it may be changed in place."""
        if type(self._footer) is not dict:
            self._footer = self._read_map(FOOTER, self._footer)
        found: dict[str, Any] = self._footer
        return found

    @footer.setter
    def footer(self, value: Mapping[str, Any] | None) -> None:
        self._refuse_received()
        self._footer = None if value is None else mapping("footer", value)

    def _read_map(self, code: int, known: Any) -> Any:
        """Return a map for the attribute that has none yet, read-only if the message was received."""
        if known is None:
            return {}
        if known is not UNREAD:
            return known
        found = self._read(code)
        if self._delivery is None:
            return {} if found is None else found
        return NOTHING if found is None else ReadOnlyDict(found)

    # -- the body (sections 3.2.6 to 3.2.8)

    @property
    def body(self) -> Any:
        """The body: bytes of data sections, joined; the value; the items of sequences, joined; None without a body."""
        content = self._read_body()
        if type(content) is not tuple or self._code == VALUE:
            return content
        if self._code == DATA:
            return b"".join(content)
        return [item for each in content for item in each]

    @body.setter
    def body(self, value: Body) -> None:
        self._refuse_received()
        _set_body(self, value)

    @property
    def body_kind(self) -> BodyKind | None:
        """How the body is, or was, sent. None for a received message without one."""
        return KINDS.get(self._body_code())

    def chunks(self) -> list[Any]:
        """Return the sections of the body, each by itself: the bytes, the lists, or the one value."""
        content = self._read_body()
        is_several = type(content) is tuple and self._code != VALUE
        return list(content) if is_several else [] if self._code == NO_BODY else [content]

    def text(self, encoding: str = "utf-8") -> str:
        """Return the body as text, whether it was sent as text or as bytes.

        Args:
            encoding: that of bytes.

        Raises:
            TypeError: the body is neither.
            UnicodeDecodeError: its bytes aren't text in this encoding.
        """
        body = self.body
        if isinstance(body, str):
            return body
        if isinstance(body, (bytes, bytearray, memoryview)):
            return bytes(body).decode(encoding)
        raise TypeError(f"the body isn't text, but {described(self._code, body)}")

    def json(self) -> Any:
        """Return the body decoded from JSON.

        Raises:
            TypeError: the body is neither text nor bytes.
            ValueError: it isn't JSON.
        """
        return json.loads(self.text())

    def _body_code(self) -> int:
        if self._code == UNKNOWN:
            self._code = DATA if self._data_start > 0 else body_code(self._scanned())
        return self._code

    def _read_body(self) -> Any:
        content = self._content
        if content is UNREAD:
            payload = self._payload
            if payload is None:
                return None
            if self._data_start < 0:
                self._data_start = single_data(payload)
            if self._data_start > 0:
                content = binary_at(payload, self._data_start)
            else:
                content = decoded_body(payload, self._scanned())
            self._body_code()
            self._content = content
        return content

    # -- what was received

    @property
    def delivery_tag(self) -> bytes | None:
        """The tag by which the sender knows the delivery (section 2.6.12); None if the message wasn't received."""
        return None if self._delivery is None else self._delivery.tag

    @property
    def settled(self) -> bool:
        """Whether nothing is left to settle: it came settled, has an outcome, or wasn't received."""
        delivery = self._delivery
        return delivery is None or delivery.settled or delivery.state is not None

    @property
    def format(self) -> int:
        """The message-format (section 2.7.5)."""
        return self._format if self._delivery is None else self._delivery.message_format

    @format.setter  # noqa: A003
    def format(self, value: int) -> None:
        self._refuse_received()
        self._format = fields.number("format", value, UInt.MAX)

    @property
    def receiver(self) -> Any:
        """The receiver that it came to; None for a message to send."""
        delivery: Any = self._delivery
        return None if delivery is None else delivery.link.context.handler.receiver

    def _settle(self, outcome: Any) -> Settlement:
        delivery: Any = self._delivery
        if delivery is None:
            raise UsageError("only a received message can be settled")
        settlement: Settlement = delivery.link.context.handler.settle(self, outcome)
        return settlement

    def accept(self) -> Settlement:
        """Settle it as processed (section 3.4.2)."""
        return self._settle(ACCEPTED)

    def release(self) -> Settlement:
        """Give it back as not processed; it may go to anybody (section 3.4.4)."""
        return self._settle(RELEASED)

    def reject(
        self, condition: str | None = None, description: str | None = None, info: Mapping[str, Any] | None = None
    ) -> Settlement:
        """Settle it as invalid (section 3.4.3)."""
        return self._settle(rejected(condition, description, info))

    def modify(
        self,
        *,
        delivery_failed: bool = False,
        undeliverable_here: bool = False,
        annotations: Mapping[str, Any] | None = None,
    ) -> Settlement:
        """Give it back with changes (section 3.4.5)."""
        return self._settle(modified(delivery_failed, undeliverable_here, annotations))

    def _refuse_received(self) -> None:
        if self._delivery is not None:
            raise ReadOnlyMessage("a received message can't be changed: message.copy(...) gives one to send")

    def _scanned(self) -> Bounds:
        if self._bounds is None:
            self._bounds = [] if self._payload is None else scan_sections(self._payload)
        return self._bounds

    def _read(self, code: int) -> Any:
        payload = self._payload
        return None if payload is None else section_value(payload, self._scanned(), code)

    # -- encoding

    def encode(self) -> bytes:
        """Return the encoded sections.

        Raises:
            EncodeError: a value in the body or in a map has no encoding, or a key of a map isn't text.
        """
        return self._encoded(False)

    def _encoded(self, is_durable: bool) -> bytes:
        """Return the encoded sections.

        Args:
            is_durable: what its header says if the message itself doesn't.
        """
        content = self._content
        if type(content) is bytes and self._code == DATA and self._has_only_body():
            if is_durable:
                return DURABLE_HEADER + data_head(len(content)) + content
            return data_head(len(content)) + content
        payload = self._payload
        if payload is not None and not is_durable and (self._delivery is not None or self._is_untouched()):
            return payload
        return assembled(
            self._payload, self._scanned(), is_durable, self._changed, self._header, self._delivery_annotations,
            self._annotations, self._properties, self._application_properties, self._code, content, self._footer,
        )  # fmt: skip

    def _has_only_body(self) -> bool:
        return (
            self._payload is None and self._properties is None and self._header is None and self._footer is None
            and self._application_properties is None and self._annotations is None
            and self._delivery_annotations is None
        )  # fmt: skip

    def _is_untouched(self) -> bool:
        return (
            not self._changed and self._content is UNREAD and self._application_properties is UNREAD
            and self._annotations is UNREAD and self._delivery_annotations is UNREAD and self._footer is UNREAD
        )  # fmt: skip

    def __repr__(self) -> str:
        try:
            content = self._read_body()
            named = [(name, getattr(self, name)) for name in ("message_id", "subject", "to")]
            parts = [described(self._body_code(), content)]
            parts += [f"{name}={shown(value)}" for name, value in named if value is not None]
        except DecodeError as error:
            parts = [f"which can't be decoded: {error}"]
        except AttributeError:
            parts = ["which isn't made yet"]
        return f"<{type(self).__name__} {', '.join(parts)}>"


def _set_body(message: Message, body: Any) -> None:
    is_data = isinstance(body, (bytes, bytearray, memoryview))
    message._content = fields.body(body)
    message._code = DATA if is_data else VALUE
    message._changed |= BODY


def _unread(message: Message, payload: bytes) -> None:
    """Make a message of its encoded sections, of which none is decoded yet."""
    message._payload = payload
    message._bounds = message._delivery = None
    message._changed = message._format = 0
    message._data_start = message._code = UNKNOWN
    message._header = message._delivery_annotations = message._annotations = message._properties = UNREAD
    message._application_properties = message._content = message._footer = UNREAD


def received_message(delivery: IncomingDelivery, data_start: int = UNKNOWN) -> Message:
    """Return the message of a delivery, without decoding it yet.

    Args:
        delivery: the delivery.
        data_start: the result of `codec.sections.single_data` for its payload; -1 if not determined yet.
    """
    message = Message.__new__(Message)
    _unread(message, delivery.payload)
    message._delivery = delivery
    message._data_start = data_start
    return message


def _restored(kind: type[Message], payload: bytes, message_format: int) -> Message:
    """Return a message out of a pickle or a copy."""
    message = kind.decode(payload)
    message._format = message_format
    return message


def _copy_into(duplicate: Message, message: Message) -> None:
    """Give a new object the contents of a message, without what concerns the last hop of a received one."""
    if message._delivery is not None and message._payload is not None:
        _unread(duplicate, message._payload)
        duplicate._bounds = message._bounds
        duplicate._data_start = message._data_start
        duplicate._format = message.format
        duplicate._delivery_annotations = None
        header = duplicate._read(HEADER)
        for index in (FIRST_ACQUIRER, DELIVERY_COUNT):
            if header is not None and header[index] is not None:
                header[index] = None
                duplicate._header = header
                duplicate._changed |= 1 << OF_HEADER + index
        return
    duplicate._delivery = None
    duplicate._payload, duplicate._bounds = message._payload, message._bounds
    duplicate._data_start, duplicate._code = message._data_start, message._code
    duplicate._format, duplicate._changed = message._format, message._changed
    duplicate._content = copied(message._content)
    duplicate._header = copied(message._header)
    duplicate._properties = copied(message._properties)
    duplicate._delivery_annotations = copied(message._delivery_annotations)
    duplicate._annotations = copied(message._annotations)
    duplicate._application_properties = copied(message._application_properties)
    duplicate._footer = copied(message._footer)
