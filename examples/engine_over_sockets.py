"""Send a message to a broker and receive it, with the engine and the codec of uamqp and a socket of our own.

python examples/engine_over_sockets.py                       on the broker that comes with the library
python examples/engine_over_sockets.py HOST PORT ADDRESS     on another, without TLS, as guest, password guest
"""

import sys
from collections.abc import Iterator
from select import select
from socket import create_connection, socket
from time import monotonic as now

from uamqp.codec import ACCEPTED, Source, Target, body_parts, encode_data, scan_sections
from uamqp.engine import Engine, EngineConfig, IncomingDelivery, OutgoingDelivery, sasl
from uamqp.engine.events import ConnectionClosed, ConnectionOpened, CreditChanged, Event, SessionOpened
from uamqp.testing import Broker


def drive(engine: Engine, sock: socket) -> Iterator[Event]:
    """Yield what happens on a connection. Commands that are given between two events are written before the next."""
    while True:
        engine.tick(now())
        while buffers := engine.data_to_send():
            sock.sendall(b"".join(buffers))
        for event in (happened := engine.events()):
            if cause := getattr(event, "cause", None):  # the connection, the session or a link is over
                raise ConnectionError(cause.message)
            yield event
        left = None if (deadline := engine.next_deadline()) is None else max(0.0, deadline - now())
        if not happened and select([sock], [], [], left)[0]:
            engine.receive_data(sock.recv(65536), now())  # b"" tells it that the peer has gone


def send_and_receive(engine: Engine, sock: socket, address: str) -> None:
    """Send one message to the address, and receive one from there."""
    events = drive(engine, sock)
    engine.open(now())
    next(event for event in events if isinstance(event, ConnectionOpened))
    session = engine.begin(now())
    next(event for event in events if isinstance(event, SessionOpened))

    sender = session.attach_sender(now(), "to", source=Source("example"), target=Target(address))
    next(event for event in events if isinstance(event, CreditChanged))
    sender.send(encode_data(b"hello"))
    print("sent     ", next(event for event in events if isinstance(event, OutgoingDelivery)).remote_state)

    receiver = session.attach_receiver(now(), "from", source=Source(address), target=Target("example"))
    receiver.set_credit(1)
    received = next(event for event in events if isinstance(event, IncomingDelivery))
    print("received ", *body_parts(received.payload, scan_sections(received.payload)))
    received.settle(ACCEPTED)

    engine.close(now())
    next(event for event in events if isinstance(event, ConnectionClosed))


def main(host: str, port: int, address: str) -> None:
    """Connect, and say what goes wrong."""
    config = EngineConfig("example", hostname=host, mechanisms=[sasl.Plain("guest", "guest")], idle_timeout=30)
    try:
        with create_connection((host, port), timeout=10) as sock:
            send_and_receive(Engine(config, now()), sock, address)
    except (OSError, ValueError) as error:  # the socket's or `drive`'s; the codec's, for what is no message
        sys.exit(f"{host}:{port}: {error}")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2].isdigit():
        main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    elif len(sys.argv) > 1:
        sys.exit(__doc__)
    else:
        with Broker() as broker:
            main(broker.host, broker.port, "demo")
