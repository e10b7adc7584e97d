"""Exits with 0 where extension modules can be compiled: there are a C compiler and Python's headers."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path


def can_compile() -> bool:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return shutil.which(compiler) is not None and headers.is_file()


if __name__ == "__main__":
    sys.exit(not can_compile())
