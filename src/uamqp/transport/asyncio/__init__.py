"""The asyncio driver and pump, and the protocol that an event loop drives."""
