"""Claims-based security for asyncio clients."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from ..vocabulary import compat
from ..vocabulary.callbacks import is_coroutine_function
from ..vocabulary.settings import SessionKeywords, Unpack
from .tokens import Authenticator, CBSAuthMixin, JWTTokenAuth, SASTokenAuth

__all__ = ["CBSAsyncAuthMixin", "JWTTokenAsync", "SASTokenAsync", "is_coroutine"]

if TYPE_CHECKING:
    from ...core import TokenKeeper
    from ..endpoints.connection import Connection

_logger = logging.getLogger("uamqp.authentication.cbs_auth_async")  # as in 1.6


def is_coroutine(get_token: Any) -> bool:
    """Return whether a callable is a coroutine function, or a `functools.partial` of one."""
    return is_coroutine_function(get_token)


def _end(renewal: object, keeper: TokenKeeper | None, connection: Connection | None) -> None:
    """Wake those who wait for the renewal, which is over, if the connection is still in use."""
    if keeper is not None and connection is not None:
        connection._driver.call_out(lambda: keeper.leave(renewal))
        connection._driver.interrupt()


class CBSAsyncAuthMixin(CBSAuthMixin):
    """The authentication of a connection driven by an event loop; `update_token` is a coroutine function.

    A token is renewed by its own task, so that messages flow meanwhile.
    """

    __module__ = "uamqp.authentication.cbs_auth_async"

    _renewal: Any = None  # the task that renews the token

    @property
    def loop(self) -> Any:
        """Always None: the object uses the loop in which its coroutines are awaited.

        Raises:
            AttributeError: there is no authenticator.
        """
        if self._cbs_auth is None:
            raise AttributeError("There is no loop before there is an authenticator.")
        return None

    async def create_authenticator_async(
        self, connection: Connection, debug: bool = False, loop: Any = None, **kwargs: Unpack[SessionKeywords]
    ) -> Authenticator:
        """Begin the session of the token's links, and connect; see `CBSAuthMixin.create_authenticator`."""
        return await self._do_create_authenticator(connection, debug=debug, **kwargs)

    async def close_authenticator_async(self) -> None:
        """Detach the token's links and end their session; only the first call counts."""
        await self._do_close_authenticator()

    async def handle_token_async(self) -> tuple[bool, bool]:
        """Take a step towards a valid token; see `CBSAuthMixin.handle_token`."""
        return await self._do_handle_token()

    async def _do_close_authenticator(self) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None and not renewal.get_loop().is_closed():
            renewal.cancel()
        await super()._do_close_authenticator()

    async def _renewed(self) -> bool:
        from ...transport.asyncio.pump import is_in_loop, spawn  # noqa: PLC0415 (blocking clients don't need asyncio)

        connection = self._connection
        if not is_in_loop() or connection is None or self._cbs_auth is None:
            await self._update()
            return True
        if self._renewal is None:
            self._renewal = spawn(self._update())
            reference, keeper = weakref.ref(connection), weakref.ref(self._cbs_auth.keeper)  # keeps no client alive
            self._renewal.add_done_callback(lambda renewal: _end(renewal, keeper(), reference()))
            return False
        if not self._renewal.done():
            return False
        renewal, self._renewal = self._renewal, None
        renewal.result()
        return True

    def _renewing(self) -> object | None:
        renewal: Any = self._renewal
        is_under_way = renewal is not None and not renewal.done() and not renewal.get_loop().is_closed()
        task: object | None = renewal if is_under_way else None
        return task

    async def _update(self) -> None:
        """Call `update_token`, within `timeout`."""
        from ...transport.asyncio.protocol import within  # noqa: PLC0415 (as above)
        from ...transport.asyncio.pump import is_in_loop  # noqa: PLC0415

        if not is_in_loop():
            await self.update_token()
            return
        try:
            await within(self.update_token(), self.timeout)
        except TimeoutError as error:
            raise compat.TimeoutException(f"Authorization timeout. There was no new token: {error}") from error


class SASTokenAsync(SASTokenAuth, CBSAsyncAuthMixin):
    """A shared access signature as token, for asyncio clients. Arguments as for `SASTokenAuth`."""

    __module__ = "uamqp.authentication.cbs_auth_async"

    async def update_token(self) -> None:
        """Make a new signature with the lifetime of the previous one.

        Raises:
            TokenExpired: there is no key for it.
        """
        self._sign()


class JWTTokenAsync(JWTTokenAuth, CBSAsyncAuthMixin):
    """A token returned by a coroutine function of your own. Arguments as for `JWTTokenAuth`.

    `get_token` is a coroutine function, or a `functools.partial` of one. It may take up to `timeout` seconds.
    """

    __module__ = "uamqp.authentication.cbs_auth_async"

    @staticmethod
    def _checked(get_token: Any) -> Any:
        if not is_coroutine_function(get_token):
            raise ValueError("get_token must be a coroutine function")
        return get_token

    async def update_token(self) -> None:
        """Await `get_token`, whose exceptions propagate."""
        self._take_result(await self.get_token())
