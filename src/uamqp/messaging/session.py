"""`SessionBase`: a session of the program's own, for links that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..core import SessionCore

if TYPE_CHECKING:
    from .connection import ConnectionBase
    from .receiver import ReceiverBase
    from .sender import SenderBase

S = TypeVar("S", bound="SenderBase")
R = TypeVar("R", bound="ReceiverBase")


class SessionBase:
    """A session, without the operations that differ between the faces."""

    def __init__(self, connection: ConnectionBase, incoming_window: int, outgoing_window: int) -> None:
        self._connection = connection
        self._driver = connection._driver
        self._core = SessionCore(
            connection._core, incoming_window=incoming_window, outgoing_window=outgoing_window, fresh_channel=True
        )

    @property
    def is_open(self) -> bool:
        """Whether both sides have begun it, and neither has ended it."""
        return self._core.is_open and not self._core.ended

    async def _open(self) -> None:
        connection, core, driver = self._connection, self._core, self._driver

        connection._require_open()
        driver.command("beginning a session", core.open)
        try:
            # A session has no owner to tell: what happens to it is seen by looking.
            await driver.wait_for(lambda: core.is_open or core.ended)
        except BaseException:
            driver.command("giving a session up", core.end)
            raise
        if core.ended:
            raise connection._session_error(core)

    async def _open_sender(self, kind: type[S], target: Any, options: Mapping[str, Any]) -> S:
        return await self._connection._open_sender(kind, target, options, self._core)

    async def _open_receiver(self, kind: type[R], source: Any, options: Mapping[str, Any]) -> R:
        return await self._connection._open_receiver(kind, source, options, self._core)

    async def _close(self) -> None:
        """Close the links of the session in order, then end it."""
        connection, core, driver = self._connection, self._core, self._driver
        driver.steps.check_caller()
        seconds = connection._settings.timeouts.close
        try:
            await connection._close_links([link for link in connection._links if link._session is core], seconds)
        finally:
            driver.command("ending a session", core.end)
        await driver.wait_for(lambda: core.is_gone, driver.deadline(seconds))

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__}, {'open' if self.is_open else 'closed'}>"
        except AttributeError:  # it is being made
            return f"<{type(self).__name__}>"
