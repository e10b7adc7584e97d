"""The fixtures of these tests."""

from __future__ import annotations

from tests.peer.certs import certificates  # noqa: F401 (a fixture)
