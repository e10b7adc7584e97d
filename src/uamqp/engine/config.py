"""The settings of an engine."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codec import Open, Symbol
from .errors import LocalProtocolError
from .limits import MIN_MAX_FRAME_SIZE, Limits
from .sasl import Mechanism

MAX_UINT = 0xFFFFFFFF


class Role(enum.Enum):
    """The side of the connection that an engine plays."""

    CLIENT = "client"
    """Speaks first: header, SASL, open."""
    SERVER = "server"
    """Answers."""


@dataclass(slots=True)
class EngineConfig:
    """Settings of one connection.

    Attributes:
        container_id: our name on the wire (open.container-id).
        role: client or server.
        hostname: the virtual host asked for (open.hostname); None leaves it out.
        max_frame_size: largest frame in bytes that we accept; at least 512. If `limits.frame_size` is smaller, it takes
            precedence, and is what the peer is told.
        channel_max: highest channel number that we accept, 0 to 65535.
        idle_timeout: seconds, announced to the peer in whole milliseconds, within which it must send a frame. After
            twice that time without one, the connection is ended (section 2.4.5). None means never.
        heartbeat_ratio: the fraction of the peer's own idle-time-out after which we send an empty frame if we have
            sent nothing else; between 0 and 1, exclusive.
        properties: connection properties (open.properties).
        offered_capabilities, desired_capabilities: extensions (open).
        mechanisms: client: the SASL mechanisms to use, best first; empty for no SASL layer.
        server_mechanisms: server: the names of the mechanisms to offer; empty for no SASL layer.
        tls_port: client: whether unencrypted bytes go to a port that is assigned to TLS, which then explains a peer's
            silence.
        sasl_required: server: whether to refuse a client that starts without a SASL layer.
        handshake_timeout: seconds from the start to the peer's open.
        link_timeout: seconds that a begin, attach, detach or end of ours may stay unanswered.
        close_timeout: seconds that our close may stay unanswered.
        limits: bounds on whatever the peer determines the size of.

    Raises:
        LocalProtocolError: a value is out of range.
    """

    container_id: str
    role: Role = Role.CLIENT
    hostname: str | None = None
    max_frame_size: int = 65536
    channel_max: int = 65535
    idle_timeout: float | None = None
    heartbeat_ratio: float = 0.5
    properties: Mapping[Symbol, Any] | None = None
    offered_capabilities: Sequence[Symbol] = ()
    desired_capabilities: Sequence[Symbol] = ()
    mechanisms: Sequence[Mechanism] = ()
    server_mechanisms: Sequence[str] = ()
    tls_port: bool = False
    sasl_required: bool = True
    handshake_timeout: float = 30.0
    link_timeout: float = 30.0
    close_timeout: float = 5.0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.container_id:
            raise LocalProtocolError("container_id must not be empty")
        _check("max_frame_size", self.max_frame_size, MIN_MAX_FRAME_SIZE, MAX_UINT)
        _check("channel_max", self.channel_max, 0, 65535)
        if self.idle_timeout is not None:
            _check("idle_timeout", self.idle_timeout, 0.001, MAX_UINT / 1000)
        if not 0 < self.heartbeat_ratio < 1:
            raise LocalProtocolError(f"heartbeat_ratio must be above 0 and below 1, not {self.heartbeat_ratio!r}")
        for name in ("handshake_timeout", "link_timeout", "close_timeout"):
            _check(name, getattr(self, name), 0, float("inf"))

    def open(self, max_frame_size: int) -> Open:
        """Return our open performative (section 2.7.1)."""
        idle = self.idle_timeout
        return Open(
            self.container_id,
            self.hostname,
            max_frame_size,
            self.channel_max,
            max(1, round(idle * 1000)) if idle is not None else None,
            (),
            (),
            tuple(self.offered_capabilities),
            tuple(self.desired_capabilities),
            dict(self.properties) if self.properties else None,
        )


def _check(name: str, value: float, minimum: float, maximum: float) -> None:
    if not minimum <= value <= maximum:
        raise LocalProtocolError(f"{name} must be from {minimum} to {maximum}, not {value!r}")
