"""Send a message to a broker and receive it, with the engine and the codec of uamqp and a socket of our own.

    python examples/engine_over_sockets.py                       on the broker that comes with the library
    python examples/engine_over_sockets.py HOST PORT ADDRESS     on another, without TLS, as guest, password guest

docs/engine.md explains what is called here.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from contextlib import ExitStack
from typing import Any, TypeVar

from uamqp.codec import ACCEPTED, DATA, Source, Target, append_section_header, append_value, decode_value, scan_sections
from uamqp.engine import Engine, EngineConfig, IncomingDelivery, OutgoingDelivery, sasl
from uamqp.engine.events import ConnectionClosed, ConnectionOpened, CreditChanged, LinkOpened, SessionOpened
from uamqp.testing import Broker

E = TypeVar("E")
now = time.monotonic


class Client:
    """An engine and its socket."""

    def __init__(self, host: str, port: int) -> None:
        config = EngineConfig("example", hostname=host, mechanisms=[sasl.Plain("guest", "guest")], idle_timeout=30)
        self.engine = Engine(config, now())
        self.socket = socket.create_connection((host, port), timeout=10)
        self.events: deque[Any] = deque()

    def wait(self, kind: type[E]) -> E:
        """Return the next event of a kind; those before it only matter if they say that something has ended."""
        while True:
            while not self.events:
                self.turn()
            event = self.events.popleft()
            if isinstance(event, kind):
                return event
            if getattr(event, "cause", None) is not None:
                raise SystemExit(event.cause.message)

    def turn(self) -> None:
        """Write what is due and collect events. If there are none, wait for the peer, or until something is due."""
        self.engine.tick(now())
        while buffers := self.engine.data_to_send():
            for buffer in buffers:
                self.socket.sendall(buffer)
        self.events.extend(self.engine.events())
        deadline = self.engine.next_deadline()
        if not self.events:
            left = None if deadline is None else max(0.0, deadline - now())
            if select.select([self.socket], [], [], left)[0]:
                self.engine.receive_data(self.socket.recv(65536), now())  # b"" tells it that the peer has gone


def main(host: str, port: int, address: str) -> None:
    """Send one message to the address, and receive one from there."""
    client = Client(host, port)
    client.engine.open(now())
    client.wait(ConnectionOpened)
    session = client.engine.begin(now())
    client.wait(SessionOpened)

    sender = session.attach_sender(now(), "to", source=Source("example"), target=Target(address))
    while not sender.credit:
        client.wait(CreditChanged)
    message = bytearray()
    append_section_header(message, DATA)
    append_value(message, b"hello")
    sender.send(bytes(message))
    print(f"sent      {client.wait(OutgoingDelivery).remote_state}")

    receiver = session.attach_receiver(now(), "from", source=Source(address), target=Target("example"))
    client.wait(LinkOpened)
    receiver.set_credit(1)
    delivery = client.wait(IncomingDelivery)
    for code, start, end in scan_sections(delivery.payload):
        if code == DATA:
            print(f"received  {decode_value(delivery.payload[start:end])}")
    delivery.settle(ACCEPTED)

    client.engine.close(now())
    client.wait(ConnectionClosed)
    client.socket.close()


if __name__ == "__main__":
    with ExitStack() as stack:
        if len(sys.argv) == 4:
            main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
        else:
            broker = stack.enter_context(Broker())
            main(broker.host, broker.port, "demo")
