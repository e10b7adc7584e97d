"""SASL frames (section 5.3.3 of the AMQP 1.0 specification)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from .composites import Composite, Field, register
from .values import Symbol


class SaslCode(IntEnum):
    """Outcome of the SASL dialog (section 5.3.3.6)."""

    OK = 0
    AUTH = 1
    SYS = 2
    SYS_PERM = 3
    SYS_TEMP = 4


@register
@dataclass(slots=True)
class SaslMechanisms(Composite):
    """The server's mechanisms (section 5.3.3.1)."""

    DESCRIPTOR: ClassVar[int] = 0x40
    NAME: ClassVar[str] = "amqp:sasl-mechanisms:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("sasl-frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("sasl-server-mechanisms", "symbol", mandatory=True, multiple=True),)

    sasl_server_mechanisms: tuple[Symbol, ...]


@register
@dataclass(slots=True)
class SaslInit(Composite):
    """The client's choice of a mechanism (section 5.3.3.2). Its repr doesn't show the initial response."""

    DESCRIPTOR: ClassVar[int] = 0x41
    NAME: ClassVar[str] = "amqp:sasl-init:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("sasl-frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("mechanism", "symbol", mandatory=True),
        Field("initial-response", "binary"),
        Field("hostname", "string"),
    )

    mechanism: Symbol
    initial_response: bytes | None = None
    hostname: str | None = None

    def __repr__(self) -> str:
        secret = None if self.initial_response is None else f"<{len(self.initial_response)} bytes>"
        return f"SaslInit(mechanism={self.mechanism!r}, initial_response={secret}, hostname={self.hostname!r})"


@register
@dataclass(slots=True)
class SaslChallenge(Composite):
    """Data from the server (section 5.3.3.3)."""

    DESCRIPTOR: ClassVar[int] = 0x42
    NAME: ClassVar[str] = "amqp:sasl-challenge:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("sasl-frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("challenge", "binary", mandatory=True),)

    challenge: bytes

    def __repr__(self) -> str:
        return f"SaslChallenge(challenge=<{len(self.challenge)} bytes>)"


@register
@dataclass(slots=True)
class SaslResponse(Composite):
    """The client's answer to a challenge (section 5.3.3.4). Its repr doesn't show it, as it may be a secret."""

    DESCRIPTOR: ClassVar[int] = 0x43
    NAME: ClassVar[str] = "amqp:sasl-response:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("sasl-frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("response", "binary", mandatory=True),)

    response: bytes

    def __repr__(self) -> str:
        return f"SaslResponse(response=<{len(self.response)} bytes>)"


@register
@dataclass(slots=True)
class SaslOutcome(Composite):
    """Result of the dialog (section 5.3.3.5)."""

    DESCRIPTOR: ClassVar[int] = 0x44
    NAME: ClassVar[str] = "amqp:sasl-outcome:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("sasl-frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("code", "sasl-code", mandatory=True),
        Field("additional-data", "binary"),
    )

    code: int
    additional_data: bytes | None = None

    def __repr__(self) -> str:
        data = None if self.additional_data is None else f"<{len(self.additional_data)} bytes>"
        return f"SaslOutcome(code={self.code!r}, additional_data={data})"


SASL_FRAMES: dict[int, type[Composite]] = {
    cls.DESCRIPTOR: cls for cls in (SaslMechanisms, SaslInit, SaslChallenge, SaslResponse, SaslOutcome)
}
"""The SASL frames by numeric descriptor."""
