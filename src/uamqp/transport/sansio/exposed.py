"""Warns about secrets that anybody on the network can read."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable

from ...engine.sasl import Mechanism
from .endpoint import Endpoint, is_loopback

_logger = logging.getLogger(__name__)

_warned: weakref.WeakSet[Mechanism] = weakref.WeakSet()
"""The mechanisms that were warned about. A mechanism lives as long as its credentials."""


def warn_of_exposed(endpoint: Endpoint, mechanisms: Iterable[Mechanism]) -> None:
    """Warn once about each mechanism that shows a secret to the network: without TLS, and to another machine.

    Args:
        endpoint: where the connection goes.
        mechanisms: the SASL mechanisms that may be used; `exposes` names what each of them shows.
    """
    if endpoint.tls is not None or is_loopback(endpoint.host):
        return
    for mechanism in mechanisms:
        secret = getattr(mechanism, "exposes", "")
        if secret and _is_new(mechanism):
            _logger.warning(
                "An unencrypted connection to %r carries the %s, for anybody on the way to read.", endpoint.host, secret
            )


def _is_new(mechanism: Mechanism) -> bool:
    try:
        is_new = mechanism not in _warned
        _warned.add(mechanism)
    except TypeError:  # its class has no weak references: better to warn each time than never
        return True
    return is_new
