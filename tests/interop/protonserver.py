"""python-qpid-proton as a server: a small broker that tests can tell what to do."""

from __future__ import annotations

import collections
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

from proton import Delivery, Endpoint, Link, Message, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector

OUTCOMES = {
    int(Delivery.RECEIVED): "received",
    int(Delivery.ACCEPTED): "accepted",
    int(Delivery.REJECTED): "rejected",
    int(Delivery.RELEASED): "released",
    int(Delivery.MODIFIED): "modified",
}


class ProtonServer(MessagingHandler):  # type: ignore[misc]  # proton has no types
    """Queues made on first use, in a thread of its own; a context manager.

    `answer` is the outcome for what comes in: None accepts and keeps the message, Delivery.REJECTED and so on don't.
    `seen` gets the name of each outcome that a receiver gave. What `do` is given runs in the server's thread.
    """

    def __init__(self, domain: SSLDomain | None = None, answer: int | None = None) -> None:
        super().__init__(prefetch=100, auto_accept=False, auto_settle=False)
        self.domain, self.answer = domain, answer
        self.queues: dict[str, collections.deque[Any]] = collections.defaultdict(collections.deque)
        self.links: dict[str, list[Any]] = collections.defaultdict(list)
        self.seen: queue.Queue[str] = queue.Queue()
        self.connections: list[Any] = []
        self.injector = EventInjector()
        self.container = Container(self)
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.container.run, daemon=True)
        self.port = 0
        self.tags = 0

    def __enter__(self) -> ProtonServer:  # noqa: PYI034 (Self is Python 3.11's)
        self.thread.start()
        if not self.started.wait(10):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.do(self.container.stop)
        self.injector.close()
        self.thread.join(10)

    def do(self, action: Callable[[], object]) -> None:
        """Runs something in the server's thread."""
        self.injector.trigger(ApplicationEvent("do", subject=action))

    def on_do(self, event: Any) -> None:
        event.subject()

    def on_start(self, event: Any) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.acceptor = event.container.listen(f"127.0.0.1:{self.port}", ssl_domain=self.domain)
        event.container.selectable(self.injector)
        self.started.set()

    def on_connection_opening(self, event: Any) -> None:
        self.connections.append(event.connection)

    def on_link_opening(self, event: Any) -> None:
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        if link.is_sender:
            self.links[link.source.address].append(link)

    def on_sendable(self, event: Any) -> None:
        self.pump(event.link.source.address)
        if event.link.drain_mode:
            event.link.drained()

    def pump(self, address: str) -> None:
        for link in self.links[address]:
            while self.queues[address] and link.credit > 0 and link.state & Endpoint.LOCAL_ACTIVE:
                self.tags += 1
                delivery = link.delivery(str(self.tags))
                link.send(self.queues[address][0].encode())
                delivery.message = self.queues[address].popleft()
                link.advance()
                if link.snd_settle_mode == Link.SND_SETTLED:
                    delivery.settle()

    def on_message(self, event: Any) -> None:
        delivery, address = event.delivery, event.link.target.address
        if self.answer is None:
            self.queues[address].append(event.message)
            delivery.update(Delivery.ACCEPTED)
        else:
            delivery.update(self.answer)
        delivery.settle()
        self.pump(address)

    def on_delivery(self, event: Any) -> None:
        delivery, link = event.delivery, event.link
        if not link.is_sender or not delivery.updated:
            return
        state, settled = delivery.remote_state, delivery.settled
        if state:
            name = OUTCOMES[int(state)]
            self.seen.put(f"{name} {'settled' if settled else 'unsettled'}")
            if name in {"released", "modified"} and hasattr(delivery, "message"):
                self.queues[link.source.address].appendleft(delivery.message)
            delivery.settle()
            self.pump(link.source.address)

    def put(self, address: str, *bodies: Any) -> None:
        """Puts messages on a queue."""

        def action() -> None:
            self.queues[address].extend(Message(body=body) for body in bodies)
            self.pump(address)

        self.do(action)
