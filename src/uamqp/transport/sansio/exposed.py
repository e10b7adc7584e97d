"""Warns of secrets that anybody on the network can read."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable

from ...engine.sasl import Mechanism
from .endpoint import Endpoint, is_loopback

_logger = logging.getLogger(__name__)

_warned: weakref.WeakSet[Mechanism] = weakref.WeakSet()
"""What was warned of: a mechanism lives as long as the credentials that it stands for."""


def warn_of_exposed(endpoint: Endpoint, mechanisms: Iterable[Mechanism]) -> None:
    """Warn of secrets that mechanisms show to the network, once for each: TLS is off, and the host isn't this machine.

    Args:
        endpoint: where the connection goes.
        mechanisms: the SASL mechanisms that may be used; what each shows is its `exposes`.
    """
    if endpoint.tls is not None or is_loopback(endpoint.host):
        return
    for mechanism in mechanisms:
        secret = getattr(mechanism, "exposes", "")
        if secret and _is_new(mechanism):
            _logger.warning("An unencrypted connection to %r carries the %s (use_tls=False).", endpoint.host, secret)


def _is_new(mechanism: Mechanism) -> bool:
    try:
        is_new = mechanism not in _warned
        _warned.add(mechanism)
    except TypeError:  # of a class whose objects can't be kept track of: better each time than never
        return True
    return is_new
