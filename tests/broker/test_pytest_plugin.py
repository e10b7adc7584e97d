"""The pytest plugin, in runs of pytest of its own; so are the tests that docs/broker.md shows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from uamqp import aio, sync  # noqa: F401 (a run inside of this process takes away what it was the first to import)
from uamqp.testing import Broker, pytest_plugin

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PLUGIN = pytest_plugin.__name__
DOCUMENT = (ROOT / "docs" / "broker.md").read_text("utf-8")
CHAPTER = DOCUMENT.partition("\n## Testing your program\n")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"```python\n(.*?)```", CHAPTER, re.DOTALL)

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs tests, given as text, with the plugin and with warnings as errors."""
    # The plugin is named, as it isn't installed everywhere; where it is it must not be loaded a second time.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(tests: str, *arguments: str, in_process: bool = True) -> pytest.RunResult:
        pytester.makepyfile(tests)
        options = ("-p", PLUGIN, "-p", "no:cacheprovider", "-p", "no:faulthandler", "-W", "error", *arguments)
        if in_process:
            return pytester.runpytest_inprocess(*options)
        return pytester.runpytest_subprocess(*options, timeout=120)

    return run


def shown(result: pytest.RunResult) -> str:
    return f"{result.stdout}\n{result.stderr}"


# The fixtures


def test_each_test_has_a_broker_of_its_own_which_is_stopped_afterwards(run: Run) -> None:
    tests = """
        before = []

        def check(amqp_broker, amqp_url):
            assert type(amqp_broker).__name__ == "Broker"
            assert amqp_url == amqp_broker.url
            assert amqp_broker.queue("q").depth == 0
            amqp_broker.put("q", "hello")
            assert amqp_broker not in before
            for each in before:
                each.start()  # an error if it ran still
                each.stop()
            before.append(amqp_broker)

        def test_one(amqp_broker, amqp_url): check(amqp_broker, amqp_url)
        def test_two(amqp_url, amqp_broker): check(amqp_broker, amqp_url)
    """
    run(tests).assert_outcomes(passed=2)
    assert [thread.name for thread in threading.enumerate() if "broker" in thread.name] == []


def test_a_broker_of_your_own_is_the_one_of_the_url(run: Run) -> None:
    tests = """
        import pytest
        from uamqp.testing import Broker

        @pytest.fixture
        def amqp_broker():
            with Broker(container_id="mine", queues=["mine"], make_nodes=False) as broker:
                yield broker

        def test_it(amqp_url, amqp_broker):
            assert amqp_url == amqp_broker.url
    """
    run(tests).assert_outcomes(passed=1)


def test_the_fixtures_are_listed_with_what_they_do(run: Run) -> None:
    result = run("", "--fixtures")
    for name in ("amqp_broker", "amqp_url"):
        assert re.search(rf"^{name} -- .*\n +\w+ .*AMQP 1\.0 broker", str(result.stdout), re.MULTILINE)
        assert f"`{name}`" in CHAPTER


# The option

ANY = """
    from uamqp import sync

    def test_it_sends(amqp_url):
        with sync.connect(amqp_url) as connection, connection.open_sender("q") as sender:
            sender.send("hello")
"""

LOOKING = """
    def test_it_looks(amqp_broker): assert amqp_broker.queue("q").depth == 0
    def test_it_looks_and_sends(amqp_url, amqp_broker): assert amqp_broker.url == amqp_url
"""


def test_tests_run_against_the_broker_that_is_named_and_those_that_look_into_one_are_skipped(run: Run) -> None:
    with Broker(users={"user": "secret"}) as other:
        result = run(ANY + LOOKING, "-rs", f"--amqp-url=amqp://user:secret@{other.host}:{other.port}")
        assert [view.body for view in other.queue("q").messages] == ["hello"]
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*needs the embedded broker; --amqp-url names another one*"])


def test_the_header_says_which_broker_it_is_without_the_password(run: Run) -> None:
    result = run("", "--amqp-url", "amqps://user:secret@one.example,two.example:5673/?hostname=vhost:x")
    result.stdout.fnmatch_lines(["amqp-url: 'amqps://[*][*][*]@one.example,two.example:5673/[?]hostname=vhost:x'"])
    assert "secret" not in shown(result)
    assert "amqp-url" not in shown(run(""))


@pytest.mark.parametrize("style", ["auto", "long", "short", "native"])
def test_a_failure_shows_no_password(style: str, run: Run) -> None:
    tests = """
        import pytest

        @pytest.fixture
        def handed_on(amqp_url):
            return amqp_url

        def test_equal(amqp_url, handed_on):
            urls = [amqp_url]
            assert amqp_url == "another"

        def test_on_the_right(amqp_url, handed_on): assert "another" == amqp_url
        def test_within(amqp_url, handed_on): assert "mq.example" not in amqp_url
        def test_in_a_list(amqp_url, handed_on): assert [amqp_url] == ["another"]
        def test_raised(amqp_url, handed_on): raise ValueError(repr(amqp_url))
    """
    result = run(tests, f"--tb={style}", "--showlocals", "-vv", "--amqp-url=amqp://user:secret@mq.example")
    result.assert_outcomes(failed=5)
    assert "secret" not in shown(result)
    assert "AssertionError: assert 'amqp://***@mq.example' == 'another'" in shown(result)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with amqp://"),
        ("mq.example", "must begin with amqp://"),
        ("http://user:secret@mq.example", "write amqpws://"),
        ("amqp://user:secret@mq.example:port", "port"),
        ("amqp://user:secret@mq.example/queue", "has a path"),
        ("amqp://user:secret/@mq.example", "percent-encoded"),
        ("amqp://user:secret@mq.example?idle_timout=5", "did you mean idle_timeout"),
    ],
)
def test_a_url_that_cant_be_used_is_an_error_before_any_test(url: str, reason: str, run: Run) -> None:
    result = run("def test_it(): pass", f"--amqp-url={url}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith("ERROR: ")
    assert "--amqp-url" in line
    assert reason in line
    assert "secret" not in shown(result)
    assert "passed" not in shown(result)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("amqp://mq.example", "amqp://mq.example"),
        ("amqp://user@mq.example/", "amqp://***@mq.example/"),
        ("amqps://user:p%40ss:word@[::1]:5671,mq.example?sasl=plain", "amqps://***@[::1]:5671,mq.example?sasl=plain"),
        ("amqp://:secret@mq.example", "amqp://***@mq.example"),
    ],
)
def test_the_url_is_text_with_another_repr(url: str, masked: str) -> None:
    text = pytest_plugin.MaskedURL(url)
    assert isinstance(text, str)
    assert (text, f"{text}", hash(text)) == (url, url, hash(url))
    assert repr(text) == repr(masked)


# What it imports, and how it is installed

FIRST = """
    import sys

    def ours():
        return {name for name in sys.modules if name.partition(".")[0] == "uamqp"}

    def test_nothing_is_imported_before_a_fixture_is_used():
        assert ours() == {"uamqp", "uamqp.testing", "uamqp.testing.pytest_plugin"}
        assert not {"asyncio", "ssl"} & set(sys.modules)

    def test_a_fixture_imports_the_broker(amqp_broker):
        assert "uamqp.testing.broker" in ours()
        assert not {"uamqp.messaging", "uamqp.classic"} & ours()

    def test_pytest_doesnt_warn_of_what_was_imported_before():  # as of all packages with plugins
        import pytest
        pytest.register_assert_rewrite("uamqp", "uamqp.testing.pytest_plugin")
"""


def test_nothing_of_the_package_is_imported_before_a_fixture_is_used(run: Run) -> None:
    run(FIRST, in_process=False).assert_outcomes(passed=3)


def test_pytest_finds_it() -> None:
    """In the wheel as well: see `tests/packaging`."""
    (line,) = re.findall(
        r"^\[project\.entry-points\.pytest11\]\n(.*)$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert line == f'uamqp = "{PLUGIN}"'
    assert import_module(PLUGIN) is pytest_plugin


# The chapter of docs/broker.md


@pytest.mark.parametrize("index", range(len(EXAMPLES)))
def test_the_tests_in_the_examples_pass(index: int, run: Run) -> None:
    run(EXAMPLES[index]).assert_outcomes(passed=EXAMPLES[index].count("def test_"))


def test_the_examples_pass_with_another_broker(run: Run) -> None:
    """As far as they don't need the embedded one."""
    names = re.findall(r"def test_\w+\((\w+)\)", EXAMPLES[0])
    with Broker() as other:
        result = run(EXAMPLES[0], f"--amqp-url={other.url}")
        assert other.counters.received == 1
    result.assert_outcomes(passed=names.count("amqp_url"), skipped=names.count("amqp_broker"))


def test_the_chapter_names_the_option() -> None:
    assert set(re.findall(r"--amqp[a-z-]*", CHAPTER)) == {pytest_plugin.OPTION}
