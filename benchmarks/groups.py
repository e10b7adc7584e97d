"""What is measured: functions that yield (work, x, contender, figure); x is a place on an axis, or None."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .contenders import Contender, FarEnd, Field, c_far_end, embedded_broker

Round = tuple[str, float | None, str, float]

COMPILED, PURE = "uamqp, compiled", "uamqp, pure Python"
ASYNCIO, PURE_ASYNCIO = "uamqp, asyncio", "uamqp, asyncio, pure Python"
C_CLIENT = "C client (proton)"

# What `messages_modern.py` does: see there.
MODERN = ["futures", "send-many", "tasks", "submit", "batches", "one-by-one"]
MODERN += ["sync-send-many", "sync-batches", "sync-one-by-one"]

# Messages that take a contender about a second; a slower one, any of the peers, has fewer.
ENOUGH = {COMPILED: 500_000, ASYNCIO: 500_000, C_CLIENT: 1_000_000, PURE: 100_000, PURE_ASYNCIO: 100_000}
ENOUGH_FOR_PEERS = 20_000


@dataclass(frozen=True)
class Group:
    """A part of the run.

    Attributes:
        rounds: yields the figures of one round; the runner takes medians over several.
        unit: of the figures.
        axis: what x is; None: there is none.
    """

    name: str
    title: str
    unit: str
    axis: str | None
    rounds: Callable[[Field, Path, float], Iterator[Round]]


def own(field: Field, script: str) -> list[Contender]:
    return [Contender(COMPILED, field.compiled, script), Contender(PURE, field.pure, script)]


def codec(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    for contender in [*own(field, "codec_uamqp.py"), *field.peers_with("codec")]:
        result = contender.run()
        yield "build and encode", None, contender.name, result["encode"]
        yield "decode and read", None, contender.name, result["decode"]


def _work(contender: Contender, mode: str, end: FarEnd, count: float, size: int, *more: object) -> dict[str, float]:
    ca = ["--ca", end.ca] if end.ca is not None else []
    return contender.run(mode, end.port, max(20, int(count)), size, *ca, *more)


def _client_in_c(field: Field) -> Contender:
    return Contender(C_CLIENT, None, str(field.binaries / "client" if field.binaries else "client"))


def messages(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    contenders = [
        *own(field, "messages_uamqp.py"),
        Contender(ASYNCIO, field.compiled, "messages_uamqp_async.py"),
        Contender(PURE_ASYNCIO, field.pure, "messages_uamqp_async.py"),
    ]
    for tls in (False, True):
        with c_far_end(field, 100, folder, tls=tls) as end:
            name = "TLS" if tls else "TCP"
            for mode in ("send", "receive"):
                work = f"{mode} over {name}"
                for contender in [*contenders, *field.peers_with("messages"), _client_in_c(field)]:
                    if contender.name == (C_CLIENT if tls else "uamqp 1.6"):
                        continue  # each knows the other alone
                    count = ENOUGH.get(contender.name, ENOUGH_FOR_PEERS) * scale
                    rate = _work(contender, mode, end, count, 100)["rate"]
                    yield work, None, contender.name, rate


def modern(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    """The modern API, beside the classic one, asyncio alone and the client in C."""
    slow = {"sync-send": 0.05, "sync-threads": 0.05}
    with c_far_end(field, 100, folder) as end:
        for mode in (*MODERN, *slow):
            for contender in own(field, "messages_modern.py"):
                count = ENOUGH[contender.name] * slow.get(mode, 0.5) * scale
                yield mode, None, contender.name, _work(contender, mode, end, count, 100)["rate"]
        for mode in ("send", "receive"):
            for contender in own(field, "messages_uamqp.py"):
                rate = _work(contender, mode, end, ENOUGH[contender.name] * scale, 100)["rate"]
                yield f"classic {mode}", None, contender.name, rate
        yield "sync-send", None, C_CLIENT, _work(_client_in_c(field), "one", end, 20_000 * scale, 100)["rate"]


def broker(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    for contender in own(field, "messages_uamqp.py"):
        if contender.python is None:
            continue
        with embedded_broker(contender.python) as end:
            count = 50_000 * scale
            there = _work(contender, "send", end, count, 100)["rate"]
            back = _work(contender, "receive", end, count, 100)["rate"]
            yield "into the broker", None, contender.name, there
            yield "out of the broker", None, contender.name, back
            yield "in and out, one after the other", None, contender.name, 1 / (1 / there + 1 / back)


def sizes(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    for size in (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        count = min(100_000, 1_000_000_000 // size) * scale
        credit = max(2, min(1000, 64_000_000 // size))  # the far end sends all at once
        with c_far_end(field, size, folder) as end:
            for contender in own(field, "messages_uamqp.py"):
                for mode in ("send", "receive"):
                    slow = 0.3 if contender.name == PURE else 1
                    rate = _work(contender, mode, end, count * slow, size, "--credit", credit)["rate"]
                    yield mode, size, contender.name, rate


def links(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    contender = own(field, "messages_uamqp.py")[0]
    with c_far_end(field, 100, folder) as end:
        for number in (1, 10, 100, 1000):
            for mode in ("send", "receive"):
                more = ("--links", number, "--credit", 100, "--batch", 50)
                yield mode, number, contender.name, _work(contender, mode, end, 1_000_000 * scale, 100, *more)["cpu"]


def connections(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    contender = own(field, "messages_uamqp.py")[0]
    with c_far_end(field, 100, folder) as end:
        for number in (1, 10, 100):
            for mode in ("send", "receive"):
                more = ("--connections", number, "--credit", 200)
                yield mode, number, contender.name, _work(contender, mode, end, 100_000 * scale, 100, *more)["rate"]


def credit(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    contender = own(field, "messages_uamqp.py")[0]
    with c_far_end(field, 100, folder) as end:
        for window in (1, 10, 100, 1000, 10_000):
            count = min(100_000, 20_000 * window) * scale
            rate = _work(contender, "receive", end, count, 100, "--credit", window)["rate"]
            yield "receive", window, contender.name, rate


def lengths(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    contender = own(field, "messages_uamqp.py")[0]
    with c_far_end(field, 100, folder) as end:
        for count in (10_000, 100_000, 1_000_000, 10_000_000):
            for mode in ("send", "receive"):
                result = _work(contender, mode, end, count * min(1, scale), 100)
                yield mode, count, contender.name, result["rate"]
                yield f"{mode}: resident MiB", count, contender.name, result["memory"]


def unsettled(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    contender = own(field, "messages_uamqp.py")[0]
    with c_far_end(field, 100, folder) as end:
        for number in (1, 1_000, 10_000, 100_000):
            result = _work(contender, "receive", end, 100_000 * scale, 100, "--unsettled", number)
            yield "receive and accept", number, contender.name, result["cpu"]


def large(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    size = 100_000_000
    with c_far_end(field, size, folder) as end:
        for contender in own(field, "large.py"):
            for mode in ("send", "receive"):
                yield mode, None, contender.name, contender.run(mode, end.port, size)["times"]


def latency(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    for contender in own(field, "latency.py"):
        if contender.python is None:
            continue
        with embedded_broker(contender.python) as end:
            for rate in (100, 1_000, 5_000):
                for name, value in contender.run(end.port, rate, max(1.0, 5 * scale)).items():
                    yield name, rate, contender.name, value


def memory(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    names = {
        "link": "bytes per link",
        "queued": "bytes per queued message of 100 bytes",
        "idle": "ms of CPU for 20 idle connections in 5 s",
    }
    with embedded_broker(field.compiled) as end:
        for contender in own(field, "memory.py"):
            for key, value in contender.run(end.port).items():
                yield names[key], None, contender.name, value


def imports(field: Field, folder: Path, scale: float) -> Iterator[Round]:
    for contender in own(field, "imports.py"):
        for name, value in contender.run(max(1, int(11 * scale))).items():
            yield name, None, contender.name, value


GROUPS = [
    Group("codec", "The codec", "messages/s", None, codec),
    Group("messages", "Sending and receiving, against the far end in C", "messages/s", None, messages),
    Group("modern", "The modern API, against the far end in C", "messages/s", None, modern),
    Group("broker", "Through the embedded broker", "messages/s", None, broker),
    Group("sizes", "Message sizes", "messages/s", "bytes in a message", sizes),
    Group("links", "Links on one connection: CPU for each message", "microseconds", "links", links),
    Group("connections", "Connections of one program", "messages/s", "connections", connections),
    Group("credit", "Credit windows", "messages/s", "credit", credit),
    Group("lengths", "Long runs", "messages/s, MiB", "messages", lengths),
    Group("unsettled", "Beside so many unsettled: CPU for each message", "microseconds", "unsettled", unsettled),
    Group("large", "One message of 100 MB: memory", "times its size", None, large),
    Group("latency", "Latency at a fixed rate, through the embedded broker", "ms", "messages/s", latency),
    Group("memory", "Memory, and idle connections", "", None, memory),
    Group("imports", "What imports take, beyond an empty interpreter: CPU", "ms", None, imports),
]
