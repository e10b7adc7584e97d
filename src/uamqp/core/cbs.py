"""Claims-based security (AMQP CBS draft 0): the life of a connection's token at the node `$cbs`.

A token's end is a time of the calendar, so the wall clock (`wall`, seconds since 1970) is an argument beside the
monotonic `now`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .. import codec
from .masking import masked
from .requests import DESCRIPTION_FIELDS, STATUS_FIELDS, Request, RequestLinks, RequestState

CBS_NODE = "$cbs"

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
        links: to the node; they can be replaced when they are over.
        timeout: seconds that the node may take to answer; 0: any time.

    Attributes:
        refusal: why the last put-token failed; None while it didn't.
    """

    def __init__(self, links: RequestLinks, timeout: float) -> None:
        self.links = links
        self.refusal: Refusal | None = None
        self._timeout = timeout
        self._request: Request | None = None
        self._sent: Token | None = None  # what the request is about
        self._token: Token | None = None  # what is in force
        self._window = 0.0
        self._not_before = 0.0  # no refresh before then (wall): the last token asked for was no new one
        self._timed_out = False

    def put(self, token: Token, now: float) -> None:
        """Send a token to the node, over `links`: whoever puts a token sees to it that they aren't over."""
        if self._request is not None:
            self.links.forget(self._request)
        deadline = now + self._timeout if self._timeout else None
        self._sent = token
        self._timed_out = False
        # Those of the CBS draft are looked for first.
        self._request = self.links.request(token.encode, deadline, STATUS_FIELDS[::-1], DESCRIPTION_FIELDS[::-1])

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
        request = self._request
        if request is not None:
            self.links.expire(now)
            if request.done:
                self._request = None
                self._finish(request, wall)
            else:
                return TokenStatus.IN_PROGRESS
        if self.links.is_over and (self._token is None or (self.refusal is not None and not self.is_in_force(wall))):
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
        token, self._sent = self._sent, None
        self.refusal = None
        if request.state is RequestState.TIMED_OUT:
            self._timed_out = True
        elif request.state is RequestState.FAILED:
            text = request.cause.message if request.cause is not None else "there was no answer"
            self.refusal = Refusal(0, text)
        elif request.status is None:
            self.refusal = Refusal(0, f"the answer of {self.links.node} has no status")
        elif not 200 <= request.status < 300:
            self.refusal = Refusal(request.status, request.description)
        elif token is not None:
            self._token = token
            left = max(0.0, token.expires_at - wall)
            self._window = min(token.refresh_window, left / 2) if token.refresh_window else REFRESH_PART * left
            self._not_before = 0.0
