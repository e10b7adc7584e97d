"""Connected asyncio transports: TCP, the proxy's tunnel, TLS, WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..blocking.stream import READ_SIZE
from ..forks import owned
from ..sansio.endpoint import Endpoint
from ..sansio.proxy import Tunnel
from .protocol import stream_of, within
from .reading import Reading

if TYPE_CHECKING:
    from ..sansio.websocket import WebSocket
    from .websocket import WebSocketProtocol

_TURNS_OF_CLOSING = 10
"""Turns of the loop in which a transport should notice the end of its socket and close it."""


async def open_connection(
    endpoint: Endpoint, make_protocol: Callable[[socket.socket], Reading], *, handshake_timeout: float
) -> None:
    """Connect a protocol to an endpoint. Cancelling leaves nothing behind.

    Args:
        endpoint: where to connect to.
        make_protocol: makes the protocol for a socket; its `connection_made` is called when AMQP can begin.
        handshake_timeout: seconds for TLS, and for the upgrade to WebSocket.

    Raises:
        OSError: there is no such host, no address answers, or a proxy, TLS or the upgrade failed, as the text says.
    """
    websocket = _websocket(endpoint)
    try:
        sock = await within(_connect(endpoint), endpoint.connect_timeout)
    except TimeoutError:
        raise TimeoutError(f"no answer within {endpoint.connect_timeout:g} seconds") from None
    stage = "TLS handshake" if endpoint.tls is not None else ""
    protocol = make_protocol(sock)
    upgrade = None if websocket is None else _upgrade(websocket, protocol, handshake_timeout)
    transport: asyncio.Transport | None = None
    try:
        made, _ = await asyncio.get_running_loop().create_connection(
            lambda: upgrade or protocol,
            sock=sock,
            ssl=endpoint.tls,
            server_hostname=endpoint.tls_hostname,
            ssl_handshake_timeout=handshake_timeout if endpoint.tls is not None else None,
        )
        transport = stream_of(made)
        if upgrade is not None:
            stage = "WebSocket upgrade"
            await upgrade.opened
    except BaseException as error:
        if upgrade is not None:
            upgrade.opened.cancel()
        if transport is not None:
            transport.abort()
        else:
            await _close(sock, wait=not isinstance(error, GeneratorExit))
        if isinstance(error, OSError):
            raise OSError(endpoint.describe(error, stage)) from error
        raise


def _websocket(endpoint: Endpoint) -> WebSocket | None:
    """Return our end of the WebSocket to an endpoint, or None if it is reached without one."""
    if endpoint.websocket_path is None:
        return None
    from ..sansio.websocket import WebSocket  # noqa: PLC0415 (loads the library only when needed)

    return WebSocket.to(endpoint, endpoint.websocket_path)


def _upgrade(websocket: WebSocket, protocol: Reading, timeout: float) -> WebSocketProtocol:
    from .websocket import WebSocketProtocol  # noqa: PLC0415 (as above)

    return WebSocketProtocol(websocket, protocol, timeout)


async def _close(sock: socket.socket, *, wait: bool) -> None:
    """Close a socket that may have a transport we haven't been given yet: asyncio may be in the middle of TLS with it.

    Such a transport closes itself when nothing more can be read, and must not find the socket's number reused by then.
    """
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    for _ in range(_TURNS_OF_CLOSING if wait else 0):
        if sock.fileno() < 0:
            break
        await asyncio.sleep(0)
    sock.close()


def bury(transport: asyncio.Transport | None, sock: socket.socket | None) -> None:
    """Close a transport that can no longer close its socket because its event loop was closed.

    Only asyncio's own classes show that, and their transports complain when garbage-collected without having been told.
    """
    transport = getattr(transport, "transport", transport)  # a WebSocket's
    layer = getattr(transport, "_ssl_protocol", None)
    stream: Any = getattr(layer, "_transport", transport)
    try:
        if transport is not None:
            transport.abort()
    except RuntimeError:
        pass  # only the last step of closing needs the loop
    try:
        if hasattr(stream, "_call_connection_lost"):
            stream._call_connection_lost(None)
    except RuntimeError:
        pass
    if sock is not None:
        sock.close()


async def _connect(endpoint: Endpoint) -> socket.socket:
    """Return a TCP socket connected to an endpoint, through its proxy if it has one."""
    loop = asyncio.get_running_loop()
    sock = await _dial(*endpoint.tcp)
    if endpoint.proxy is None:
        return sock
    try:
        tunnel = Tunnel(endpoint.proxy, endpoint.host, endpoint.port)
        await loop.sock_sendall(sock, tunnel.request)
        while not tunnel.receive(await loop.sock_recv(sock, READ_SIZE)):
            pass
    except BaseException:
        sock.close()
        raise
    return sock


async def _dial(host: str, port: int) -> socket.socket:
    """Return a connected socket, trying each address of the host in turn."""
    loop = asyncio.get_running_loop()
    try:
        try:
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except RuntimeError:  # the interpreter is shutting down, and has no threads left
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name of a host: {error}") from error
    failure = OSError(f"{host!r} has no address")
    for family, kind, protocol, _, address in addresses:
        sock = owned(socket.socket(family, kind, protocol))
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            # asyncio's own text says that it failed, but not why.
            failure = OSError(error.errno, os.strerror(error.errno)) if error.errno else error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
