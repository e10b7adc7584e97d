"""What a forked child inherits: its parent's sockets, and locks that nobody will release.

The calls that send and receive check nothing: the child puts everything out of use as soon as it runs.
"""

from __future__ import annotations

import os
import socket
import weakref
from typing import Any, Protocol, TypeVar

INHERITED = "the connection belongs to process {}, of which this one is a fork: each process needs a client of its own"
"""Why a child process can't use a connection."""

_SocketT = TypeVar("_SocketT", bound=socket.socket)


class Inherited(Protocol):
    """Something that doesn't survive a fork."""

    def after_fork(self, parent: int) -> None:
        """Adapt to being in a fork of the process `parent`. No other thread is left; use no lock, and write nothing."""


_FEW = 64


class _References:
    """Weak references without callbacks, in which exceptions from signal handlers would be lost."""

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[Any]] = {}  # by `id`
        self._sweep_at = _FEW

    def add(self, item: Any) -> None:
        """Remember an item until it is gone."""
        references = self._references
        references[id(item)] = weakref.ref(item)
        if len(references) > self._sweep_at:
            for key, reference in tuple(references.items()):
                if reference() is None and references.get(key) is reference:
                    del references[key]
            self._sweep_at = 2 * len(references) + _FEW

    def items(self) -> list[Any]:
        """Return the items that still exist."""
        return [item for reference in self._references.values() if (item := reference()) is not None]


_sockets = _References()
_inherited = _References()
_process = os.getpid()


def owned(sock: _SocketT) -> _SocketT:
    """Close a socket in forked children, which would otherwise keep the parent's connection open while they run."""
    _sockets.add(sock)
    return sock


def tell(inherited: Inherited) -> None:
    """Tell an object in the child that the process was forked."""
    _inherited.add(inherited)


def _after_fork_in_child() -> None:
    global _process
    parent, _process = _process, os.getpid()
    for sock in _sockets.items():
        sock.close()  # closes just the child's copy of the number: nothing is written, and TLS isn't ended
    for inherited in _inherited.items():
        inherited.after_fork(parent)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
