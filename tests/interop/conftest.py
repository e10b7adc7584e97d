"""Fixtures of tests/interop: the brokers, and queues on them.

Each test that asks for `broker` runs once for each broker. Where one isn't there, the test is skipped by name, with the
command that starts it; with --require-brokers (CI) it fails instead. What a broker can't do is in brokerfacts.py; a
test marked `brokers` is skipped for it, with that fact as the reason.
"""

from __future__ import annotations

import contextlib
import importlib.util
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.mark.structures import ParameterSet

from tests.support.faces import face  # noqa: F401 (a fixture)

from .brokerfacts import BROKERS, SCRIPTS, STATE, RealBroker

NO_PROTON = "python-qpid-proton is not installed; pip install -e '.[interop]'"
HAS_PROTON = importlib.util.find_spec("proton") is not None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("uamqp").addoption(
        "--broker", action="append", choices=[b.name for b in BROKERS], help="only this broker (may be repeated)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "brokers(*flags): only the brokers that have all these flags (`not x`: lack it)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broker" in metafunc.fixturenames:
        names = metafunc.config.getoption("--broker")
        flags = [flag for mark in metafunc.definition.iter_markers("brokers") for flag in mark.args]
        chosen = [parameter(broker, flags) for broker in BROKERS if names is None or broker.name in names]
        metafunc.parametrize("broker", chosen, indirect=True)


def parameter(broker: RealBroker, flags: list[str]) -> ParameterSet:
    """A broker for a test, to be skipped where the broker isn't what the test's marks ask for."""
    for flag in flags:
        name = flag.removeprefix("not ")
        value = getattr(broker, name)
        if bool(value) is not (name == flag):
            skip = pytest.mark.skip(reason=f"brokerfacts.py: {name} of {broker.name} is {value!r}")
            return pytest.param(broker, id=broker.name, marks=skip)
    return pytest.param(broker, id=broker.name)


def missing(config: pytest.Config, what: str) -> NoReturn:
    """Skips the test, or fails it where nothing may be missing."""
    if config.getoption("--require-brokers"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> RealBroker:
    """A broker that runs."""
    chosen: RealBroker = request.param
    if not chosen.answers():
        command = f"{SCRIPTS.relative_to(request.config.rootpath)}/start.sh {chosen.name}"
        missing(request.config, f"{chosen.name} does not answer on port {chosen.port}; start it with {command}")
    return chosen


@pytest.fixture
def ca(broker: RealBroker, request: pytest.FixtureRequest) -> Path:
    """The CA that signed the broker's certificate: the broker answers on its TLS port."""
    file = STATE / "certs" / "ca.pem"
    if not broker.answers(tls=True) or not file.exists():
        missing(request.config, f"{broker.name} has no TLS on port {broker.tls_port}, or there is no {file}")
    return file


@pytest.fixture
def proton(request: pytest.FixtureRequest) -> None:
    """python-qpid-proton is installed."""
    if not HAS_PROTON:
        missing(request.config, NO_PROTON)


@pytest.fixture
def queue(broker: RealBroker, request: pytest.FixtureRequest) -> str:
    """The name of an empty queue of this test's own, which exists on the broker."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    if broker.refuses_unknown:
        if not HAS_PROTON:
            missing(request.config, f"to make a queue on {broker.name}: {NO_PROTON}")
        from .protonclient import declare

        declare(broker, name)
    return name


@pytest.fixture
def restarted(broker: RealBroker, request: pytest.FixtureRequest) -> Iterator[RealBroker]:
    """A broker that the test may kill; it runs again afterwards."""
    if not broker.ours:
        missing(request.config, f"{broker.name} was not started by the project's scripts: it can't be stopped here")
    yield broker
    broker.start()


@pytest.fixture
def durable_queue(broker: RealBroker, proton: None, request: pytest.FixtureRequest) -> str:
    """The address of an empty queue that outlives the broker's process; the broker may be stopped and started."""
    if broker.durable_queue is None:
        raise LookupError(f'{broker.name} keeps nothing on disk: mark the test with brokers("durable_queue")')
    if not broker.ours:
        missing(request.config, f"{broker.name} was not started by the project's scripts: it can't be stopped here")
    from proton import Timeout

    from .protonclient import connect_to

    with connect_to(broker) as client:
        receiver = client.receiver(broker.durable_queue, credit=100)
        with contextlib.suppress(Timeout):
            while True:
                receiver.receive(timeout=0.5)
                receiver.accept()
    return broker.durable_queue
