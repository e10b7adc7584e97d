"""Types for transactions (section 4.5 of the AMQP 1.0 specification)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .composites import Composite, Field, register
from .terminus import Outcome
from .values import Described, Symbol


class TxnCapability:
    """Capabilities of a coordinator (section 4.5.7)."""

    LOCAL_TRANSACTIONS = Symbol("amqp:local-transactions")
    DISTRIBUTED_TRANSACTIONS = Symbol("amqp:distributed-transactions")
    PROMOTABLE_TRANSACTIONS = Symbol("amqp:promotable-transactions")
    MULTI_TXNS_PER_SSN = Symbol("amqp:multi-txns-per-ssn")
    MULTI_SSNS_PER_TXN = Symbol("amqp:multi-ssns-per-txn")


@register
@dataclass(slots=True)
class Coordinator(Composite):
    """The target of a link that controls transactions (section 4.5.1)."""

    DESCRIPTOR: ClassVar[int] = 0x30
    NAME: ClassVar[str] = "amqp:coordinator:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("target",)
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("capabilities", "symbol", multiple=True, requires="txn-capability"),)

    capabilities: tuple[Symbol, ...] = ()


@register
@dataclass(slots=True)
class Declare(Composite):
    """Body of the message that begins a transaction (section 4.5.2)."""

    DESCRIPTOR: ClassVar[int] = 0x31
    NAME: ClassVar[str] = "amqp:declare:list"
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("global-id", "*", requires="global-tx-id"),)

    global_id: Any = None


@register
@dataclass(slots=True)
class Discharge(Composite):
    """Body of the message that commits a transaction or, with `fail`, rolls it back (section 4.5.3)."""

    DESCRIPTOR: ClassVar[int] = 0x32
    NAME: ClassVar[str] = "amqp:discharge:list"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("txn-id", "*", mandatory=True, requires="txn-id"),
        Field("fail", "boolean"),
    )

    txn_id: bytes | Described
    fail: bool | None = None


@register
@dataclass(slots=True)
class Declared(Composite):
    """Outcome of a declare: the transaction's id (section 4.5.5)."""

    DESCRIPTOR: ClassVar[int] = 0x33
    NAME: ClassVar[str] = "amqp:declared:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("delivery-state", "outcome")
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("txn-id", "*", mandatory=True, requires="txn-id"),)

    txn_id: bytes | Described


@register
@dataclass(slots=True)
class TransactionalState(Composite):
    """State of a delivery within a transaction (section 4.5.6)."""

    DESCRIPTOR: ClassVar[int] = 0x34
    NAME: ClassVar[str] = "amqp:transactional-state:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("delivery-state",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("txn-id", "*", mandatory=True, requires="txn-id"),
        Field("outcome", "*", requires="outcome"),
    )

    txn_id: bytes | Described
    outcome: Outcome | Declared | None = None
