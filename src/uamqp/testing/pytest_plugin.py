"""The pytest plugin: fixtures `amqp_broker` and `amqp_url`, option `--amqp-url`. docs/broker.md describes them.

pytest imports this in every run where the package is installed. So it takes no more of the package until a test uses a
fixture, or somebody the option; and it uses nothing that old versions of pytest don't have. (PYTEST_DONT_REWRITE: there
are no asserts here.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .broker import Broker

OPTION = "--amqp-url"


class MaskedURL(str):
    """A URL whose repr, which is what reports of failures show, has neither user nor password."""

    __slots__ = ()

    def __repr__(self) -> str:
        scheme, separator, rest = self.partition("://")
        user, _, hosts = rest.rpartition("@")
        return repr(f"{scheme}{separator}{'***@' if user else ''}{hosts}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("uamqp").addoption(
        OPTION,
        metavar="URL",
        help="the broker for tests that use the fixture amqp_url, such as amqps://user:password@mq.example.com; tests "
        "that use the fixture amqp_broker are skipped then. By default, an embedded broker runs for each test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the option, before any test runs.

    Raises:
        pytest.UsageError: it is no URL; the text says why, without quoting it.
    """
    url = config.getoption(OPTION)
    if url is not None:
        from ..messaging.errors import ConfigurationError  # noqa: PLC0415 (only where the option is used)
        from ..messaging.url import parse  # noqa: PLC0415 (as above)

        try:
            parse(url, OPTION)
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which broker the tests use."""
    url = config.getoption(OPTION)
    return None if url is None else f"amqp-url: {MaskedURL(url)!r}"


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say what was compared, without the difference between two texts, in which a password would show."""
    return [f"{left!r} {op} {right!r}"] if isinstance(left, MaskedURL) or isinstance(right, MaskedURL) else None


@pytest.fixture
def amqp_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Run an AMQP 1.0 broker (uamqp.testing.Broker) for this test alone, in a thread of its own.

    With --amqp-url, the test is skipped.
    """
    if request.config.getoption(OPTION) is not None:
        pytest.skip(f"needs the embedded broker; {OPTION} names another one")
    from .broker import Broker  # noqa: PLC0415 (not before a test needs it)

    with Broker() as broker:
        yield broker


@pytest.fixture
def amqp_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an AMQP 1.0 broker: what --amqp-url says, or else that of the fixture amqp_broker.

    Its repr has neither user nor password.
    """
    url = request.config.getoption(OPTION)
    if url is None:
        broker: Broker = request.getfixturevalue("amqp_broker")
        url = broker.url
    return MaskedURL(url)
