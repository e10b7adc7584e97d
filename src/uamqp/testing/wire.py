"""The embedded broker's protocol: `EngineProtocol` with the knobs for bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..transport.asyncio.protocol import EngineFactory, EngineProtocol, EventHandler
from .faults import Faults, WireFaults

HELD_BYTES = 4 * 1024 * 1024
"""Bytes held back by knobs above which the connection counts as clogged."""


class BrokerProtocol(EngineProtocol):
    """One connection's bytes, with what `Faults` does to them.

    Args:
        make_engine: see `EngineProtocol`.
        handler: see `EngineProtocol`.
        on_turn: see `EngineProtocol`.
        on_lost: see `EngineProtocol`.
        faults: the broker's knobs.
        on_written: called at the end of each turn.
    """

    def __init__(
        self,
        make_engine: EngineFactory,
        handler: EventHandler,
        faults: Faults,
        *,
        on_turn: Callable[[], None],
        on_written: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        super().__init__(make_engine, handler, on_turn=on_turn, on_lost=on_lost)
        self._on_written = on_written
        self._faults = faults
        self._wire = WireFaults(faults)
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._held_timer: asyncio.Handle | None = None
        self._cut = False
        self._finish_held = False
        self._clogged = False  # by what is held back, as opposed to by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        if self._faults.refuse_connections:
            self._cut = True
            super().connection_made(transport)
            transport.close()
        else:
            super().connection_made(transport)

    def turn(self) -> None:
        """See `EngineProtocol`."""
        super().turn()
        self._on_written()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._cut:
            return
        if self._faults.on_input:
            part = self._wire.incoming(data)
            if part is not None:
                if part:
                    super().data_received(part)
                self.cut()
                return
        super().data_received(data)

    def write(self, data: bytes | bytearray) -> None:
        """Write bytes to the transport, or hold them back first."""
        if self._cut:
            return
        faults = self._faults
        if not faults.on_output and not self._held and not self._wire.mute:
            super().write(data)
            return
        kept, cut = self._wire.outgoing(bytes(data))
        due = self.loop.time() + faults.delay
        if self._held:
            due = max(due, self._held[-1][0])
        size = faults.write_size or max(1, len(kept))
        for start in range(0, len(kept), size):
            self._held.append((due, kept[start : start + size]))
        self._held_bytes += len(kept)
        if self._held_bytes > HELD_BYTES and self.writable:
            self._clogged = True
            self.writable = False
        if cut:
            self.cut()
        self._release_held()

    def finish(self) -> None:
        """Close the socket, unless a knob keeps the peer waiting: the engine is done."""
        if "close" in self._faults.silent and not self._cut:
            return
        if self._held:
            self._finish_held = True
        else:
            super().finish()

    def cut(self) -> None:
        """End the connection without a close, once what is held back is written."""
        self._cut = True
        self._finish_held = True
        self._release_held()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        self._held.clear()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        if not self._clogged:
            super().resume_writing()

    def _release_held(self) -> None:
        """Write what is due. Pieces go out one per turn of the loop, so that they stay pieces."""
        if self._held_timer is not None:
            return
        if self._held:
            due = self._held[0][0]
            if due > self.loop.time():
                self._held_timer = self.loop.call_at(due, self._write_held)
            else:
                self._held_timer = self.loop.call_soon(self._write_held)
        elif self._finish_held and self.transport is not None:
            self._finish_held = False
            super().finish()

    def _write_held(self) -> None:
        self._held_timer = None
        if self._held:
            _, data = self._held.popleft()
            self._held_bytes -= len(data)
            super().write(data)
        self._release_held()
        if self._clogged and self._held_bytes <= HELD_BYTES >> 1:
            self._clogged = False
            super().resume_writing()
