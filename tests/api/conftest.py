"""The fixtures of these tests, and the second front that some of them run with as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peer.certs import certificates  # noqa: F401 - a fixture
from tests.support import scripts
from tests.support.bridge import KINDS, TWINS, Loop, bridged
from uamqp.testing import Broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    """An embedded broker without TLS."""
    with Broker() as running:
        yield running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `both_fronts` run with the blocking front, and with the asyncio front in its clothes (see `bridge`).

    One that is about the blocking front alone is marked `blocking(reason)` as well.
    """
    if metafunc.definition.get_closest_marker("both_fronts"):
        blocking = metafunc.definition.get_closest_marker("blocking")
        metafunc.parametrize("front", ["blocking"] if blocking else ["blocking", "asyncio"], indirect=True)


@pytest.fixture(autouse=True)
def front(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Which front the module's `SendClient` and so on are of."""
    name: str = getattr(request, "param", "blocking")
    if name == "blocking":
        yield name
        return
    loop = Loop()
    for module in (request.module, scripts):
        for twin, kind in TWINS.items():
            if hasattr(module, twin):
                monkeypatch.setattr(module, twin, bridged(kind, loop))
        for twin, kind in KINDS.items():
            if hasattr(module, twin):
                monkeypatch.setattr(module, twin, kind)
    spec = getattr(request.node, "callspec", None)
    if spec is not None:  # a class that the test is given
        for argument, value in spec.params.items():
            if isinstance(value, type) and value.__module__.startswith("uamqp.") and value.__name__ in TWINS:
                spec.params[argument] = bridged(TWINS[value.__name__], loop)
    yield name
    loop.close()
