"""Counters of connections, senders and receivers, as they stand when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

__all__ = ["ConnectionStats", "ReceiverStats", "SenderStats"]

T = TypeVar("T", "SenderStats", "ReceiverStats")


@dataclass(slots=True)
class SenderStats:
    """What a sender has done.

    Attributes:
        taken: messages that it took in.
        accepted: those that were accepted, or, presettled, handed to the network.
        refused: those that the peer rejected, released or modified.
        not_sent: those that certainly didn't arrive.
        unknown: those of which nobody knows whether they arrived.
        unretrieved: those that failed without anybody having looked at it.
        pending: those without an outcome yet.
        pending_bytes: how many bytes these have.
    """

    taken: int = 0
    accepted: int = 0
    refused: int = 0
    not_sent: int = 0
    unknown: int = 0
    unretrieved: int = 0
    pending: int = 0
    pending_bytes: int = 0


@dataclass(slots=True)
class ReceiverStats:
    """What a receiver has done.

    Attributes:
        received: messages that have come.
        settled: those that were given an outcome.
        settlements_lost: those whose outcome didn't reach the peer, so that they come again.
        buffered: those that weren't handed out yet.
        unsettled: those that were handed out, and aren't settled.
    """

    received: int = 0
    settled: int = 0
    settlements_lost: int = 0
    buffered: int = 0
    unsettled: int = 0


@dataclass(slots=True)
class ConnectionStats:
    """What a connection has done.

    Attributes:
        attempts: how often it was tried to connect.
        senders: senders that are open.
        receivers: receivers that are open.
        sent: the counters of all its senders together, closed ones included.
        received: the counters of all its receivers together, closed ones included.
    """

    attempts: int
    senders: int
    receivers: int
    sent: SenderStats
    received: ReceiverStats


def add(total: T, more: T) -> None:
    """Add counters to others."""
    for each in fields(more):
        setattr(total, each.name, getattr(total, each.name) + getattr(more, each.name))
