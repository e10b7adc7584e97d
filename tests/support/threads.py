"""Threads that use something at the same time, each with a result or an error, and a bound."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from uamqp.messaging import AMQPError
from uamqp.testing import Broker

PATIENCE = 30.0


class Call(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, function: Callable[[], Any], barrier: threading.Barrier | None = None) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._barrier = barrier
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            if self._barrier is not None:
                self._barrier.wait(PATIENCE)
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 (it comes out of result())
            self._error = error

    def end(self) -> BaseException | None:
        """Wait until the call is over, and return what it has raised."""
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self._function} didn't end within {PATIENCE} s"
        return self._error

    def result(self) -> Any:
        """Wait until the call is over, for what it returns or raises."""
        error = self.end()
        if error is not None:
            raise error
        return self._value

    def error(self) -> AMQPError | None:
        """Wait until the call is over, and return its error, which has to be one of the library's."""
        error = self.end()
        if error is not None and not isinstance(error, AMQPError):
            raise error
        return error


def together(functions: Iterable[Callable[[], Any]]) -> list[Call]:
    """Call functions at the same time."""
    wanted = list(functions)
    barrier = threading.Barrier(len(wanted))
    return [Call(function, barrier) for function in wanted]


def in_threads(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Call a function at the same time in so many threads, with their numbers; return the results."""
    calls = together(lambda number=number: function(number) for number in range(count))  # type: ignore[misc]
    return [call.result() for call in calls]


class Notes:
    """What threads note down, each as often as it does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.items: list[Any] = []

    def add(self, *items: Any) -> None:
        with self._lock:
            self.items += items

    def __len__(self) -> int:
        return len(self.items)

    @property
    def counts(self) -> Counter[Any]:
        with self._lock:
            return Counter(self.items)


def counts_in(broker: Broker, name: str = "q") -> Counter[Any]:
    """How often each body is in a queue."""
    return Counter(view.body for view in broker.queue(name).messages)
