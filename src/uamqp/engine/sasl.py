"""SASL mechanisms of the client side, as small objects without I/O (section 5.3).

A mechanism gives its name, its initial response, and an answer to each challenge. Anything with these three can be put
in `EngineConfig.mechanisms`.
"""

from __future__ import annotations

from typing import Protocol


class Mechanism(Protocol):
    """One SASL mechanism. `repr` must not show secrets.

    It may have an attribute `exposes`: what whoever reads the bytes of the connection learns by it, such as "user name
    and password". Where they go over the network without TLS, the library's transports warn of that.
    """

    @property
    def name(self) -> str:
        """The registered name, such as "PLAIN"."""

    def initial_response(self) -> bytes | None:
        """What goes into sasl-init; None leaves the field out."""

    def step(self, challenge: bytes) -> bytes:
        """The answer to a challenge of the server.

        Raises:
            ValueError: the challenge makes no sense; the connection is given up.
        """


class _SingleStep:
    """A mechanism that has nothing to say after its initial response."""

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
        trace: what to tell the server about who we are; may be empty, in which case no response is sent.
    """

    name = "ANONYMOUS"

    def __init__(self, trace: str = "") -> None:
        self._trace = trace

    def initial_response(self) -> bytes | None:
        """The trace information, if any."""
        return self._trace.encode() if self._trace else None


class Plain(_SingleStep):
    """PLAIN (RFC 4616): user name and password in clear; for encrypted connections.

    Args:
        username, password: text or the UTF-8 bytes of it; may be empty, must hold no NUL.
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
        """No authorization identity, the user name, the password."""
        return self._response


class External(_SingleStep):
    """EXTERNAL (RFC 4422, appendix A): the identity is that of the TLS client certificate.

    Args:
        identity: the identity to act as; empty: the certificate's own.
    """

    name = "EXTERNAL"

    def __init__(self, identity: str = "") -> None:
        self._identity = identity

    def initial_response(self) -> bytes | None:
        """The identity; an empty response, rather than none, saves a round trip."""
        return self._identity.encode()


class Mssbcbs(_SingleStep):
    """MSSBCBS: as ANONYMOUS, for services where a claims-based token follows.

    Args:
        exposes: see `Mechanism`; empty if no token follows.
    """

    name = "MSSBCBS"

    def __init__(self, exposes: str = "token") -> None:
        self.exposes = exposes

    def initial_response(self) -> bytes | None:
        """Nothing."""
        return None
