"""Claims-based security (AMQP CBS draft 0): the life of a connection's token at the node `$cbs`.

`TokenClaim` knows where the token stands, `TokenKeeper` what is to be done about it, and when. A token's end is a time
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

# Those of the CBS draft are looked for first.
_STATUS_FIELDS = (CBS_FIELDS[0], MANAGEMENT_FIELDS[0])
_DESCRIPTION_FIELDS = (CBS_FIELDS[1], MANAGEMENT_FIELDS[1])


REFRESH_PART = 0.1
"""The part of a token's life before its end in which it is renewed, where no window was given."""

REFRESH_PAUSE = 30.0
"""Seconds until a new token is asked for again, when the last one asked for was no new one."""

_SHORTEST_PAUSE = 1.0


class TokenStatus(enum.Enum):
    """Where the token stands."""

    IDLE = "idle"
    """There is nothing at the node yet."""
    IN_PROGRESS = "in progress"
    OK = "ok"
    REFRESH_REQUIRED = "refresh required"
    EXPIRED = "expired"
    TIMEOUT = "timeout"
    """The node didn't answer in time."""
    ERROR = "error"
    """The node refused the token, or there was no answer: `TokenClaim.refusal` says why."""
    FAILURE = "failure"
    """The links to the node are gone, or never came, and there is no token in force."""


@dataclass(slots=True, frozen=True)
class Token:
    """A token, as it goes to the node.

    Fields:
        token: the token itself; never shown.
        kind: its type, such as jwt.
        audience: what it is for.
        expires_at: seconds since 1970.
        refresh_window: seconds before its end in which it is renewed; 0: the last tenth of what is left of its life.
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
        expires_at: when the signature ends, in seconds since 1970.
        wall: the time, likewise.

    Raises:
        ValueError: it would have ended by now.
    """
    if expires_at <= wall:
        raise ValueError("Generated invalid SAS token: the time it is to be valid until has passed.")
    until = str(int(expires_at)).encode("ascii")
    digest = base64.b64encode(hmac.new(key, scope + b"\n" + until, hashlib.sha256).digest())
    signature = digest.replace(b"+", b"%2b").replace(b"/", b"%2f").replace(b"=", b"%3d")
    return b"SharedAccessSignature sr=%b&sig=%b&se=%b&skn=%b" % (scope, signature, until, key_name)


@dataclass(slots=True, frozen=True)
class Refusal:
    """Why a token isn't in force.

    Fields:
        status: the node's status; 0: it gave none.
        description: in its words, or ours where it had none.
    """

    status: int
    description: str


class TokenClaim:
    """The token of one connection, from the first put-token on. While it is renewed, the one before counts.

    Args:
        node: the node, whose links may be opened anew.
        timeout: seconds that the node may take to answer; 0: any time.

    Attributes:
        asked: the token that was put last; None before the first.
        on_answer: called when the node has answered, or will not; None: nobody wants to know.
        refusal: why the last put-token failed; None while it didn't.
    """

    def __init__(self, node: RequestNode, timeout: float) -> None:
        self.asked: Token | None = None
        self.on_answer: Callable[[], None] | None = None
        self.refusal: Refusal | None = None
        self._node = node
        self._timeout = timeout
        self._request: Request | None = None
        self._token: Token | None = None  # what is in force
        self._window = 0.0
        self._not_before = 0.0  # no refresh before then (wall): the last token asked for was no new one
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
        """The token that was asked for is the one in force: ask again later, but before its end."""
        token = self._token
        if token is not None:
            left = token.expires_at - wall
            self._not_before = wall + max(_SHORTEST_PAUSE, min(REFRESH_PAUSE, left / 4))

    def is_in_force(self, wall: float) -> bool:
        """The node has accepted a token, and its time isn't over."""
        return self._token is not None and wall < self._token.expires_at

    def status(self, now: float, wall: float) -> TokenStatus:
        """Return where the token stands."""
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
            return TokenStatus.FAILURE  # links that go while a token is in force, or after it, are made anew
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
        """The time for an answer is over. It may have arrived, and wait to be read: read before asking for `status`."""
        request = self._request
        return request is not None and not request.done and request.deadline is not None and request.deadline <= now

    def is_due(self, wall: float) -> bool:
        """It is time for a first token, or a new one, and none was put that waits for its answer."""
        token = self._token
        if self._request is not None or token is None:
            return self._request is None
        return wall >= token.expires_at or wall >= max(token.expires_at - self._window, self._not_before)

    def next_look(self, now: float, wall: float) -> float | None:
        """Return in how many seconds `status` changes by itself at the latest; None: not by itself."""
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
    """What is to be done about a token, by whoever has asked."""

    NOTHING = "nothing"
    """It is in force, or an answer is awaited, or somebody else is at it."""
    PUT = "put"
    """Give the token at hand to `TokenKeeper.put`: it is the first, or one that was refused and hasn't ended."""
    RENEW = "renew"
    """Get a new one and give it to `put`; as long as the old one is in force, it counts."""
    REPLACE = "replace"
    """Likewise; the old one has ended, and nothing is to be sent before the new one is in force."""
    WAIT = "wait"
    """It was refused. Ask again in `TokenKeeper.back_off` seconds."""
    TIMED_OUT = "timed out"
    """Given up: the node didn't answer in time."""
    REFUSED = "refused"
    """Given up: the node has refused it as often as the policy allows; `TokenKeeper.refusal` says why."""
    LOST = "lost"
    """Given up: the links to the node are gone, or never came, and no token is in force. See `TokenKeeper.cause`."""


_STEPS = {
    TokenStatus.IDLE: TokenStep.PUT,
    TokenStatus.REFRESH_REQUIRED: TokenStep.RENEW,
    TokenStatus.EXPIRED: TokenStep.REPLACE,
    TokenStatus.TIMEOUT: TokenStep.TIMED_OUT,
    TokenStatus.FAILURE: TokenStep.LOST,
}


_GIVEN_UP = (TokenStep.TIMED_OUT, TokenStep.REFUSED, TokenStep.LOST)


class TokenPolicy(Protocol):
    """What to do about a token that was refused."""

    @property
    def retries(self) -> float:
        """How often it is put again."""

    @property
    def backoff(self) -> float:
        """Seconds between two tries."""


class TokenKeeper:
    """Keeps a token in force: says what is to be done for it, and when to ask again.

    Tokens come from the application, and to get one takes its time. So the keeper gets none: whoever drives a
    connection asks for its `step` before and after it waits, and does what that says; at the keeper's deadline, which
    is one of the connection's, waiting ends. The first token is PUT, and the node answers (NOTHING) or doesn't
    (TIMED_OUT). When the last part of a token's life begins, a new one is asked for (RENEW); the old one counts until
    the new one is granted or it ends (REPLACE). A new one that turns out to be the old one is asked for again later. A
    token that is refused is put again (PUT; RENEW if it has ended by then) after a pause (WAIT), a few times
    (REFUSED). Links that are gone are opened anew, unless there never was a token over them (LOST).

    Many may drive a connection: whoever was told of something to do is at it until `leave`, and the others have
    NOTHING to do meanwhile. Those who wait for something of their own needn't ask again and again: `on_due` is called
    when one of them should.

    Args:
        node: the node `$cbs` of the session that the token's links live in.
        policy: what to do about a token that was refused.
        timeout: seconds that the node may take to answer; 0: any time.

    Attributes:
        claim: where the token stands.
        on_due: called when somebody is to ask for a `step`, which `is_due` says from then on; None: nobody waits for
            that.
        refusals: since a token was last in force.
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
        self._again_at: float | None = None  # when the token that was refused is put again
        self._is_early = False  # there is time to ask again for a token that is no new one
        self._at_it: object | None = None  # who was told of something to do
        self._awaited = False  # others wait for what comes of it
        self._is_due = False

    @property
    def refusal(self) -> Refusal | None:
        """Why the last token was refused; None if it wasn't."""
        return self.claim.refusal

    @property
    def cause(self) -> Cause | None:
        """Why the links to the node were lost; None while they weren't."""
        return self._node.links.cause if self._node.links is not None else None

    def is_in_force(self, wall: float) -> bool:
        """The node has accepted a token, and its time isn't over."""
        return self.claim.is_in_force(wall)

    def is_due(self, wall: float) -> bool:
        """Nobody is at it, and somebody is to ask for a `step`: something has happened, or it is time for a new one."""
        return self._at_it is None and (self._is_due or self.claim.is_due(wall))

    def is_overdue(self, now: float) -> bool:
        """The time for an answer is over. It may have arrived, and wait to be read: read before asking for `step`."""
        return self.claim.is_overdue(now)

    def back_off(self, now: float) -> float:
        """Return in how many seconds a token that was refused is put again."""
        return 0.0 if self._again_at is None else max(0.0, self._again_at - now)

    def open(self, now: float) -> None:
        """Open the links to the node, which `put` would do as well.

        Raises:
            LocalProtocolError: their session has ended.
        """
        self._node.open(now)

    def close(self, now: float) -> None:
        """Close the links to the node: the connection needs no token any more."""
        self._timers.forget(self)
        self._node.close(now)

    def occupy(self, who: object) -> None:
        """Say that somebody is at it, until `leave`, though nobody was told so."""
        self._at_it = who

    def leave(self, who: object | None, successor: object | None = None) -> bool:
        """Who was at it isn't any more. Tell whether others wait for what has come of it: they are to look again.

        Args:
            who: who leaves; nothing happens if somebody else is at it.
            successor: who is at it from now on, such as a task that gets a token; None: nobody.
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
        """Return what is to be done. What isn't NOTHING is for the one who asks, who is at it until `leave`.

        Args:
            who: who asks, told from others by equality; None if there are no others. Whoever is at it may ask again.
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
        self._is_due = step in _GIVEN_UP  # for each of those who wait
        if step is not TokenStep.NOTHING:
            self._at_it = who
        if step in (TokenStep.PUT, TokenStep.RENEW, TokenStep.REPLACE):
            self._look_at(now)  # if nothing comes of it
        else:
            self._look_at(self._again_at if step is TokenStep.WAIT else self._next_look(now, wall))
        return step

    def put(self, token: Token, now: float, wall: float, *, is_new: bool = True) -> None:
        """Send a token to the node, as `step` has said.

        Args:
            token: the token.
            now: monotonic seconds.
            wall: seconds since 1970.
            is_new: it isn't the one that was put before. Else it isn't put where RENEW was said while that one was in
                force: RENEW is said again later.

        Raises:
            ValueError: it has ended.
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
        """Return when to ask for `step` again, in monotonic seconds; None: not before something happens."""
        return self._deadline if self._at_it is None else None

    def expire(self, now: float) -> None:
        """The deadline has come: whoever waits is to ask for a `step`."""
        self._deadline = None
        self._call()

    def _call(self) -> None:
        """Call for somebody who asks for a `step`."""
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
