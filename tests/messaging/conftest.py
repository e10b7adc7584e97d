"""The fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peer.certs import certificates  # noqa: F401 (a fixture)
from tests.support.faces import face  # noqa: F401 (a fixture)
from uamqp.testing import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    """An embedded broker without TLS."""
    with Broker() as running:
        yield running
