"""Where a connection goes, and what both pumps do without I/O: addresses, TLS settings, WebSocket frames, proxies."""
