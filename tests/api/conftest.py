"""The fixtures of these tests, and the second front that some of them run with as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peer.certs import certificates  # noqa: F401 - a fixture
from tests.support import scripts
from tests.support.bridge import KINDS, TWINS, Loop, bridged
from uamqp.testing import Broker

# Modules whose tests run with the blocking front, and with the asyncio front in its clothes (see `bridge`). A test that
# is about the blocking front alone is marked `blocking(reason)`.
BOTH = {
    "test_cbs",
    "test_iterations",
    "test_receive_and_delete",
    "test_mgmt",
    "test_address_hints",
    "test_odd_peers",
    "test_bounds",
    "test_connection",
    "test_connection_tls",
    "test_keep_alive",
    "test_threads",
    "test_trace",
    "test_websocket",
    "test_proxy",
    "test_connection_clients",
    "test_connection_cuts",
    "test_link",
    "test_link_broken",
    "test_link_names",
    "test_receive_client",
    "test_receive_client_wire",
    "test_arguments",
    "test_falsy",
    "test_secrets",
    "test_shown",
    "test_seed",
    "test_client_link",
    "test_send_client",
    "test_no_spin",
    "test_send_client_fates",
    "test_send_client_poison",
    "test_send_client_retries",
    "test_session",
}


@pytest.fixture
def broker() -> Iterator[Broker]:
    """An embedded broker without TLS."""
    with Broker() as running:
        yield running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in BOTH:
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
