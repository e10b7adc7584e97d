"""What is special to one broker: addresses, filters, management."""

from __future__ import annotations
