"""What is half done on a connection: for exceptions out of signal handlers, for handlers that call, and for forks.

A signal handler runs between any two bytecodes of the main thread, and what it raises comes out there: between a system
call and its bookkeeping, too. So whoever changes a connection's state in steps says so before and after. Imports the
standard library.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import FrameType, TracebackType

from ..engine import LocalProtocolError

_logger = logging.getLogger(__name__)

_PACKAGE = __name__.partition(".")[0] + "."

_getframe = sys._getframe


def _own_frames() -> int:
    """Return how many frames a call of this module has: one, or none where it is compiled."""
    return int(_getframe().f_globals is globals())


_CALLER = _own_frames()
"""What `sys._getframe` is given for the frame of the caller."""


def is_handlers(error: BaseException) -> bool:
    """Tell whether a signal handler has raised an error: it was given the frame that comes before its own.

    What we call of the application's, such as a body's generator, isn't given ours.
    """
    traceback = error.__traceback__
    while traceback is not None and (following := traceback.tb_next) is not None:
        interrupted = traceback.tb_frame
        for value in following.tb_frame.f_locals.values():
            if value is interrupted or (type(value) is tuple and any(each is interrupted for each in value)):
                return True
        traceback = following
    return False


class ConnectionBusy(RuntimeError):
    """A signal handler, or what else runs in the middle of a step (a finalizer, the `encode_message` of a message class
    of the application's), called while the frame that it interrupts works on the connection itself.
    """


class Guard:
    """Tells whether a connection's state is half done.

    With the connection's lock held: ``with guard.step("writing"): ...``. Where an exception leaves such a step, the
    connection is given up at once; nobody knows what took place. The engine's refusals (`LocalProtocolError`) are no
    such exceptions, since they change nothing. Should an exception come before that was done, the next step finds what
    is half done, and gives the connection up then.

    Args:
        give_up: called, with the lock held, with a text that says why; afterwards the connection is over. None: what is
            half done needs nothing.
        foreign: why nothing can be done with the connection in this process; empty: it can.

    Attributes:
        half_done: what is under way, as a gerund; empty: nothing, all is booked.
        is_over: the connection was given up.
        settling: a step for one message, of which there are many; it costs less.
    """

    __slots__ = ("_deferred", "_foreign", "_frame", "_give_up", "half_done", "is_over", "settling")

    def __init__(self, give_up: Callable[[str], None] | None = None, foreign: str = "") -> None:
        self.half_done = self._foreign = foreign
        self.is_over = False
        self._frame: FrameType | None = None
        self._give_up = give_up
        self._deferred: list[Callable[[], None]] = []
        self.settling = Settling(self)

    def step(self, what: str) -> Guard:
        """Begin what ends with the `with` block that this is given to.

        Raises:
            ConnectionBusy: a step is under way in a frame that the caller has interrupted.
        """
        if self.half_done:
            self.judge()
        self._frame = _getframe(_CALLER)
        self.half_done = what
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, LocalProtocolError):
            self.broken(kind.__name__)
        self.half_done = ""
        self._frame = None
        if self._deferred and kind is None:
            self._run_deferred()

    def judge(self) -> None:
        """Somebody comes, with the lock, while something is half done: either a handler has interrupted it, or it will
        never be finished.

        Raises:
            ConnectionBusy: it goes on when the caller has returned.
        """
        if not self._foreign and self.is_in_outer_frame():
            raise ConnectionBusy(
                f"The connection is in the middle of {self.half_done}, which a signal handler, a finalizer or a "
                "message's own encoding has interrupted: it can't be used in there. Have it set a flag, or use another "
                "client."
            )
        self.broken("")

    def broken(self, kind: str) -> None:
        """Give the connection up for what is half done.

        Args:
            kind: of the exception that came in between; empty: it isn't known any more.
        """
        self.is_over = True
        by = f" by {kind}" if kind else ""
        text = (
            f"the connection was interrupted{by} while {self.half_done}; it is given up, for part of that may be done: "
            "close the client, and its next use connects anew"
        )
        if self._give_up is not None:
            self._give_up(self._foreign or text)
        self.half_done = self._foreign = ""

    def is_in_outer_frame(self) -> bool:
        """Tell whether the step that is under way belongs to a frame that the caller's has interrupted.

        Between the two there are frames of somebody else's, the handler's. Without them the caller is called by the
        step's own function, which an exception has made leave the step.
        """
        owner = self._frame
        frame: FrameType | None = _getframe(_CALLER)
        is_handler = False
        while frame is not None:
            is_ours = str(frame.f_globals.get("__name__")).startswith(_PACKAGE)
            if is_handler and (frame is owner if owner is not None else is_ours):
                return True
            is_handler = is_handler or not is_ours
            frame = frame.f_back
        return False

    def defer(self, function: Callable[[], None]) -> bool:
        """Call a function as soon as the step that is under way is done, by the frame that does it.

        For what a signal handler or finalizer wants of the connection in the middle of such a step. Returns False,
        and does nothing, if the step isn't one that the caller has interrupted.
        """
        if not self.is_in_outer_frame():
            return False
        self._deferred.append(function)
        return True

    def _run_deferred(self) -> None:
        deferred, self._deferred = self._deferred, []
        for function in deferred:
            try:
                function()
            except Exception:  # whoever wanted it has gone on
                _logger.exception("What a signal handler or finalizer wanted of a connection raised an exception.")

    def pause(self) -> Pause:
        """Return a context for calling something of the application's within a step: it may use the connection."""
        return Pause(self)


class Settling:
    """See `Guard.settling`."""

    __slots__ = ("_guard",)

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __enter__(self) -> None:
        guard = self._guard
        if guard.half_done:
            guard.judge()
        guard.half_done = "settling a message"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._guard.__exit__(kind, error, traceback)


class Pause:
    """What `Guard.pause` returns. All is booked at its beginning; if it ends with an exception, so does the step."""

    __slots__ = ("_frame", "_guard", "_half_done")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._half_done = guard.half_done
        self._frame = guard._frame

    def __enter__(self) -> str:
        """Return what is half done."""
        self._guard.half_done = ""
        return self._half_done

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._guard._frame = self._frame
        self._guard.half_done = self._half_done
