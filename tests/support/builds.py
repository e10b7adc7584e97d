"""The modules that are compiled, and how long a program of another build may take."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LIMIT = 300.0


def compiled_modules() -> list[str]:
    """The list in setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "COMPILED":
            return list(ast.literal_eval(node.value))
    raise AssertionError("setup.py has no list COMPILED")
