"""Non-blocking byte streams over TCP, with or without TLS."""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..forks import owned
from ..sansio.endpoint import Endpoint
from ..sansio.proxy import Tunnel

if TYPE_CHECKING:
    import ssl

READ_SIZE = 262144
"""Maximum number of bytes read from the socket at a time."""

_OURS = ("asyncio", "importlib", "socket", "ssl", "websockets", __name__.partition(".")[0])


def is_from_outside(error: BaseException) -> bool:
    """Return whether an error, `TimeoutError` for instance, was raised by a signal handler instead of what we called.

    Such an error says nothing about the connection and is meant for the caller. A handler's frame directly follows one
    of ours or of a module we use; application code called by way of another module (a logging filter) is no handler.
    """
    traceback = error.__traceback__
    if traceback is None or (isinstance(error, OSError) and error.errno is not None):
        return False
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if module not in _OURS:
            return module not in sys.stdlib_module_names
        traceback = traceback.tb_next
    return False


_kept: dict[type[socket.socket], type[socket.socket]] = {}
"""Classes of sockets, and the subclasses that `keep_to_the_end` makes of them."""


def keep_to_the_end(sock: socket.socket) -> None:
    """Leave a socket open for the system to close when the process ends, because the interpreter is exiting.

    Finalizers may still write to it, and Python would complain about every socket that nobody closed.
    """
    kind = type(sock)
    if kind not in _kept:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        _kept[kind] = type(kind.__name__, (kind,), {"__slots__": (), "__del__": lambda sock: None, **names})
    sock.__class__ = _kept[kind]


def connect(endpoint: Endpoint, made: list[socket.socket] | None = None) -> socket.socket:
    """Return a TCP socket connected to an endpoint, through its proxy if it has one.

    `connect_timeout` bounds all of it except the name lookup.

    Args:
        endpoint: where to connect to.
        made: a list to which every new socket is appended, in case the caller is interrupted before it gets the result.

    Raises:
        OSError: there is no such host, no address answers, or the proxy refuses.
    """
    deadline = time.monotonic() + endpoint.connect_timeout
    if made is None:
        made = []
    try:
        sock = _dial(*endpoint.tcp, deadline, made)
        if endpoint.proxy is not None:
            _open_tunnel(sock, Tunnel(endpoint.proxy, endpoint.host, endpoint.port), deadline)
        sock.setblocking(False)
        return sock
    except BaseException:
        for sock in made:
            sock.close()
        raise


def _open_tunnel(sock: socket.socket, tunnel: Tunnel, deadline: float) -> None:
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        sock.sendall(tunnel.request)
        done = False
        while not done:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            done = tunnel.receive(sock.recv(READ_SIZE))
    except TimeoutError as error:
        if is_from_outside(error):
            raise
        raise TimeoutError("the proxy didn't answer in time") from None


def _dial(host: str, port: int, deadline: float, made: list[socket.socket]) -> socket.socket:
    """Return a connected socket, trying each address of the host in turn."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name of a host: {error}") from error
    failure = OSError(f"{host!r} has no address")
    for family, kind, protocol, _, address in addresses:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        made.append(socket.socket(family, kind, protocol))
        sock = owned(made[-1])
        try:
            sock.settimeout(remaining)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:
            if is_from_outside(error):
                raise
            failure = error
            sock.close()
        else:
            return sock
    raise failure


class Stream:
    """A connected socket that never blocks: it keeps what can't be written yet.

    Args:
        sock: connected and non-blocking; the stream owns it.
        context: the TLS context; None for plain TCP.
        server_hostname: the name that the certificate must contain.

    Attributes:
        sends: how many times the socket was given something to send, which it may have taken.
    """

    __slots__ = (
        "_failure",
        "_handshaking",
        "_sock",
        "_tls",
        "_unsent",
        "_unwritable",
        "_wants_write",
        "_would_block",
        "sends",
    )

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext | None = None, server_hostname: str | None = None
    ) -> None:
        self.sends = 0
        self._unsent: deque[memoryview] = deque()
        self._handshaking = context is not None
        self._unwritable = False
        self._wants_write = False  # whether the TLS handshake has something to write
        self._failure: OSError | None = None  # what the next read raises
        self._sock = sock
        self._tls: ssl.SSLSocket | None = None  # the same socket, if it speaks TLS
        self._would_block: tuple[type[OSError], ...] = (BlockingIOError,)
        if context is not None:
            import ssl  # noqa: PLC0415 (loads ssl only when needed)

            self._would_block = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
            try:
                self._sock = self._tls = context.wrap_socket(
                    sock, server_hostname=server_hostname, do_handshake_on_connect=False, suppress_ragged_eofs=True
                )
                owned(self._sock)
            except BaseException:
                sock.close()
                self._sock.close()
                raise

    @property
    def is_writable(self) -> bool:
        """Whether writing hasn't failed: what is written is sent, or kept until it can be."""
        return not self._unwritable

    @property
    def is_handshaking(self) -> bool:
        """Whether the TLS handshake is unfinished."""
        return self._handshaking

    @property
    def stage(self) -> str:
        """What has to finish before the stream can be used; empty if nothing has."""
        return "TLS handshake" if self._handshaking else ""

    @property
    def unsent(self) -> bool:
        """Whether output is waiting until the socket accepts it."""
        return bool(self._unsent)

    def handshake(self) -> bool:
        """Continue the TLS handshake as far as possible; return whether it is finished.

        Raises:
            OSError: it failed (ssl.SSLError says why).
        """
        if self._handshaking and self._tls is not None:
            import ssl  # noqa: PLC0415 (loads ssl only when needed)

            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._wants_write = False
                return False
            except ssl.SSLWantWriteError:
                self._wants_write = True
                return False
            self._handshaking = False
            self._wants_write = False
        return True

    def write(self, buffers: Iterable[bytes | bytearray]) -> None:
        """Write the buffers after what is still unsent, as far as the socket accepts them.

        Raises:
            OSError: the connection is broken.
        """
        if self._unwritable:
            return
        unsent = self._unsent
        unsent.extend(memoryview(buffer) for buffer in buffers)
        if self._handshaking:
            return
        while unsent:
            view = unsent[0]
            self.sends += 1
            try:
                count = self._sock.send(view)
            except self._would_block:
                return
            if count == len(view):
                unsent.popleft()
            else:
                unsent[0] = view[count:]

    def give_up_writing(self) -> None:
        """Write nothing more, because a write failed. What the peer sent before can still be read."""
        self._unwritable = True
        self._unsent.clear()

    def read(self) -> bytes | None:
        """Return what has arrived, None if nothing has yet, or b"" if the peer has finished sending.

        Raises:
            OSError: the connection is broken.
        """
        if self._tls is None:
            try:
                return self._sock.recv(READ_SIZE)
            except self._would_block:
                return None
        if self._failure is not None:
            raise self._failure
        parts: list[bytes] = []
        size = 0
        while size < READ_SIZE:  # TLS returns one record of up to 16 KiB at a time
            try:
                part = self._sock.recv(READ_SIZE)
            except self._would_block:
                break
            except OSError as error:
                if not parts or is_from_outside(error):
                    raise
                self._failure = error
                break
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        return b"".join(parts) if parts else None

    def wait(self, timeout: float, waker: Waker | None = None, *, for_reading: bool = True) -> None:
        """Wait until input arrives, unsent output can be written, the waker wakes, or the timeout expires.

        Args:
            timeout: in seconds; 0 doesn't wait.
            waker: wakes the thread that waits.
            for_reading: whether to wait for input.
        """
        sock = self._sock
        if for_reading and self._tls is not None and self._tls.pending():
            return
        for_writing = self._wants_write or (self.unsent and not self._handshaking)
        timeout = max(0.0, timeout)
        if hasattr(select, "poll"):
            poll = select.poll()
            try:
                poll.register(sock, (select.POLLIN if for_reading else 0) | (select.POLLOUT if for_writing else 0))
                if waker is not None:
                    poll.register(waker, select.POLLIN)
            except ValueError:
                return  # closed meanwhile, by a signal handler or after a fork
            poll.poll(timeout * 1000)
        else:  # Windows
            readers = [sock.fileno()] if for_reading else []
            if waker is not None:
                readers.append(waker.fileno())
            select.select(readers, [sock.fileno()] if for_writing else [], [], timeout)
        if waker is not None:
            waker.rest()

    def keep_to_the_end(self) -> None:
        """See the function of the same name."""
        keep_to_the_end(self._sock)

    def close(self) -> None:
        """End the connection and close the socket; end TLS in good order, but without waiting for an answer.

        If writing failed, TLS just ends.
        """
        sock = self._sock
        try:
            if self._tls is not None and not self._handshaking and not self._unwritable:
                self._tls.unwrap()
        except (OSError, ValueError) as error:  # the peer may be gone
            if is_from_outside(error):
                raise
        finally:
            sock.close()


class Waker:
    """Wakes a thread that waits for a stream."""

    __slots__ = ("_reader", "_writer")

    def __init__(self) -> None:
        pair: list[socket.socket] = []
        try:
            pair.extend(socket.socketpair())
            for sock in pair:
                owned(sock).setblocking(False)
            self._reader, self._writer = pair
        except BaseException:
            for sock in pair:
                sock.close()
            raise

    def fileno(self) -> int:
        """Return the number of the socket that becomes readable."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Wake the thread that waits, or the next one that will."""
        try:
            self._writer.send(b"\0")
        except OSError as error:  # it has been woken often enough
            if is_from_outside(error):
                raise

    def rest(self) -> None:
        """Reset it after it has woken the thread."""
        try:
            self._reader.recv(4096)
        except OSError as error:
            if is_from_outside(error):
                raise

    def keep_to_the_end(self) -> None:
        """See the function of the same name."""
        keep_to_the_end(self._reader)
        keep_to_the_end(self._writer)

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
