"""SASL mechanisms for clients, as small objects without I/O (section 5.3).

A mechanism has a name, an initial response, and an answer to each challenge. Anything with these three can go into
`EngineConfig.mechanisms`.
"""

from __future__ import annotations

from typing import Protocol


class Mechanism(Protocol):
    """One SASL mechanism. `repr` must not show secrets.

    It may have an attribute `exposes`: the secrets it shows to anybody who reads the connection's bytes, such as "user
    name and password". The library's transports warn if those go over the network without TLS.
    """

    @property
    def name(self) -> str:
        """The registered name, such as "PLAIN"."""

    def initial_response(self) -> bytes | None:
        """Return the initial response for sasl-init; None leaves the field out."""

    def step(self, challenge: bytes) -> bytes:
        """Return the answer to a challenge of the server's.

        Raises:
            ValueError: the challenge makes no sense; this ends the connection.
        """


class _SingleStep:
    """A mechanism that consists of its initial response."""

    name: str
    exposes = ""

    def initial_response(self) -> bytes | None:
        """See `Mechanism`."""
        raise NotImplementedError

    def step(self, challenge: bytes) -> bytes:
        """Answer the empty challenge, which asks for the initial response (RFC 4422, section 3); refuse any other."""
        if not challenge:
            return self.initial_response() or b""
        raise ValueError(f"the server sent a challenge, but {self.name} has none")

    def __repr__(self) -> str:
        return f"<SASL {self.name}>"


class Anonymous(_SingleStep):
    """ANONYMOUS (RFC 4505).

    Args:
        trace: tells the server who we are; if empty, no response is sent.
    """

    name = "ANONYMOUS"

    def __init__(self, trace: str = "") -> None:
        self._trace = trace

    def initial_response(self) -> bytes | None:
        """Return the trace information, if any."""
        return self._trace.encode() if self._trace else None


class Plain(_SingleStep):
    """PLAIN (RFC 4616): user name and password in clear text, for encrypted connections.

    Args:
        username: text or its UTF-8 bytes; may be empty, must not contain NUL.
        password: likewise.
    """

    name = "PLAIN"
    exposes = "user name and password"

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        user = username.encode() if isinstance(username, str) else bytes(username)
        secret = password.encode() if isinstance(password, str) else bytes(password)
        if b"\0" in user or b"\0" in secret:
            raise ValueError("a user name or password for SASL PLAIN must not contain a NUL character")
        self._response = b"\0" + user + b"\0" + secret

    def initial_response(self) -> bytes | None:
        """Return the user name and the password, without an authorization identity."""
        return self._response


class External(_SingleStep):
    """EXTERNAL (RFC 4422, appendix A): the identity is that of the TLS client certificate.

    Args:
        identity: the identity to act as; empty for the certificate's own.
    """

    name = "EXTERNAL"

    def __init__(self, identity: str = "") -> None:
        self._identity = identity

    def initial_response(self) -> bytes | None:
        """Return the identity; an empty response instead of none saves a round trip."""
        return self._identity.encode()


class Mssbcbs(_SingleStep):
    """MSSBCBS: like ANONYMOUS, for services where a claims-based token follows.

    Args:
        exposes: see `Mechanism`; empty if no token follows.
    """

    name = "MSSBCBS"

    def __init__(self, exposes: str = "token") -> None:
        self.exposes = exposes

    def initial_response(self) -> bytes | None:
        """Return nothing."""
        return None
