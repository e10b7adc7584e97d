"""A scripted peer as a TCP or TLS server in background threads, for tests of the blocking API.

    def script(peer):
        peer.accept_sasl()
        peer.accept_open()
        ...
        peer.expect_eof()

    with ScriptedServer(script) as server:
        connect("127.0.0.1", server.port)

A script runs once for each connection, in a thread of its own. A failure is kept and raised by `check()`,
which leaving the `with` block calls; every wait is bounded. It imports nothing of the library.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, final

from .script import Peer, ScriptFailure

LATE = 0.0
"""Seconds that whatever is sent is held back; see the option `--late`."""

Script = Callable[["SocketPeer"], None]


class _Stopped(Exception):
    """The test has ended; the script has nothing more to do."""


class SocketSource:
    """A connected TCP socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.was_reset = False

    def read(self, timeout: float) -> bytes | None:
        try:
            self.sock.settimeout(max(timeout, 0.001))
            return self.sock.recv(65536)
        except TimeoutError:
            return None
        except OSError:
            self.was_reset = True
            return b""

    def write(self, data: bytes) -> None:
        time.sleep(LATE)
        self.sock.settimeout(10.0)
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()

    def say_end(self) -> None:
        """Ends our direction of the stream; the other goes on."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """Closes so that the other side gets a connection reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class TlsSource(SocketSource):
    """TLS over a connected socket. Not an SSLSocket: that cannot say its end and read on."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._timeout = timeout

    def handshake(self) -> None:
        """Raises what the handshake fails with."""
        while True:
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            finally:
                self._flush()  # an alert, if it failed
            if done:
                return
            if not self._more(self._timeout):
                raise TimeoutError("no TLS handshake came")

    def read_or_raise(self, timeout: float) -> bytes | None:
        """As `read`; raises what TLS fails with."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._more(timeout):
                    return None

    def read(self, timeout: float) -> bytes | None:
        try:
            return self.read_or_raise(timeout)
        except ssl.SSLError:  # the end without a word of TLS, or no TLS
            return b""

    def write(self, data: bytes) -> None:
        self.tls.write(data)
        self._flush()

    def close(self) -> None:
        self.say_end()
        super().close()

    def say_end(self) -> None:
        try:
            self.tls.unwrap()
        except OSError:  # no answer to it is there yet, and none is waited for
            pass
        try:
            self._flush()
        except OSError:
            pass
        super().say_end()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            super().write(data)

    def _more(self, timeout: float) -> bool:
        data = super().read(timeout)
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
        return data is not None


class MovingClock(Protocol):
    """The clock of the one whom a script talks to."""

    def move(self, seconds: float) -> None:
        """So much time passes, at once."""


class SocketPeer(Peer):
    """What a script of `ScriptedServer` gets."""

    def __init__(self, source: SocketSource, server: ScriptedServer, index: int) -> None:
        self.socket_source = source
        super().__init__(source, server.timeout)
        self.server = server
        self.index = index

    @property
    def client_certificate(self) -> dict[str, Any] | None:
        """The certificate that the client showed, as `ssl.SSLSocket.getpeercert` has it."""
        return self.socket_source.tls.getpeercert() if isinstance(self.socket_source, TlsSource) else None

    def reset_socket(self) -> None:
        """Cuts the connection: the other side gets a connection reset."""
        self.history.append("-> reset")
        self._closed = True
        self.socket_source.reset()

    def tell(self, what: str) -> None:
        """The test may go on from `server.wait(what)`."""
        self.server.tell(what)

    def wait(self, what: str) -> None:
        """Waits for the test's `server.tell(what)`."""
        self.server.wait(what)

    def stay_silent(self, seconds: float) -> None:
        """Nothing is sent for so long, by the test's clock; see `ScriptedServer.clock`."""
        self.history.append(f"-- {seconds} s pass")
        if self.server.clock is None:
            self.fail("a clock, which can be moved on", "a ScriptedServer without one")
        self.server.clock.move(seconds)

    def wait_out(self, seconds: float) -> None:
        """As `stay_silent`; again and again, until the client says something: it may read late what was sent before."""
        deadline = time.monotonic() + self.timeout
        self.stay_silent(seconds)
        while not self._fill(len(self._buffer) + 1, 0.02) and not self._eof:
            if time.monotonic() > deadline:
                self.fail("anything", "nothing")
            self.stay_silent(seconds)

    def finish(self) -> None:
        """Ends the stream, and reads on until the client has too: nothing more may come."""
        if not self._closed and not self._eof:
            self.socket_source.say_end()
        came = self._next(self.timeout, "nothing more")
        if came is not None:
            self.fail("nothing more", repr(came))
        if not self._eof:
            self.fail("the client to close the connection after the end of the script", "nothing")
        self.close_socket()


@final
class ScriptedServer:
    """Runs scripts as servers: one for each connection, in the order in which they are accepted.

    scripts: one function, or one for each connection that is to come. tls: the server's SSL context.
    handshake_fails: the TLS handshake is to fail (the script is not run); see `tls_errors`.
    refuse_more: refuse further connections, instead of failing the test. timeout: seconds for any one wait.
    clock: what `SocketPeer.stay_silent` moves on.
    """

    def __init__(
        self,
        scripts: Script | Sequence[Script],
        *,
        tls: ssl.SSLContext | None = None,
        handshake_fails: bool = False,
        refuse_more: bool = False,
        host: str = "127.0.0.1",
        timeout: float = 10.0,
        clock: MovingClock | None = None,
    ) -> None:
        self.scripts = [scripts] if callable(scripts) else list(scripts)
        self.tls = tls
        self.handshake_fails = handshake_fails
        self.refuse_more = refuse_more
        self.timeout = timeout
        self.clock = clock
        self.tls_errors: list[Exception] = []
        self.failures: list[BaseException] = []
        self._after_the_end: list[BaseException] = []
        self.connections = 0
        self._told: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._sockets: list[socket.socket] = []
        self._workers: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._wake_read, self._wake_write = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="scripted-server", daemon=True)
        self._acceptor.start()

    # ------------------------------------------------------- for the test

    def tell(self, what: str) -> None:
        """The script may go on from `peer.wait(what)`."""
        self._event(what).set()

    def wait(self, what: str) -> None:
        """Waits for the script's `peer.tell(what)`; raises the script's failure if that came first."""
        event = self._event(what)
        deadline = time.monotonic() + self.timeout
        while not event.wait(0.05):
            if self._stopping:
                raise _Stopped
            if self.failures:
                raise ScriptFailure(f"the script failed before {what!r}: {self.failures[0]}")
            if time.monotonic() > deadline:
                raise ScriptFailure(f"nobody said {what!r} within {self.timeout} s")

    def check(self) -> None:
        """Waits for the scripts to end, and raises the first failure of any."""
        # The connections a test makes are in the listener's queue by now.
        self._wake()
        self._acceptor.join(self.timeout)
        deadline = time.monotonic() + self.timeout + 2.0  # a script's own wait ends before, and says for what
        for worker in self._workers:
            worker.join(max(deadline - time.monotonic(), 0.0))
        stuck = [worker.name for worker in self._workers if worker.is_alive()]
        self._stop()
        if self.failures:
            raise self.failures[0]
        if stuck:
            raise ScriptFailure(f"a script did not end within {self.timeout + 2} s: {', '.join(stuck)}")
        if self.connections < len(self.scripts):
            raise ScriptFailure(f"{len(self.scripts)} connections were to come, {self.connections} came")

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.check()
            return
        # The script may have failed first, and the error be what came of it; or the other way round, if the
        # script failed for the end of the stream.
        failures = [failure for failure in self.failures if failure not in self._after_the_end]
        self._stop()
        if failures and isinstance(error, Exception) and error is not failures[0]:
            raise failures[0] from error

    # ------------------------------------------------------- inside

    def _event(self, what: str) -> threading.Event:
        with self._lock:
            return self._told.setdefault(what, threading.Event())

    def _accept(self) -> None:
        with self._listener:
            while True:
                if self.refuse_more and self.connections == len(self.scripts):
                    return
                ready, _, _ = select.select([self._listener, self._wake_read], [], [])
                if self._listener not in ready:
                    return
                sock, _ = self._listener.accept()
                index = self.connections
                self.connections += 1
                if index >= len(self.scripts):
                    many = f"{len(self.scripts)} connections were to come, another came"
                    self.failures.append(ScriptFailure(many))
                    sock.close()
                    continue
                if self.refuse_more and self.connections == len(self.scripts):
                    self._listener.close()
                self._sockets.append(sock)
                name = f"script-{index}"
                worker = threading.Thread(target=self._run, args=(sock, index), name=name, daemon=True)
                self._workers.append(worker)
                worker.start()

    def _run(self, sock: socket.socket, index: int) -> None:
        with sock:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                source = SocketSource(sock) if self.tls is None else self._handshake(sock, self.tls)
                if source is not None:
                    self._run_script(source, index)
            except BaseException as error:  # noqa: BLE001 (kept, and raised in the test)
                if not self._stopping:
                    self.failures.append(error)

    def _handshake(self, sock: socket.socket, context: ssl.SSLContext) -> TlsSource | None:
        source = TlsSource(sock, context, self.timeout)
        try:
            source.handshake()
            if not self.handshake_fails:
                return source
            # With TLS 1.3 a client refuses the server's certificate after the server has finished.
            rest = source.read_or_raise(self.timeout)
        except OSError as error:
            self.tls_errors.append(error)
            if self.handshake_fails:
                return None
            raise
        if rest == b"":
            self.tls_errors.append(ssl.SSLEOFError("the client closed during the handshake"))
            return None
        raise ScriptFailure("the TLS handshake was to fail; it succeeded")

    def _run_script(self, source: SocketSource, index: int) -> None:
        peer = SocketPeer(source, self, index)
        try:
            self.scripts[index](peer)
            peer.finish()
        except BaseException as error:  # noqa: BLE001 (kept, and raised in the test)
            # Before the client can see the end of the connection, and fail for that.
            if not self._stopping and not isinstance(error, _Stopped):
                if peer.saw_the_end:
                    self._after_the_end.append(error)
                self.failures.append(error)
        finally:
            peer.close_socket()

    def _wake(self) -> None:
        try:
            self._wake_write.sendall(b"x")
        except OSError:  # it has stopped
            pass

    def _stop(self) -> None:
        self._stopping = True
        self._wake()
        for sock in self._sockets:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass
        self._acceptor.join(self.timeout)
        for worker in self._workers:
            worker.join(self.timeout)
        self._wake_read.close()
        self._wake_write.close()


def run_client(port: int, do: Callable[[socket.socket], Any], host: str = "127.0.0.1") -> Any:
    """Connects a plain socket and hands it to `do`; for tests of the server itself."""
    with socket.create_connection((host, port), timeout=10.0) as sock:
        return do(sock)
