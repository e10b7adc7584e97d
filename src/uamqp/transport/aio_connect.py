"""Connected asyncio transports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from .blocking import Endpoint


async def open_connection(
    endpoint: Endpoint, make_protocol: Callable[[], asyncio.Protocol], *, handshake_timeout: float
) -> None:
    """Connect a protocol to an endpoint."""
    loop = asyncio.get_running_loop()
    sock = await asyncio.wait_for(_connect(endpoint.host, endpoint.port), endpoint.connect_timeout)
    try:
        await loop.create_connection(
            make_protocol,
            sock=sock,
            ssl=endpoint.tls,
            server_hostname=(endpoint.server_hostname or endpoint.host) if endpoint.tls is not None else None,
            ssl_handshake_timeout=handshake_timeout if endpoint.tls is not None else None,
        )
    except BaseException:
        sock.close()
        raise


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host!r} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure
