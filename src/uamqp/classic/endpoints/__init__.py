"""Connections, sessions and links, what is sent and received over them, and management requests."""
