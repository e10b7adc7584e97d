"""Misuses every class and function of the compiled modules; run in a process of its own, which a mistake in C ends.

    python -m tests.compiled.misuse EVERY MODULE

Objects are made by `__new__` alone, and taken from a connection that lives, with one attribute after the other set to
None. Each of their attributes is read and set, each method called with None, with things of the wrong type, and with
objects of the right type in which nothing is set. What Python raises is fine. Before each probe its name is written,
so that whoever runs this knows which of them ended the process. Of the probes with a connection, which take their time,
one in EVERY is made.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.builds import compiled_modules
from tests.support.pair import Pair
from uamqp.core import Entry
from uamqp.engine import IncomingDelivery

MOST_ARGUMENTS = 6
PLAIN: list[Any] = [None, 0, 1, -1, 2**70, 1.5, "text", b"octets", bytearray(b"x"), [], [None], {}, (), object(), print]

Probe = tuple[str, Callable[[], object]]


def classes(module: Any) -> list[type[Any]]:
    """The classes that a module defines."""
    found = [kind for kind in vars(module).values() if inspect.isclass(kind) and not issubclass(kind, BaseException)]
    name = module.__name__
    homes = {name, name.replace("._", "."), "uamqp.message"}
    return [kind for kind in dict.fromkeys(found) if kind.__module__ in homes]


def blank(kind: type[Any]) -> Any:
    """An object in which nothing is set; None if there can't be one."""
    try:
        made: Any = kind.__new__
        return made(kind)
    except TypeError:
        return None


def arguments(blanks: list[Any]) -> Iterator[Any]:
    yield from PLAIN
    yield from blanks


def probes_of_callable(name: str, function: Any, values: list[Any]) -> Iterator[Probe]:
    """Calls with nothing, and with up to so many of each value."""
    yield f"{name}()", function
    for value in values:
        shown = repr(type(value).__name__)
        for count in range(1, MOST_ARGUMENTS + 1):
            yield f"{name}(*[{shown}] * {count})", lambda f=function, v=value, n=count: f(*[v] * n)  # type: ignore[misc]


def probes_of_object(name: str, make: Callable[[], Any], values: list[Any]) -> Iterator[Probe]:
    """All that can be done with an object; each probe has one of its own."""
    sample = make()
    if sample is None:
        return
    for attribute in dir(type(sample)):
        if attribute in ("__class__", "__init_subclass__", "__subclasshook__", "__class_getitem__", "__dict__"):
            continue
        label = f"{name}.{attribute}"
        yield label, lambda a=attribute: getattr(make(), a)  # type: ignore[misc]
        for value in values:
            yield f"{label} = {type(value).__name__}", lambda a=attribute, v=value: setattr(make(), a, v)  # type: ignore[misc]
        found = inspect.getattr_static(type(sample), attribute)
        if callable(found) or isinstance(found, (classmethod, staticmethod)):
            call = lambda *given, a=attribute: drained(getattr(make(), a)(*given))  # noqa: E731
            yield from probes_of_callable(label, call, values)
        elif hasattr(found, "__get__"):
            for value in values:
                yield f"{label}.__get__({type(value).__name__})", lambda f=found, v=value: f.__get__(v, type(v))  # type: ignore[misc]
                if hasattr(found, "__set__"):
                    yield f"{label}.__set__({type(value).__name__})", lambda f=found, v=value: f.__set__(v, None)  # type: ignore[misc]
    yield f"copy.copy({name})", lambda: copy.copy(make())
    yield f"copy.deepcopy({name})", lambda: copy.deepcopy(make())
    yield f"repr({name})", lambda: repr(make())


def drained(result: Any) -> Any:
    """Go through what a method gives, as far as that makes sense: a generator does its work then."""
    if inspect.isgenerator(result):
        return list(itertools.islice(result, 100))
    return result


def probes_of_living(name: str, make: Callable[[], Any]) -> Iterator[Probe]:
    """As `probes_of_object`, with one attribute after the other set to None before its methods are called."""
    sample = make()
    attributes = [
        each for each in dir(sample) if not each.startswith("__") and not callable(getattr(sample, each, None))
    ]
    methods = [each for each in dir(sample) if not each.startswith("__") and callable(getattr(sample, each, None))]
    for attribute, method, given in itertools.product(attributes, methods, ((), (0.0,), (0.0, None))):

        def probe(a: str = attribute, m: str = method, g: tuple[Any, ...] = given) -> None:
            target = make()
            with contextlib.suppress(Exception):
                setattr(target, a, None)
            drained(getattr(target, m)(*g))

        yield f"{name}.{attribute} = None; {method}{given}", probe


def living() -> dict[type[Any], Callable[[], Any]]:
    """How to make objects of the engine that are part of an open connection."""

    def connection() -> list[Any]:
        pair = Pair()
        sender, receiver = pair.both()
        receiver.set_credit(2)
        pair.pump()
        outgoing = sender.send(b"\x00\x53\x75\xa0\x01x", context=Entry(None, None))
        pair.pump()
        (incoming,) = pair.server.all(IncomingDelivery)
        return [pair.client.engine, sender.session, sender, receiver, outgoing, incoming, sender.session.unsettled]

    return {type(each): lambda n=number: connection()[n] for number, each in enumerate(connection())}  # type: ignore[misc]


def all_probes(module: Any, every: int) -> Iterator[Probe]:
    loaded = [importlib.import_module(name) for name in compiled_modules()]
    kinds = [kind for each in loaded for kind in classes(each)]
    blanks = [each for each in map(blank, kinds) if each is not None]
    values = list(arguments(blanks))
    alive = living()
    for kind in classes(module):
        yield from probes_of_callable(kind.__name__, kind, values)
        yield from probes_of_object(f"{kind.__name__}.__new__()", lambda k=kind: blank(k), values)  # type: ignore[misc]
        if kind in alive:
            yield from itertools.islice(probes_of_living(kind.__name__, alive[kind]), 0, None, every)
    for name, function in vars(module).items():
        if inspect.isclass(function) or not callable(function) or name.startswith("__"):
            continue
        yield from probes_of_callable(name, lambda *given, f=function: drained(f(*given)), values)


def main() -> None:
    every, name = sys.argv[1:]
    for probe_name, probe in all_probes(importlib.import_module(name), int(every)):
        sys.stdout.write(f"{probe_name}\n")
        sys.stdout.flush()
        with contextlib.suppress(Exception):
            probe()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
