"""The fixtures of these tests."""

from __future__ import annotations

from tests.support.peered import rig  # noqa: F401 - a fixture
