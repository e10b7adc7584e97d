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
"""Bytes taken from the socket at a time, at most."""

_OURS = ("asyncio", "importlib", "socket", "ssl", "websockets", __name__.partition(".")[0])


def is_from_outside(error: BaseException) -> bool:
    """Tell whether a signal handler has raised an error, `TimeoutError` for instance, and not what was called here.

    It tells nothing of the connection then, and is for the caller. A handler's frame follows one of ours, or of what we
    use; something of the application's that is called by way of another module (a filter of its logging) isn't one.
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
"""Classes of sockets, and those that `keep_to_the_end` makes of them."""


def keep_to_the_end(sock: socket.socket) -> None:
    """Leave a socket to the system, which closes it when the process ends: the interpreter is about to.

    Finalizers may still write over it, and Python would complain of each that nobody has closed.
    """
    kind = type(sock)
    if kind not in _kept:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        _kept[kind] = type(kind.__name__, (kind,), {"__slots__": (), "__del__": lambda sock: None, **names})
    sock.__class__ = _kept[kind]


def connect(endpoint: Endpoint, made: list[socket.socket] | None = None) -> socket.socket:
    """Return a TCP socket that is connected to an endpoint, through its proxy if it has one.

    `connect_timeout` bounds it, except for looking the name up.

    Args:
        made: the sockets that were made are appended to it, for a caller who is interrupted before it has what is
            returned.

    Raises:
        OSError: there is no such host, or no address answers, or the proxy refuses.
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
    """Return a connected socket; each address of the host is tried in turn."""
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
    """A connected socket that never blocks: what can't be written yet is kept.

    Args:
        sock: connected and non-blocking; the stream owns it.
        context: TLS is spoken if given.
        server_hostname: whom the certificate must name.

    Attributes:
        sends: how often the socket was given something to send; it may have taken it.
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
        self._wants_write = False  # TLS: the handshake has something to write
        self._failure: OSError | None = None  # what the next read raises
        self._sock = sock
        self._tls: ssl.SSLSocket | None = None  # the socket, if TLS is spoken
        self._would_block: tuple[type[OSError], ...] = (BlockingIOError,)
        if context is not None:
            import ssl  # noqa: PLC0415 (who speaks no TLS does without)

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
        """Nothing was given up yet: what is written goes out, or is kept until it can."""
        return not self._unwritable

    @property
    def is_handshaking(self) -> bool:
        """The TLS handshake isn't finished."""
        return self._handshaking

    @property
    def stage(self) -> str:
        """What is under way before the stream can be used; empty: nothing."""
        return "TLS handshake" if self._handshaking else ""

    @property
    def unsent(self) -> bool:
        """Something waits until the socket takes it."""
        return bool(self._unsent)

    def handshake(self) -> bool:
        """Go on with the TLS handshake as far as possible; tell whether it is finished.

        Raises:
            OSError: it failed (ssl.SSLError says why).
        """
        if self._handshaking and self._tls is not None:
            import ssl  # noqa: PLC0415 (who speaks no TLS does without)

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
        """Write the buffers after what is still unsent, as far as the socket takes them.

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
        """Write nothing more: a write has failed. What the peer has sent before can still be read."""
        self._unwritable = True
        self._unsent.clear()

    def read(self) -> bytes | None:
        """Return what has arrived; None: nothing yet; b"": the peer will send no more.

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
        while size < READ_SIZE:  # TLS gives one record of up to 16 KiB at a time
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
        """Wait until there is something to read, what is unsent can be written, the waker wakes, or the time is over.

        Args:
            timeout: seconds; 0 doesn't wait.
            for_reading: False: leave what arrives where it is.
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
                return  # a signal handler, or whoever follows a fork, has closed it in the meantime
            poll.poll(timeout * 1000)
        else:  # Windows
            readers = [sock.fileno()] if for_reading else []
            if waker is not None:
                readers.append(waker.fileno())
            select.select(readers, [sock.fileno()] if for_writing else [], [], timeout)
        if waker is not None:
            waker.rest()

    def keep_to_the_end(self) -> None:
        """See the function of that name."""
        keep_to_the_end(self._sock)

    def close(self) -> None:
        """End the connection, TLS with a goodbye but without waiting for an answer, and close the socket.

        Without the goodbye where nothing more is to be written.
        """
        sock = self._sock
        try:
            if self._tls is not None and not self._handshaking and not self._unwritable:
                self._tls.unwrap()
        except (OSError, ValueError) as error:  # the peer needn't answer, and may be gone
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
        """The number of the socket that becomes readable."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Wake the thread that waits, or the next one that will."""
        try:
            self._writer.send(b"\0")
        except OSError as error:  # enough has been said already
            if is_from_outside(error):
                raise

    def rest(self) -> None:
        """Take note of having been woken."""
        try:
            self._reader.recv(4096)
        except OSError as error:
            if is_from_outside(error):
                raise

    def keep_to_the_end(self) -> None:
        """See the function of that name."""
        keep_to_the_end(self._reader)
        keep_to_the_end(self._writer)

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
