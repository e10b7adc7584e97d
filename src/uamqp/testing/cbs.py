"""The embedded broker's `$cbs`: accepts tokens, refuses them, lets them expire."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ..core import CBS_FIELDS
from .services import ServiceRequest, ServiceResponse

if TYPE_CHECKING:
    from .connection import Connection

UNAUTHORIZED = "amqp:unauthorized-access"

MAX_RECORDS = 10_000
"""Number of tokens that are remembered before the oldest are forgotten."""

MAX_IN_FORCE = 1000
"""Number of audiences for which one connection may have tokens."""

_TOPIC = "topic://"


@dataclass(slots=True, frozen=True)
class PutToken:
    """A token that a client has put.

    Attributes:
        audience: what it is for, a URI.
        type: its type, such as jwt.
        token: the token itself; not shown.
        expires_at: when it expires, in seconds since 1970, by a signature's `se` or a web token's `exp`; None for
            never.
        container_id: of the client.
    """

    audience: str
    type: str
    token: str = field(repr=False)
    expires_at: float | None
    container_id: str


Refusal = tuple[int, str]
"""A status and its description."""


class Tokens:
    """The broker's `$cbs`. Set its knobs at any time, from any thread.

    Attributes:
        put: the tokens that clients have put, including refused ones; the latest 10,000.
        required: whether links are refused without a valid token for their address or a part of the path above it, and
            detached when it expires. `$cbs` itself needs none.
        refuse: None; or the status and description with which to refuse every token; or a function that returns either
            for a `PutToken`.
        lifetime: seconds for which tokens are valid, whatever they say themselves; None for what they say.
        silent: whether to send no answers.
        delay: seconds by which to delay answers.
        status_missing: whether to answer without a status.
        wrong_correlation: whether to answer with another correlation-id.
    """

    __slots__ = ("delay", "lifetime", "put", "refuse", "required", "silent", "status_missing", "wrong_correlation")

    def __init__(self, required: bool) -> None:
        self.put: list[PutToken] = []
        self.required = required
        self.refuse: Refusal | Callable[[PutToken], Refusal | None] | None = None
        self.lifetime: float | None = None
        self.silent = False
        self.delay = 0.0
        self.status_missing = False
        self.wrong_correlation = False

    def answer(self, request: ServiceRequest, connection: Connection) -> ServiceResponse | None:
        """Handle a request."""
        status, description = self._judge(request, connection)
        if self.silent:
            return None
        response = ServiceResponse(status, description, fields=CBS_FIELDS, delay=self.delay)
        if self.status_missing:
            response.status = None
        if self.wrong_correlation:
            response.correlation_id = "another"
        return response

    def _judge(self, request: ServiceRequest, connection: Connection) -> Refusal:
        if request.operation != "put-token":
            return 400, f"there is no operation {request.operation!r}"
        audience = request.properties.get("name")
        if not isinstance(audience, str) or not audience:
            return 400, "put-token needs the application property `name`: the URI that the token is for"
        if not isinstance(request.body, str):
            return (
                400,
                f"the body of put-token is an amqp-value section with a string, not {type(request.body).__name__}",
            )
        expires_at = end_of(request.body) if self.lifetime is None else time.time() + self.lifetime
        token = PutToken(str(audience), request.type or "", request.body, expires_at, request.container_id)
        self.put.append(token)
        del self.put[:-MAX_RECORDS]
        refusal = self.refuse(token) if callable(self.refuse) else self.refuse
        if refusal is not None:
            return refusal
        if expires_at is not None and expires_at <= time.time():
            return 401, "ExpiredToken: the token has expired"
        if not self.silent and not connection.authorize(token):
            return 403, f"this connection has tokens for {MAX_IN_FORCE} audiences already"
        return 202, "Accepted"


def end_of(token: str) -> float | None:
    """Return when a token expires, by its shared access signature or JSON web token, or None if that doesn't say."""
    try:
        if token.startswith("SharedAccessSignature "):
            return float(parse_qs(token.partition(" ")[2])["se"][0])
        _, claims, _ = token.split(".")
        return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None


def covers(audience: str, name: str) -> bool:
    """Return whether a token for a URI is valid for the node of this name."""
    try:
        path = unquote(urlsplit(audience).path if "://" in audience else audience).strip("/").lower()
    except ValueError:  # not a URL after all
        return False
    name = name.removeprefix(_TOPIC).lower()
    return not path or name == path or name.startswith(f"{path}/")
