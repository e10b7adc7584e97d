"""The helper threads of the blocking front."""

from __future__ import annotations

import threading

import pytest

from uamqp.transport.background import started


class Late(Exception):
    """What a signal handler raises."""


class Interrupted(threading.Thread):
    """As `threading.Thread` has it when a handler raises within `start`, and the thread runs already."""

    def start(self) -> None:
        try:
            raise Late
        except Late:
            del threading._limbo[self]  # type: ignore[attr-defined]
            raise


def test_what_a_handler_raises_while_a_thread_is_started() -> None:
    with pytest.raises(Late):
        started(Interrupted())
