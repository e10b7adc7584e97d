"""What every test shares: the options of this suite, and hypothesis's profiles."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.effort import examples

if TYPE_CHECKING:
    from tests.support.clock import Clock

INTEROP = Path(__file__).parent / "interop"
# Folders that are left out unless a path in them is given, and what runs them.
BY_NAME = {
    Path(__file__).parent / "downstream": "make downstream",
    Path(__file__).parent / "packaging": "make packaging",
    Path(__file__).parent / "typing": "make types",
}

# The same examples in every run, and no deadlines: a slow machine is no failure.
# HYPOTHESIS_PROFILE=explore looks for new ones, three times as many, and remembers those that failed.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW,
    max_examples=examples(100),
)
settings.register_profile("explore", deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("uamqp")
    group.addoption(
        "--interop",
        action="store_true",
        help="also run tests/interop (the tests against other AMQP 1.0 brokers and clients); "
        "naming a path in tests/interop does the same",
    )
    group.addoption(
        "--require-brokers",
        action="store_true",
        help="a broker or client that is not there fails the tests that need it instead of skipping them "
        "(the default where CI=true is set)",
    )
    group.addoption(
        "--late",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="everything that scripted peers and the embedded broker send comes so much later: what fails then depends "
        "on the speed of the machine",
    )


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        config.option.require_brokers = True
    if late := config.getoption("--late"):
        from tests.peer import server
        from uamqp.testing import faults

        server.LATE = faults._DEFAULTS["delay"] = late


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """For one module it takes longer to start workers than to run it."""
    if len(config.args) == 1 and config.args[0].split("::")[0].endswith(".py"):
        return 0
    return None


def interop_wanted(config: pytest.Config) -> bool:
    """Whether this run was asked for tests/interop: by --interop, or by a path in it."""
    return bool(config.getoption("--interop")) or is_named(INTEROP, config)


def is_named(folder: Path, config: pytest.Config) -> bool:
    """Whether this run was given a path in the folder."""
    where = config.invocation_params.dir
    named = (Path(where, str(argument).split("::")[0]).resolve() for argument in config.args)
    return any(path == folder or folder in path.parents for path in named)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path == INTEROP and not interop_wanted(config):
        return True
    if collection_path in BY_NAME and not is_named(collection_path, config):
        return True
    return None


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the collector need not walk through it, again and again, for tests of it."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str | None:
    left_out = [] if interop_wanted(config) else ["tests/interop (`make interop`)"]
    left_out += [f"tests/{folder.name} (`{run}`)" for folder, run in BY_NAME.items() if not is_named(folder, config)]
    return f"left out: {', '.join(left_out)}" if left_out else None


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The library's clock, which the test moves on."""
    from tests.support.clock import moving_clock  # loads the library, which most tests of codec and engine do without

    with moving_clock() as clock:
        yield clock


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks of himself within a test's time: who isn't woken, or doesn't wait for his own deadline, is late.

    The test has a bound that is far shorter than these waits, and far longer than a busy machine may take.
    """
    from uamqp.classic.client import base
    from uamqp.transport import signals
    from uamqp.transport.blocking import pump

    monkeypatch.setattr(base, "IDLE_WAIT", 100.0)
    monkeypatch.setattr(pump, "MAX_WAIT", 100.0)
    monkeypatch.setattr(signals, "MAX_WAIT", 100.0)
