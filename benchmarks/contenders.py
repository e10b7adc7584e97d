"""Who is measured, and against what: the builds of this project, its peers, and the far ends."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processors import allotted

HERE = Path(__file__).parent
WORK = HERE / "work"
LIMIT = 300.0
FOR_FAR_END, FOR_CONTENDERS = allotted()
PROTON_C = ["-l:libqpid-proton-core.so.10", "-l:libqpid-proton-proactor.so.1"]


class Missing(Exception):
    """Something that a measurement needs isn't here."""


@dataclass(frozen=True)
class Contender:
    """One program that does a work: a name for the tables, an interpreter (None: a binary), and its script."""

    name: str
    python: Path | None
    script: str

    def run(self, *arguments: object) -> dict[str, float]:
        """Do the work; return what the program printed.

        Raises:
            RuntimeError: it failed, or took longer than the limit.
        """
        program = [str(self.python), str(WORK / self.script)] if self.python is not None else [self.script]
        command = [*FOR_CONTENDERS, *program, *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment, cwd=WORK
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.name}: not done in {LIMIT:g} s: {' '.join(command)}") from None
        if done.returncode or not done.stdout.strip():
            raise RuntimeError(f"{self.name}: exit {done.returncode}: {' '.join(command)}\n{done.stderr[-2000:]}")
        result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return result


@dataclass
class Field:
    """All who are here. `compiled` and `pure` are interpreters with this project, `peers` is one with the peers."""

    compiled: Path
    pure: Path
    peers: Path | None
    binaries: Path | None

    def version(self, package: str) -> str | None:
        """The version of a peer that is installed."""
        if self.peers is None:
            return None
        code = f"from importlib import metadata; print(metadata.version({package!r}))"
        done = subprocess.run([str(self.peers), "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def peers_with(self, kind: str) -> list[Contender]:
        """The Python peers that can do this kind of work: "codec" or "messages"."""
        found = []
        for package, name, stack in (
            ("uamqp", "uamqp 1.6", "uamqp"),
            ("python-qpid-proton", "proton", "proton"),
            ("azure-servicebus", "pyamqp", "pyamqp"),
        ):
            script = f"{kind}_{stack}.py"
            if (WORK / script).exists() and self.version(package):
                found.append(Contender(name, self.peers, script))
        return found


def build_binaries(folder: Path) -> Path | None:
    """Compile the far end and the client in C, if Qpid Proton's library is here; None if it isn't."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("far_end", "client"):
        command = [compiler, "-O2", "-o", str(folder / name), str(HERE / "c" / f"{name}.c"), *PROTON_C]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}.c isn't compiled, and what needs it is left out:\n{done.stderr}", file=sys.stderr)
            return None
    return folder


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@dataclass
class FarEnd:
    """Something to connect to."""

    port: int
    ca: Path | None


@contextmanager
def running(command: list[object]) -> Iterator[str]:
    """A far end, once it has said that it is ready; yields what it said."""
    process = subprocess.Popen([*FOR_FAR_END, *map(str, command)], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line.startswith("ready"):
            raise RuntimeError(f"it isn't ready: {command}")
        yield line
    finally:
        process.kill()
        process.wait()


@contextmanager
def c_far_end(field: Field, size: int, folder: Path, *, tls: bool = False) -> Iterator[FarEnd]:
    """The far end in C: a sink and a source of messages of this size."""
    if field.binaries is None:
        raise Missing("the far end in C (Debian: apt-get install gcc libqpid-proton11-dev)")
    port = free_port()
    files = certificate(folder) if tls else ()
    with running([field.binaries / "far_end", port, size, *files]):
        yield FarEnd(port, files[0] if files else None)


@contextmanager
def embedded_broker(python: Path) -> Iterator[FarEnd]:
    """The embedded broker, in a process of its own."""
    with running([python, WORK / "broker.py"]) as said:
        yield FarEnd(int(said.split()[1]), None)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, made once for each folder."""
    cert, key = folder / "certificate.pem", folder / "key.pem"
    if not cert.exists():
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
        subprocess.run(command, check=True, capture_output=True)
    return cert, key


def describe() -> dict[str, Any]:
    """The machine."""
    import platform

    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform()}
