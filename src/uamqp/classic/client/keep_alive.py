"""The thread that keeps a client's connection working while the application is busy with something else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import weakref

    from ...transport.background import Alarm
    from ..endpoints.connection import Connection
    from .base import AMQPClient

_logger = logging.getLogger("uamqp.client")  # as in 1.6


def keep_alive(reference: weakref.ref[AMQPClient], alarm: Alarm, interval: float) -> None:
    """Do the work of a client's connection after each interval, and whenever the connection has a deadline.

    It keeps neither client nor connection alive, and ends with them.

    Args:
        reference: refers to the client.
        alarm: what the thread sleeps on.
        interval: in seconds.
    """
    latest: float | None = None
    while (connection := _connection_of(reference)) is not None:
        driver = connection._driver
        if latest is None:
            latest = driver.deadline(interval)
        try:
            worked = driver.attend(alarm, latest, connection.work)
        except Exception as error:  # noqa: BLE001 (the client's next call raises it)
            _logger.info("The keep-alive thread of connection %r ends: %s", connection.container_id, error)
            break
        if worked is None:
            break
        if worked:
            latest = max(latest, driver.deadline(interval))
        del connection, driver
        alarm.sleep()
    alarm.stop()


def _connection_of(reference: weakref.ref[AMQPClient]) -> Connection | None:
    """Return the connection of an open client that somebody still refers to."""
    client = reference()
    return client._connection if client is not None and not client._shutdown else None
