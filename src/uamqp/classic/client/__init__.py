"""Clients: a connection, a session and a link in one, with a queue of messages or an inbox."""
