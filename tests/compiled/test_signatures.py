"""`inspect`, `help()` and mocks show signatures and docstrings that are the same in both builds."""

from __future__ import annotations

import copy
import inspect
import itertools
import os
import pickle
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest

from tests.support.builds import LIMIT, ROOT
from uamqp import BatchMessage, Message, codec
from uamqp.engine import Engine, IncomingDelivery, Link
from uamqp.message import DataBody, MessageProperties

needs_compiled = pytest.mark.skipif(not codec.COMPILED, reason="needs the compiled package: `make unit-compiled`")


def run(*arguments: str, build: str = "compiled") -> list[str]:
    environment = dict(os.environ)
    if build == "pure":
        environment["PYTHONPATH"] = str(ROOT / "src")  # there are no compiled modules beside these files
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_compiled
def test_everything_that_is_public_is_presented_alike_in_both_builds() -> None:
    (_, *pure), (build, *compiled) = (
        run("-m", "tests.compiled.presented", build=build) for build in ("pure", "compiled")
    )
    assert build == "compiled"
    assert len(pure) > 10_000
    different = [pair for pair in itertools.zip_longest(pure, compiled) if pair[0] != pair[1]]
    shown = "\n".join(f"pure:     {one}\ncompiled: {other}" for one, other in different[:10])
    assert not different, f"{len(different)} of {len(pure)} lines differ:\n{shown}"


@pytest.mark.parametrize(
    ("what", "signature"),
    [
        (DataBody, "(c_message: 'Any' = None, encoding: 'str' = 'UTF-8') -> 'None'"),
        (DataBody.__init__, "(self, c_message: 'Any' = None, encoding: 'str' = 'UTF-8') -> 'None'"),
        (DataBody.__getitem__, "(self, index: 'int') -> 'bytes'"),
        (Engine, "(config: 'EngineConfig', now: 'float', *, trace: 'Trace | None' = None) -> 'None'"),
        (IncomingDelivery, "() -> 'None'"),
        (Link.__repr__, "(self) -> 'str'"),
        (Message.decode_from_bytes, "(data: 'bytes | bytearray | memoryview') -> 'Message'"),
        (Message.accept, "(self) -> 'bool'"),
        (codec.Decoder.value, "(self) -> 'Any'"),
        (codec.append_value, "(out: 'bytearray', value: 'Any', depth: 'int' = 0) -> 'None'"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.__qualname__,
)
def test_signatures_are_as_they_are_written(what: Any, signature: str) -> None:
    assert str(inspect.signature(what)) == signature


def test_docstrings_of_special_methods_are_as_they_are_written() -> None:
    assert IncomingDelivery.__init__.__doc__ == "Leave everything unset: the engine makes deliveries."
    assert Message.__init__.__doc__ is None
    assert inspect.getdoc(Message.__repr__) == "Return repr(self)."
    assert Message.__init__.__name__ == "__init__"
    assert Message.__init__.__qualname__ == "Message.__init__"


class Inheriting(Message):
    """Has what it has from `Message`."""


class Tagged(Message):
    """Has a constructor of its own, written in the old way and in the new one."""

    def __init__(self, tag: str, *, old: bool = False) -> None:
        if old:
            Message.__init__(self, body=tag)
        else:
            super().__init__(tag, None, {"tag": tag})
        self.tag = tag

    def __str__(self) -> str:
        return f"{self.tag}: {super().__str__()}"


class Named(Message):
    """Is made in a way of its own."""

    def __new__(cls, name: str, body: bytes) -> Named:  # noqa: PYI034 (Self needs Python 3.11)
        return super().__new__(cls)

    def __init__(self, name: str, body: bytes) -> None:
        super().__init__(body)
        self.name = name


def test_subclasses_of_an_application_inherit_the_signature_or_have_their_own() -> None:
    assert inspect.signature(Inheriting) == inspect.signature(Message)
    assert inspect.signature(BatchMessage) != inspect.signature(Message)
    assert str(inspect.signature(Tagged)) == "(tag: 'str', *, old: 'bool' = False) -> 'None'"
    assert list(inspect.signature(Named).parameters) == ["name", "body"]
    assert Named("n", b"x").name == "n"


@pytest.mark.parametrize("old", [False, True])
def test_subclasses_of_an_application_call_what_they_inherit(old: bool) -> None:
    message = Tagged("x", old=old)
    assert (str(message), b"".join(message.get_data()), message.tag) == ("x: x", b"x", "x")
    assert str(Inheriting("text")) == "text"
    assert repr(Inheriting("text")) == repr(Message("text")).replace("Message", "Inheriting")
    with pytest.raises(TypeError):
        Inheriting(wrong="argument")  # type: ignore[call-arg]
    for copied in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert (type(copied), copied.tag, copied.encode_message()) == (Tagged, "x", message.encode_message())


def test_an_object_is_made_anew_by_its_constructor() -> None:
    message = Message("one")
    message.__init__("two")  # type: ignore[misc]
    assert str(message) == "two"
    assert message.__str__() == Message.__str__(message) == "two"
    with pytest.raises((TypeError, AttributeError)):
        Message.__init__(object())  # type: ignore[arg-type]


def test_a_mock_is_called_as_the_class_is() -> None:
    mocked = mock.create_autospec(Message)
    message = mocked("body", encoding="ASCII")
    with pytest.raises(TypeError, match="wrong"):
        mocked(wrong="argument")
    with pytest.raises(TypeError, match="too many positional"):
        message.accept(1)
    with pytest.raises(TypeError, match="missing a required argument"):
        message.modify(True)
    message.modify(True, False)
    message.modify.assert_called_once_with(failed=True, deliverable=False)  # which is the same by their names
    with pytest.raises(AttributeError):
        message.nothing_like_that  # noqa: B018


def test_a_mock_is_called_as_the_object_or_the_function_is() -> None:
    mocked = mock.create_autospec(MessageProperties(), instance=True)
    with pytest.raises(TypeError):
        mocked.get_properties_obj(1, 2, 3)
    append = mock.create_autospec(codec.append_value)
    append(bytearray(), None)
    with pytest.raises(TypeError, match="value"):
        append(bytearray())
    with mock.patch.object(codec, "encode_value", autospec=True), pytest.raises(TypeError):
        codec.encode_value()  # type: ignore[call-arg]


def test_functions_are_functions() -> None:
    assert inspect.isfunction(Message.accept)
    assert inspect.isfunction(codec.append_value)
    assert inspect.ismethod(Message("x").accept)
    assert pickle.loads(pickle.dumps(codec.append_value)) is codec.append_value


@needs_compiled
def test_without_its_source_a_class_works_and_says_what_python_knows() -> None:
    program = """
import importlib, inspect, sys
from uamqp import Message
sys.modules[Message.accept.__module__].__file__ = "/nowhere/message.so"
print(inspect.signature(Message.__init__))
print(inspect.signature(Message))
print(Message.__repr__.__doc__)
print(Message("x"))
"""
    assert run("-c", program) == ["(self, /, *args, **kwargs)", "(*args, **kwargs)", "Return repr(self).", "x"]
