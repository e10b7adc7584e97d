"""The embedded broker's `$cbs`: takes tokens, refuses them, lets them end. Imports `services` and the codec."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from .services import CBS_FIELDS, ServiceRequest, ServiceResponse

if TYPE_CHECKING:
    from .connection import Connection

CBS_NODE = "$cbs"
UNAUTHORIZED = "amqp:unauthorized-access"


@dataclass(slots=True, frozen=True)
class PutToken:
    """A token that a client has put.

    Fields:
        audience: what it is for, a URI.
        type: its type, such as jwt.
        token: the token itself; not shown.
        expires_at: when it ends, in seconds since 1970, as a signature's `se` or a web token's `exp` says; None: never.
        container_id: of the client.
    """

    audience: str
    type: str
    token: str = field(repr=False)
    expires_at: float | None
    container_id: str


Refusal = tuple[int, str]
"""Status and description."""


class Tokens:
    """The broker's `$cbs`. Set its knobs at any time, from any thread.

    Attributes:
        put: the tokens that clients have put, those that were refused included.
        required: links are refused unless a token for their address, or for what it lies under, is in force; and
            detached when it ends. `$cbs` itself is free.
        refuse: None; or the status and description to refuse every token with; or a function from a `PutToken` to
            either.
        lifetime: seconds for which tokens are in force, in place of what they say themselves; None: what they say.
        silent: don't answer.
        status_missing: answer without a status.
        wrong_correlation: answer with another correlation-id.
    """

    def __init__(self, required: bool) -> None:
        self.put: list[PutToken] = []
        self.required = required
        self.refuse: Refusal | Callable[[PutToken], Refusal | None] | None = None
        self.lifetime: float | None = None
        self.silent = False
        self.status_missing = False
        self.wrong_correlation = False

    def answer(self, request: ServiceRequest, connection: Connection) -> ServiceResponse | None:
        """Deal with a request."""
        if request.operation != "put-token":
            return ServiceResponse(400, f"there is no operation {request.operation!r}", fields=CBS_FIELDS)
        text = request.body if isinstance(request.body, str) else ""
        expires_at = end_of(text) if self.lifetime is None else time.time() + self.lifetime
        token = PutToken(
            str(request.properties.get("name", "")), request.type or "", text, expires_at, request.container_id
        )
        self.put.append(token)
        refusal = self.refuse(token) if callable(self.refuse) else self.refuse
        if self.silent:
            return None
        if refusal is None and expires_at is not None and expires_at <= time.time():
            refusal = (401, "ExpiredToken: the token has expired")
        if refusal is not None:
            return ServiceResponse(*refusal, fields=CBS_FIELDS)
        connection.authorize(token)
        response = ServiceResponse(202, "Accepted", fields=CBS_FIELDS)
        if self.status_missing:
            response.status = None
        if self.wrong_correlation:
            response.correlation_id = "another"
        return response


def end_of(token: str) -> float | None:
    """Return when a token ends, as a shared access signature or a JSON web token says it; None: it doesn't."""
    if token.startswith("SharedAccessSignature "):
        ends = parse_qs(token.partition(" ")[2]).get("se", [])
        return float(ends[0]) if ends and ends[0].isdigit() else None
    parts = token.split(".")
    if len(parts) == 3:
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            return float(claims["exp"])
        except (ValueError, KeyError, TypeError):
            return None
    return None


def covers(audience: str, name: str) -> bool:
    """Tell whether a token for a URI is good for the node of this name."""
    path = unquote(urlsplit(audience).path if "://" in audience else audience).strip("/").lower()
    name = name.lower()
    return not path or name == path or name.startswith(f"{path}/")
