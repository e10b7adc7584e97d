"""Claims-based security (AMQP CBS draft 0): the lifetime of a connection's token at the node `$cbs`.

`TokenClaim` knows the token's state, and `TokenKeeper` what to do about it, and when. A token's expiry is a time
of the calendar, so the wall clock (`wall`, seconds since 1970) is an argument beside the monotonic `now`.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .. import codec
from ..engine import Cause
from .masking import masked
from .requests import CBS_FIELDS, MANAGEMENT_FIELDS, Request, RequestNode, RequestState

CBS_NODE = "$cbs"

# The CBS draft's fields are looked for first.
_STATUS_FIELDS = (CBS_FIELDS[0], MANAGEMENT_FIELDS[0])
_DESCRIPTION_FIELDS = (CBS_FIELDS[1], MANAGEMENT_FIELDS[1])


REFRESH_PART = 0.1
"""The last part of a token's lifetime, in which it is renewed if no window was given."""

REFRESH_PAUSE = 30.0
"""Seconds until a new token is requested again, if the last request didn't return a new one."""

_SHORTEST_PAUSE = 1.0


class TokenStatus(enum.Enum):
    """The states of a token."""

    IDLE = "idle"
    """No token has been put yet."""
    IN_PROGRESS = "in progress"
    OK = "ok"
    REFRESH_REQUIRED = "refresh required"
    EXPIRED = "expired"
    TIMEOUT = "timeout"
    """The node didn't answer in time."""
    ERROR = "error"
    """The node refused the token, or there was no answer: `TokenClaim.refusal` says why."""
    FAILURE = "failure"
    """The links to the node are gone, or were never there, and there is no valid token."""


@dataclass(slots=True, frozen=True)
class Token:
    """A token, as it goes to the node.

    Attributes:
        token: the token itself; never shown.
        kind: its type, such as jwt.
        audience: what the token is for.
        expires_at: seconds since 1970.
        refresh_window: seconds before its expiry in which it is renewed; 0 for the last tenth of its remaining life.
    """

    token: str
    kind: str
    audience: str
    expires_at: float
    refresh_window: float = 0

    def __repr__(self) -> str:
        return f"Token(kind={self.kind!r}, audience={masked(self.audience)!r}, expires_at={self.expires_at!r})"

    def encode(self, number: int) -> bytes:
        """Return the put-token request."""
        out = bytearray(codec.Properties(message_id=codec.ULong(number)).encode())
        codec.append_section_header(out, codec.APPLICATION_PROPERTIES)
        codec.append_value(out, {"name": self.audience, "operation": "put-token", "type": self.kind})
        codec.append_section_header(out, codec.VALUE)
        codec.append_value(out, self.token)
        return bytes(out)


def shared_access_signature(key: bytes, scope: bytes, key_name: bytes, expires_at: int, wall: float) -> bytes:
    """Return a shared access signature: ``SharedAccessSignature sr=..&sig=..&se=..&skn=..``.

    Args:
        key: the key itself.
        scope: what the signature is for, quoted as in a URL.
        key_name: the key's name, likewise.
        expires_at: when the signature expires, in seconds since 1970.
        wall: the time, likewise.

    Raises:
        ValueError: it would have expired already.
    """
    if expires_at <= wall:
        raise ValueError("Generated invalid SAS token: the time it is to be valid until has passed.")
    until = str(int(expires_at)).encode("ascii")
    digest = base64.b64encode(hmac.new(key, scope + b"\n" + until, hashlib.sha256).digest())
    signature = digest.replace(b"+", b"%2b").replace(b"/", b"%2f").replace(b"=", b"%3d")
    return b"SharedAccessSignature sr=%b&sig=%b&se=%b&skn=%b" % (scope, signature, until, key_name)


@dataclass(slots=True, frozen=True)
class Refusal:
    """Why a token isn't valid.

    Attributes:
        status: the node's status; 0 if it gave none.
        description: the node's description, or ours if it gave none.
    """

    status: int
    description: str


class TokenClaim:
    """The token of one connection, from the first put-token on. During a renewal, the previous token stays valid.

    Args:
        node: the node, whose links may be opened again.
        timeout: seconds that the node may take to answer; 0 for no limit.

    Attributes:
        asked: the token that was put most recently; None before the first.
        on_answer: called when the node has answered, or won't; None for no call.
        refusal: why the latest put-token failed; None if it didn't.
    """

    def __init__(self, node: RequestNode, timeout: float) -> None:
        self.asked: Token | None = None
        self.on_answer: Callable[[], None] | None = None
        self.refusal: Refusal | None = None
        self._node = node
        self._timeout = timeout
        self._request: Request | None = None
        self._token: Token | None = None  # the valid one
        self._window = 0.0
        self._not_before = 0.0  # wall time of the next refresh, after one without a new token
        self._timed_out = False

    def put(self, token: Token, now: float) -> None:
        """Send a token to the node, over new links if the old ones are gone.

        Raises:
            LocalProtocolError: the session of the links has ended.
        """
        if self._request is not None and self._node.links is not None:
            self._node.links.forget(self._request)
        links = self._node.open(now)
        deadline = now + self._timeout if self._timeout else None
        self.asked = token
        self._timed_out = False
        self._request = links.request(token.encode, deadline, _STATUS_FIELDS, _DESCRIPTION_FIELDS)
        self._request.on_done = self.on_answer

    def postpone(self, wall: float) -> None:
        """Request a token again later, before the current one expires: the last request returned the current one."""
        token = self._token
        if token is not None:
            left = token.expires_at - wall
            self._not_before = wall + max(_SHORTEST_PAUSE, min(REFRESH_PAUSE, left / 4))

    def is_in_force(self, wall: float) -> bool:
        """Return whether the node has accepted a token that hasn't expired."""
        return self._token is not None and wall < self._token.expires_at

    def status(self, now: float, wall: float) -> TokenStatus:
        """Return the state of the token."""
        request, links = self._request, self._node.links
        if request is not None and links is not None:
            links.expire(now)
            if request.done:
                self._request = None
                self._finish(request, wall)
            else:
                return TokenStatus.IN_PROGRESS
        is_over = links is not None and links.is_over
        if is_over and (self._token is None or (self.refusal is not None and not self.is_in_force(wall))):
            return TokenStatus.FAILURE  # links that are lost during or after a token's validity are opened again
        if self._timed_out:
            return TokenStatus.TIMEOUT
        if self.refusal is not None:
            return TokenStatus.ERROR
        token = self._token
        if token is None:
            return TokenStatus.IDLE
        if wall >= token.expires_at:
            return TokenStatus.EXPIRED
        if wall >= token.expires_at - self._window and wall >= self._not_before:
            return TokenStatus.REFRESH_REQUIRED
        return TokenStatus.OK

    def is_overdue(self, now: float) -> bool:
        """Return whether the answer is late. It may have arrived unread: read before asking for `status`."""
        request = self._request
        return request is not None and not request.done and request.deadline is not None and request.deadline <= now

    def is_due(self, wall: float) -> bool:
        """Return whether it is time for a first or new token, and no token awaits its answer."""
        token = self._token
        if self._request is not None or token is None:
            return self._request is None
        return wall >= token.expires_at or wall >= max(token.expires_at - self._window, self._not_before)

    def next_look(self, now: float, wall: float) -> float | None:
        """Return the seconds after which `status` changes without an event, at the latest; None if it doesn't."""
        if self._request is not None:
            deadline = self._request.deadline
            return None if deadline is None else max(0.0, deadline - now)
        token = self._token
        if token is None:
            return None
        due = max(token.expires_at - self._window, self._not_before)
        return max(0.0, (due if wall < due else token.expires_at) - wall)

    def _finish(self, request: Request, wall: float) -> None:
        token = self.asked
        self.refusal = None
        if request.state is RequestState.TIMED_OUT:
            self._timed_out = True
        elif request.state is RequestState.FAILED:
            text = request.cause.message if request.cause is not None else "there was no answer"
            self.refusal = Refusal(0, text)
        elif request.status is None:
            self.refusal = Refusal(0, f"the answer of {self._node.node} has no status")
        elif not 200 <= request.status < 300:
            self.refusal = Refusal(request.status, request.description)
        elif token is not None:
            self._token = token
            left = max(0.0, token.expires_at - wall)
            self._window = min(token.refresh_window, left / 2) if token.refresh_window else REFRESH_PART * left
            self._not_before = 0.0


class TokenStep(enum.Enum):
    """What the caller has to do about a token."""

    NOTHING = "nothing"
    """Nothing: it is valid, or awaits its answer, or somebody else takes care of it."""
    PUT = "put"
    """Pass the current token to `TokenKeeper.put`: it is the first, or was refused and hasn't expired."""
    RENEW = "renew"
    """Get a new one and pass it to `put`; the old one is still valid."""
    REPLACE = "replace"
    """Likewise, but the old one has expired, and nothing may be sent before the new one is valid."""
    WAIT = "wait"
    """Ask again in `TokenKeeper.back_off` seconds: it was refused."""
    TIMED_OUT = "timed out"
    """Give up: the node didn't answer in time."""
    REFUSED = "refused"
    """Give up: the node has refused it as often as the policy allows; `TokenKeeper.refusal` says why."""
    LOST = "lost"
    """Give up: the links to the node are gone, or were never there, and no token is valid. See `TokenKeeper.cause`."""


_STEPS = {
    TokenStatus.IDLE: TokenStep.PUT,
    TokenStatus.REFRESH_REQUIRED: TokenStep.RENEW,
    TokenStatus.EXPIRED: TokenStep.REPLACE,
    TokenStatus.TIMEOUT: TokenStep.TIMED_OUT,
    TokenStatus.FAILURE: TokenStep.LOST,
}


_GIVEN_UP = (TokenStep.TIMED_OUT, TokenStep.REFUSED, TokenStep.LOST)


class TokenPolicy(Protocol):
    """What to do about a refused token."""

    @property
    def retries(self) -> float:
        """The number of times it is put again."""

    @property
    def backoff(self) -> float:
        """Seconds between two tries."""


class TokenKeeper:
    """Keeps a token valid: says what to do for that, and when to ask again.

    Tokens come from the application, which may take a while to get one. So the keeper doesn't get them itself: whoever
    drives a connection asks for a `step` before and after waiting, and does what it says; the wait ends at the keeper's
    deadline, which is one of the connection's. The first token is PUT, and the node answers (NOTHING) or doesn't
    (TIMED_OUT). When the last part of a token's lifetime begins, a new one is requested (RENEW); the old one counts
    until the new one is granted or the old one expires (REPLACE). If the new one turns out to be the old one, the
    request is repeated later. A refused token is put again (PUT, or RENEW if it has expired by then) after a pause
    (WAIT), a few times (REFUSED). Lost links are opened again, unless no token was ever granted over them (LOST).

    Many callers may drive a connection: a caller that was told to do something is responsible until `leave`, and the
    others have NOTHING to do meanwhile. Callers that wait for something of their own needn't poll: `on_due` is called
    when one of them should ask.

    Args:
        node: the node `$cbs` of the session to which the token's links belong.
        policy: what to do about a refused token.
        timeout: seconds that the node may take to answer; 0 for no limit.

    Attributes:
        claim: the state of the token.
        on_due: called when somebody should ask for a `step`, as `is_due` says from then on; None for no call.
        refusals: number of refusals since a token was last valid.
    """

    def __init__(self, node: RequestNode, policy: TokenPolicy, timeout: float = 0.0) -> None:
        self.claim = TokenClaim(node, timeout)
        self.claim.on_answer = self._call
        self.on_due: Callable[[], None] | None = None
        self.refusals = 0
        self._node = node
        self._timers = node.session.connection.timers
        self._policy = policy
        self._deadline: float | None = None
        self._again_at: float | None = None  # when the refused token is put again
        self._is_early = False  # whether there is time for another request if it returns the old token
        self._at_it: object | None = None  # the caller that was told to do something
        self._awaited = False  # whether others wait for the result
        self._is_due = False

    @property
    def refusal(self) -> Refusal | None:
        """Why the latest token was refused; None if it wasn't."""
        return self.claim.refusal

    @property
    def cause(self) -> Cause | None:
        """Why the links to the node were lost; None if they weren't."""
        return self._node.links.cause if self._node.links is not None else None

    def is_in_force(self, wall: float) -> bool:
        """Return whether the node has accepted a token that hasn't expired."""
        return self.claim.is_in_force(wall)

    def is_due(self, wall: float) -> bool:
        """Return whether somebody should ask for a `step`: there is something to do, and nobody does it."""
        return self._at_it is None and (self._is_due or self.claim.is_due(wall))

    def is_overdue(self, now: float) -> bool:
        """Return whether the answer is late. It may have arrived unread: read before asking for `step`."""
        return self.claim.is_overdue(now)

    def back_off(self, now: float) -> float:
        """Return the seconds until a refused token is put again."""
        return 0.0 if self._again_at is None else max(0.0, self._again_at - now)

    def open(self, now: float) -> None:
        """Open the links to the node, which `put` would do as well.

        Raises:
            LocalProtocolError: their session has ended.
        """
        self._node.open(now)

    def close(self, now: float) -> None:
        """Close the links to the node: the connection doesn't need a token any more."""
        self._timers.forget(self)
        self._node.close(now)

    def occupy(self, who: object) -> None:
        """Make a caller responsible until `leave`, as if a `step` had told it to do something."""
        self._at_it = who

    def leave(self, who: object | None, successor: object | None = None) -> bool:
        """End a caller's responsibility. Return whether others wait for the result, and have to look again.

        Args:
            who: the caller; nothing happens if somebody else is responsible.
            successor: who is responsible from now on, such as a task that gets a token; None if nobody is.
        """
        if self._at_it != who:
            return False
        awaited, self._awaited = self._awaited, False
        self._at_it = successor
        self._timers.watch(self)
        if self._is_due or awaited:
            self._call()
        return awaited

    def step(self, who: object | None, now: float, wall: float) -> TokenStep:
        """Return what to do next. Unless that is NOTHING, the caller is responsible for it until `leave`.

        Args:
            who: the caller, compared by equality; None if there are no others. The responsible caller may ask again.
            now: monotonic seconds.
            wall: seconds since 1970.
        """
        status = self.claim.status(now, wall)
        if status is TokenStatus.OK:
            self.refusals = 0
            self._is_due = False
            self._look_at(self._next_look(now, wall))
            return TokenStep.NOTHING
        if self._at_it is not None and self._at_it != who:
            self._awaited = True
            return TokenStep.NOTHING
        step = self._next(status, now, wall)
        self._is_due = step in _GIVEN_UP  # everyone who waits has to be told
        if step is not TokenStep.NOTHING:
            self._at_it = who
        if step in (TokenStep.PUT, TokenStep.RENEW, TokenStep.REPLACE):
            self._look_at(now)  # in case the caller doesn't do it
        else:
            self._look_at(self._again_at if step is TokenStep.WAIT else self._next_look(now, wall))
        return step

    def put(self, token: Token, now: float, wall: float, *, is_new: bool = True) -> None:
        """Send a token to the node, as requested by `step`.

        Args:
            token: the token.
            now: monotonic seconds.
            wall: seconds since 1970.
            is_new: whether it differs from the one put before. If not, and that one is still valid, it isn't put, and
                RENEW follows again later.

        Raises:
            ValueError: it has expired.
            LocalProtocolError: the session of the token's links has ended.
        """
        if self._is_early and not is_new:
            self.claim.postpone(wall)
        elif token.expires_at <= wall:
            raise ValueError("Token has expired")
        else:
            self.claim.put(token, now)
            self._again_at = None
        self._look_at(self._next_look(now, wall))

    # -- for the connection's timers

    def next_deadline(self) -> float | None:
        """Return when to ask for `step` again, in monotonic seconds; None if not before something happens."""
        return self._deadline if self._at_it is None else None

    def expire(self, now: float) -> None:
        """Handle the deadline: somebody who waits should ask for a `step`."""
        self._deadline = None
        self._call()

    def _call(self) -> None:
        """Request that somebody ask for a `step`."""
        self._is_due = True
        if self.on_due is not None and self._at_it is None:
            self.on_due()

    def _look_at(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._timers.watch(self)

    def _next(self, status: TokenStatus, now: float, wall: float) -> TokenStep:
        self._is_early = status is TokenStatus.REFRESH_REQUIRED
        if status is TokenStatus.ERROR:
            return self._after_refusal(now, wall)
        return _STEPS.get(status, TokenStep.NOTHING)

    def _after_refusal(self, now: float, wall: float) -> TokenStep:
        if self._again_at is None:
            if self.refusals >= self._policy.retries:
                return TokenStep.REFUSED
            self.refusals += 1
            self._again_at = now + self._policy.backoff
        if now < self._again_at:
            return TokenStep.WAIT
        refused = self.claim.asked
        return TokenStep.RENEW if refused is not None and refused.expires_at <= wall else TokenStep.PUT

    def _next_look(self, now: float, wall: float) -> float | None:
        look = self.claim.next_look(now, wall)
        return None if look is None else now + look
