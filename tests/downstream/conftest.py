"""What the tests of the Azure packages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.service import Service, running
from tests.peer.certs import certificates  # noqa: F401 (a fixture)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # The packages warn that they will drop uamqp, and what else they do isn't this project's to mend.
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture
def service(certificates: Any) -> Iterator[Service]:  # noqa: F811 (the fixture above)
    with running(certificates) as service:
        yield service


@pytest.fixture(params=[True, False], ids=["uamqp", "their-own"])
def uamqp_transport(request: pytest.FixtureRequest) -> bool:
    """With this library, and with the packages' own transport: what fails with both is the double's fault."""
    transport: bool = request.param
    return transport
