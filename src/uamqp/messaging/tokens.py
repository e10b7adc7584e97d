"""`ConnectionToken`: puts a connection's token to `$cbs`, and renews it in time."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from ..core import CBS_NODE, ConnectionCore, RequestNode, SessionCore, TokenKeeper, TokenStatus, TokenStep
from ..engine import LocalProtocolError
from ..transport.driver import Driver
from ..transport.sansio.clock import wall
from ..transport.signals import Signal
from .errors import AMQPError, AuthenticationFailed, OperationTimeout
from .sessions import WINDOW

if TYPE_CHECKING:
    from .credentials import Cbs

_logger = logging.getLogger("uamqp.connection")


PAUSE = 5.0
"""Seconds until a renewal that failed is tried again."""

_GIVEN_UP = (TokenStep.TIMED_OUT, TokenStep.LOST, TokenStep.REFUSED)


class _Patience:
    """What `TokenKeeper` does about a refused token: the first is refused for good, a renewal is tried again."""

    def __init__(self) -> None:
        self.retries = 0.0
        self.backoff = PAUSE


class ConnectionToken:
    """Keeps the token of one connection valid.

    Args:
        core: the connection.
        driver: drives it.
        cbs: where tokens come from.
        seconds: how long the node may take to answer.
    """

    def __init__(self, core: ConnectionCore, driver: Driver, cbs: Cbs, seconds: float) -> None:
        self._core = core
        self._driver = driver
        self._cbs = cbs
        self._seconds = seconds
        self._patience = _Patience()
        self._answered = Signal()
        self._token_text = ""
        self._again_at: float | None = None
        self._is_again = False
        self._keeper = TokenKeeper(
            RequestNode(SessionCore(core, incoming_window=WINDOW), CBS_NODE), self._patience, seconds
        )
        core.keeper = self._keeper

    async def put_first(self) -> None:
        """Put the first token, and wait until the node has accepted it, or the connection has ended.

        Raises:
            AuthenticationFailed: there is no token, or it was refused.
            OperationTimeout: the node doesn't answer.
        """
        keeper, driver = self._keeper, self._driver
        keeper.on_due = self._answered.fire
        await self._put(is_first=True)
        is_there = await driver.wait(
            self._answered,
            lambda: keeper.claim.status(driver.time(), wall()) is not TokenStatus.IN_PROGRESS,
        )
        if not is_there:
            return
        step = self._step()
        if step is not TokenStep.NOTHING:
            raise self._failure(step)
        self._patience.retries = math.inf
        keeper.on_due = self._renew_soon

    def _step(self) -> TokenStep:
        return self._driver.change("looking at the token", lambda now: self._keeper.step(self, now, wall()))

    async def _put(self, *, is_first: bool = False) -> None:
        token = await self._cbs.token(self._driver.off_loop)
        is_new, self._token_text = token.token != self._token_text, token.token

        def put(now: float) -> bool:
            is_valid = token.expires_at > wall()
            if is_valid:
                self._keeper.put(token, now, wall(), is_new=is_new or is_first)
            return is_valid

        if not self._driver.command("putting a token", put):
            raise AuthenticationFailed("the token has expired already", is_temporary=True)

    def _failure(self, step: TokenStep) -> AMQPError:
        if step is TokenStep.TIMED_OUT:
            return OperationTimeout(f"{CBS_NODE} hasn't answered within {self._seconds:g} seconds")
        refusal = self._keeper.refusal
        if refusal is None:
            return AuthenticationFailed(f"there are no links to {CBS_NODE}, to which the token has to be put")
        status = f" (status {refusal.status})" if refusal.status else ""
        return AuthenticationFailed(f"the token was refused{status}", description=refusal.description)

    # -- renewal

    def _renew_soon(self) -> None:
        """Look after the token in the background. The lock is held."""
        self._keeper.occupy(self)
        self._driver.spawn(self._renew)

    async def _renew(self) -> None:
        """Do what is to be done about the token, if anything."""
        is_again, self._is_again = self._is_again, False
        if self._core.is_over:
            return
        try:
            step = self._step()
            if step in _GIVEN_UP and not is_again:
                raise self._failure(step)
            if step not in (TokenStep.NOTHING, TokenStep.WAIT):
                await self._put()
        except (AMQPError, LocalProtocolError) as error:
            _logger.warning("The connection's token isn't renewed; it is tried again soon: %s", error)
            self._driver.command("waiting to renew the token", self._pause)
            return
        self._driver.change("looking at the token", lambda now: self._keeper.leave(self))

    def _pause(self, now: float) -> None:
        self._again_at = now + PAUSE
        self._core.timers.watch(self)

    # -- for the connection's timers

    def next_deadline(self) -> float | None:
        """Return when to try again, in monotonic seconds; None if there is nothing to try."""
        return self._again_at

    def expire(self, now: float) -> None:
        """Try again."""
        self._again_at, self._is_again = None, True
        self._renew_soon()
