"""Records what is half done on a connection: for signal handlers that raise exceptions or make calls, and for forks.

A signal handler runs between any two bytecodes of the main thread, and an exception from it appears right there, even
between a system call and its bookkeeping. So code that changes a connection's state in steps says so before and after.
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
"""The argument of `sys._getframe` that stands for the caller's frame."""


def is_handlers(error: BaseException) -> bool:
    """Return whether a signal handler raised an error. A handler is given the frame that it interrupted.

    Functions of the application's that we call, such as a body's generator, aren't given ours.
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
    """A call came from the middle of a step: the frame that it interrupts is at work on the connection itself.

    Such calls come from signal handlers, finalizers, and the `encode_message` of an application's own message class.
    """


class Guard:
    """Records whether a connection's state is half done.

    With the connection's lock held: ``with guard.step("writing"): ...``. If an exception leaves such a step, the
    connection is ended at once, because nobody knows how far the step got. The engine's refusals (`LocalProtocolError`)
    don't count, since they change nothing. If a second exception prevents that, the next step finds what is half done,
    and ends the connection then.

    Args:
        give_up: ends the connection; called with the lock held and a text that says why. None if nothing has to be
            done about what is half done.
        foreign: why this process can't use the connection; empty if it can.

    Attributes:
        half_done: what is under way, as a gerund; empty if nothing is.
        is_over: whether the connection was ended for what was half done.
        settling: a cheaper step, for settling or taking a single message.
        sending: likewise, for sending one.
    """

    __slots__ = ("_deferred", "_foreign", "_frame", "_give_up", "half_done", "is_over", "sending", "settling")

    def __init__(self, give_up: Callable[[str], None] | None = None, foreign: str = "") -> None:
        self.half_done = self._foreign = foreign
        self.is_over = False
        self._frame: FrameType | None = None
        self._give_up = give_up
        self._deferred: list[Callable[[], None]] = []
        self.settling = QuickStep(self, "settling a message")
        self.sending = QuickStep(self, "sending a message")

    def step(self, what: str) -> Guard:
        """Begin a step that ends with the `with` block that this is passed to.

        Args:
            what: a gerund, for errors.

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
        self.end(kind)

    def end(self, kind: type[BaseException] | None) -> None:
        """End a step.

        Args:
            kind: the type of the exception that left it; None if none did.
        """
        if kind is not None and not issubclass(kind, LocalProtocolError):
            self.broken(kind.__name__)
        self.half_done = ""
        self._frame = None
        if self._deferred and kind is None:
            self._run_deferred()

    def judge(self) -> None:
        """Decide about something half done, found with the lock held: it was interrupted, or will never be finished.

        Raises:
            ConnectionBusy: it was interrupted by the caller, and continues when the caller has returned.
        """
        if not self._foreign and self.is_in_outer_frame():
            raise ConnectionBusy(
                f"The connection is in the middle of {self.half_done}, which a signal handler, a finalizer or a "
                "message's own encoding has interrupted: it can't be used in there. Have it set a flag, or use another "
                "client."
            )
        self.broken("")

    def broken(self, kind: str) -> None:
        """End the connection for what is half done.

        Args:
            kind: the type of the exception that interrupted it; empty if that is no longer known.
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
        """Return whether the step that is under way belongs to a frame that the caller interrupted.

        In that case frames from outside the package, the handler's, stand between the two. Without them, the caller was
        called by the step's own function, which an exception has thrown out of the step.
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
        """Let the frame at work call a function as soon as its step is done.

        For what a signal handler or finalizer asks of the connection in the middle of such a step.

        Returns:
            Whether the caller has interrupted a step; if not, the function isn't called.
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
            except Exception:  # whoever asked for it has moved on
                _logger.exception("What a signal handler or finalizer wanted of a connection raised an exception.")

    def pause(self) -> Pause:
        """Return a context in which code of the application's may use the connection in the middle of a step."""
        return Pause(self)


class QuickStep:
    """See `Guard.settling`.

    Args:
        guard: the guard.
        what: see `Guard.step`.
    """

    __slots__ = ("_guard", "_what")

    def __init__(self, guard: Guard, what: str) -> None:
        self._guard = guard
        self._what = what

    def __enter__(self) -> None:
        guard = self._guard
        if guard.half_done:
            guard.judge()
        guard.half_done = self._what

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._guard.end(kind)


class Pause:
    """The context that `Guard.pause` returns. Nothing may be half done when it begins; its exceptions end the step."""

    __slots__ = ("_frame", "_guard", "_half_done")

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._half_done = guard.half_done
        self._frame = guard._frame

    def __enter__(self) -> str:
        """Return what was half done."""
        self._guard.half_done = ""
        return self._half_done

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._guard._frame = self._frame
        self._guard.half_done = self._half_done
