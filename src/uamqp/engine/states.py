"""Endpoint states, and the specification's names for them.

An endpoint (connection, session, link) keeps one state for each side. The names of sections 2.4.6 (connection) and
2.5.5 (session) follow from the pair by the tables below; nothing else in the engine knows those names.
"""

from __future__ import annotations

import enum


class EndpointState(enum.IntEnum):
    """One side's state of a connection, session or link."""

    IDLE = 0
    """open, begin or attach hasn't been sent."""
    ACTIVE = 1
    """open, begin or attach was sent."""
    CLOSED = 2
    """close, end or detach was sent."""


IDLE, ACTIVE, CLOSED = EndpointState.IDLE, EndpointState.ACTIVE, EndpointState.CLOSED


class ConnectionState(enum.Enum):
    """The connection states of section 2.4.6."""

    START = "START"
    HDR_RCVD = "HDR_RCVD"
    HDR_SENT = "HDR_SENT"
    HDR_EXCH = "HDR_EXCH"
    OPEN_PIPE = "OPEN_PIPE"
    OC_PIPE = "OC_PIPE"
    OPEN_RCVD = "OPEN_RCVD"
    OPEN_SENT = "OPEN_SENT"
    CLOSE_PIPE = "CLOSE_PIPE"
    OPENED = "OPENED"
    CLOSE_RCVD = "CLOSE_RCVD"
    CLOSE_SENT = "CLOSE_SENT"
    DISCARDING = "DISCARDING"
    END = "END"


CONNECTION_STATES: dict[tuple[bool, EndpointState, EndpointState], ConnectionState] = {
    # the peer's header arrived, our state, the peer's state
    (False, IDLE, IDLE): ConnectionState.HDR_SENT,
    (False, ACTIVE, IDLE): ConnectionState.OPEN_PIPE,
    (False, CLOSED, IDLE): ConnectionState.OC_PIPE,
    (True, IDLE, IDLE): ConnectionState.HDR_EXCH,
    (True, ACTIVE, IDLE): ConnectionState.OPEN_SENT,
    (True, CLOSED, IDLE): ConnectionState.CLOSE_PIPE,
    (True, IDLE, ACTIVE): ConnectionState.OPEN_RCVD,
    (True, ACTIVE, ACTIVE): ConnectionState.OPENED,
    (True, CLOSED, ACTIVE): ConnectionState.CLOSE_SENT,
    (True, IDLE, CLOSED): ConnectionState.CLOSE_RCVD,
    (True, ACTIVE, CLOSED): ConnectionState.CLOSE_RCVD,
    (True, CLOSED, CLOSED): ConnectionState.END,
}
"""The states once our header was sent. After an error of the peer's, CLOSE_SENT is DISCARDING instead."""


def connection_state(
    header_sent: bool,
    header_received: bool,
    local: EndpointState,
    remote: EndpointState,
    *,
    failed: bool = False,
    ended: bool = False,
) -> ConnectionState:
    """Return the specification's name for a connection's state (section 2.4.6).

    Args:
        header_sent: whether our AMQP header was sent.
        header_received: whether the peer's AMQP header has arrived.
        local: our endpoint state.
        remote: the peer's endpoint state.
        failed: whether our close carried an error.
        ended: whether nothing more will be sent or read.
    """
    if ended:
        return ConnectionState.END
    if not header_sent:
        return ConnectionState.HDR_RCVD if header_received else ConnectionState.START
    state = CONNECTION_STATES[(header_received, local, remote)]
    return ConnectionState.DISCARDING if failed and state is ConnectionState.CLOSE_SENT else state
