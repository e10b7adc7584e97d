"""The asyncio pump: a protocol that an event loop drives."""
