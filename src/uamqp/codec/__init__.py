"""AMQP 1.0 codec: bytes to and from values, performatives, message sections and outcomes.

Public: docs/engine.md shows how to use it. docs/design.md, section Codec, has the two mappings to Python.
"""

from __future__ import annotations

from . import decode as _decode
from .composites import (
    COMPOSITES_BY_CODE,
    COMPOSITES_BY_NAME,
    Composite,
    Field,
    composite_class,
    decode_composite,
)
from .decode import Decoder, decode_value
from .definitions import (
    ROLE_RECEIVER,
    ROLE_SENDER,
    AmqpError,
    ConnectionError,  # noqa: A004 (as in definitions)
    Error,
    LinkError,
    ReceiverSettleMode,
    SenderSettleMode,
    SessionError,
    TransactionError,
)
from .encode import append_bare, append_value, encode_value
from .errors import CodecError, DecodeError, EncodeError, NestingError
from .message import (
    append_changed_map,
    append_data,
    append_header,
    append_map,
    append_properties,
    append_section,
    append_sections,
    body_code,
    body_parts,
    body_size,
    encode_data,
    encoded_since,
    read_header,
    read_properties,
    section_decoder,
    unchanged,
)
from .outcomes import (
    ACCEPTED,
    ACCEPTED_BYTES,
    RELEASED,
    RELEASED_BYTES,
    Accepted,
    Modified,
    Received,
    Rejected,
    Released,
)
from .performatives import (
    PERFORMATIVES,
    Attach,
    Begin,
    Close,
    DeliveryState,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from .sasl import (
    SASL_FRAMES,
    SaslChallenge,
    SaslCode,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
)
from .sections import (
    APPLICATION_PROPERTIES,
    BATCH_FORMAT,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    SECTION_NAMES,
    SEQUENCE,
    VALUE,
    Header,
    Properties,
    SectionReader,
    append_section_header,
    binary_at,
    binary_bounds,
    read_sections,
    scan_sections,
    single_data,
)
from .signatures import present
from .terminus import (
    DeleteOnClose,
    DeleteOnNoLinks,
    DeleteOnNoLinksOrMessages,
    DeleteOnNoMessages,
    Outcome,
    Source,
    StdDistMode,
    Target,
    TerminusDurability,
    TerminusExpiryPolicy,
)
from .transactions import Coordinator, Declare, Declared, Discharge, TransactionalState, TxnCapability
from .values import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Long,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

COMPILED: bool = not str(_decode.__file__).endswith(".py")
"""Whether the compiled modules are in use, instead of the plain Python ones."""

__all__ = [
    "ACCEPTED", "ACCEPTED_BYTES", "APPLICATION_PROPERTIES", "BATCH_FORMAT", "COMPILED", "COMPOSITES_BY_CODE",
    "COMPOSITES_BY_NAME", "DATA", "DELIVERY_ANNOTATIONS", "FOOTER", "HEADER", "MESSAGE_ANNOTATIONS",
    "PERFORMATIVES", "PROPERTIES", "RELEASED", "RELEASED_BYTES", "ROLE_RECEIVER", "ROLE_SENDER",
    "SASL_FRAMES", "SECTION_NAMES", "SEQUENCE", "VALUE", "Accepted", "AmqpError", "Array", "Attach", "Begin",
    "Byte", "Char", "Close", "CodecError", "Composite", "ConnectionError", "Coordinator", "Decimal32",
    "Decimal64", "Decimal128", "Declare", "Declared", "DecodeError", "Decoder", "DeleteOnClose",
    "DeleteOnNoLinks", "DeleteOnNoLinksOrMessages", "DeleteOnNoMessages", "DeliveryState", "Described",
    "Detach", "Discharge", "Disposition", "EncodeError", "End", "Error", "Field", "Float", "Flow", "Header",
    "LinkError", "Long", "Modified", "NestingError", "Open", "Outcome", "Properties", "Received", "ReceiverSettleMode",
    "Rejected", "Released", "SaslChallenge", "SaslCode", "SaslInit", "SaslMechanisms", "SaslOutcome",
    "SaslResponse", "SectionReader", "SenderSettleMode", "SessionError", "Short", "Source", "StdDistMode",
    "Symbol", "Target", "TerminusDurability", "TerminusExpiryPolicy", "Timestamp", "TransactionError",
    "TransactionalState", "Transfer", "TxnCapability", "UByte", "UInt", "ULong", "UShort", "append_bare",
    "append_changed_map", "append_data", "append_header", "append_map", "append_properties",
    "append_section", "append_section_header", "append_sections", "append_value", "binary_at",
    "binary_bounds", "body_code", "body_parts", "body_size", "composite_class", "decode_composite",
    "decode_value", "encode_data", "encode_value", "encoded_since", "read_header", "read_properties",
    "read_sections", "scan_sections", "section_decoder", "single_data", "unchanged",
]  # fmt: skip

present(globals())
