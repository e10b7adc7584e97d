"""What the peer says of itself: of its container, and of its end of a link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..codec import Open
from ..engine import Link
from ..engine.terms import MODE_SECOND, MODE_SETTLED, MODE_UNSETTLED
from .termini import RemoteTerminus, remote_terminus

__all__ = ["RemoteLink", "RemotePeer"]


@dataclass(frozen=True, slots=True)
class RemotePeer:
    """The container at the other end of a connection, as its open describes it (section 2.7.1).

    Attributes:
        container_id: its name.
        product: what it is, such as "RabbitMQ"; empty if it doesn't say.
        version: which version of that, likewise.
        properties: all that it says of itself.
        capabilities: what it offers.
        max_frame_size: the largest frame in bytes that it accepts.
        channel_max: the highest number of a session.
        idle_timeout: seconds within which it wants to hear something; None for no limit.
    """

    container_id: str
    product: str = ""
    version: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)
    capabilities: tuple[str, ...] = ()
    max_frame_size: int = 4294967295
    channel_max: int = 65535
    idle_timeout: float | None = None

    @classmethod
    def of(cls, opened: Open) -> RemotePeer:
        """Return what an open performative says."""
        properties = _texts(opened.properties)
        idle = opened.idle_time_out
        return cls(
            opened.container_id,
            str(properties.get("product", "")),
            str(properties.get("version", "")),
            properties,
            _names(opened.offered_capabilities),
            opened.max_frame_size,
            opened.channel_max,
            None if not idle else idle / 1000,
        )


@dataclass(frozen=True, slots=True)
class RemoteLink:
    """The peer's end of a link, as its attach describes it (section 2.7.3).

    Attributes:
        source: where the messages come from; None if it names none.
        target: where they go to, likewise.
        max_message_size: the largest message in bytes that it takes; None for no limit.
        presettled: how messages are sent: settled (True), unsettled (False), or each in its own way ("mixed").
        confirms: whether the receiver of messages settles only after their sender has.
        properties: what it says of the link.
        capabilities: what it offers for the link.
    """

    source: RemoteTerminus | None = None
    target: RemoteTerminus | None = None
    max_message_size: int | None = None
    presettled: bool | str = "mixed"
    confirms: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)
    capabilities: tuple[str, ...] = ()

    @classmethod
    def of(cls, link: Link) -> RemoteLink | None:
        """Return what the peer's attach says; None as long as there is none."""
        attach = link.remote_attach
        if attach is None:
            return None
        mode = {MODE_SETTLED: True, MODE_UNSETTLED: False}.get(link.snd_settle_mode, "mixed")
        return cls(
            remote_terminus(attach.source),
            remote_terminus(attach.target),
            link.remote_max_message_size or None,
            mode,
            link.rcv_settle_mode == MODE_SECOND,
            _texts(attach.properties),
            _names(attach.offered_capabilities),
        )


def _texts(found: Mapping[Any, Any] | None) -> Mapping[str, Any]:
    return {str(key): value for key, value in (found or {}).items()}


def _names(found: Iterable[object] | None) -> tuple[str, ...]:
    return tuple(str(name) for name in found or ())
