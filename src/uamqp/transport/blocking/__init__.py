"""The blocking driver and pump: sockets that never block, driven by whatever thread calls."""
