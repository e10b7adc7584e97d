"""Freed memory stays with the process: what a turn needs isn't mapped anew in the next one."""

from __future__ import annotations

import platform
import subprocess
import sys
import sysconfig

import pytest

# Blocks that glibc takes from its heap, 4 MiB in all; what it gives back is mapped anew, page by page: minor faults.
TURNS = """
import resource
from uamqp.transport.sansio.heap import keep_freed_memory
{call}
for turn in range(30):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [b"x" * 60_000 for _ in range(70)]
    buffers.clear()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(call: str) -> int:
    done = subprocess.run([sys.executable, "-c", TURNS.format(call=call)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="is about glibc's heap, and Python without a GIL has another",
)
def test_buffers_of_one_turn_serve_the_next() -> None:
    assert faults("keep_freed_memory()") < 1000 < 10_000 < faults("")
