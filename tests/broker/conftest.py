"""The fixtures of these tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.peer.certs import certificates  # noqa: F401 (a fixture)
from uamqp.testing import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker as it comes, in a thread of its own."""
    with Broker() as broker:
        yield broker


@pytest.fixture(autouse=True, scope="module")
def nothing_left_behind() -> Iterator[None]:
    """A socket or transport that was left open fails the last test of its module."""
    yield
    gc.collect()
