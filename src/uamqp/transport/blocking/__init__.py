"""The blocking pump: sockets that never block, driven by whatever thread calls."""
