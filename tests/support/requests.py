"""Requests to a node, and its answers, over the core, without I/O."""

from __future__ import annotations

from typing import Any

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.support.core import Client
from uamqp.codec import Properties, encode_value
from uamqp.core import RequestLinks, RequestNode


def answer(number: Any, properties: dict[str, Any] | None = None) -> bytes:
    """An answer to the request of this number."""
    out = Properties(correlation_id=number).encode()
    if properties is not None:
        out += b"\x00\x53\x74" + encode_value(properties)
    return out + b"\x00\x53\x77\x40"


class Called(Client):
    """A client that looks for a node by its address."""

    def __init__(self, address: str = "$node") -> None:
        super().__init__()
        self.node = RequestNode(self.session, address)
        self.handle = 1  # of the link for answers

    def open(self) -> RequestLinks:
        return self.node.open(self.now)

    def accept(self, *, first: bool = False) -> list[str]:
        """Let the links come, the connection before them if they are the first; return their names."""
        if first:
            self.peer.accept_open()
            self.peer.accept_begin()
        out, back = (self.peer.accept_attach(role) for role in (SENDER, RECEIVER))
        self.handle = back["handle"]
        self.peer.grant(10)
        self.peer.expect("flow")
        self.peer.ignore("disposition")
        return [out["name"], back["name"]]

    def answer(self, payload: bytes) -> None:
        self.peer.send_delivery(payload, handle=self.handle)

    def lose_links(self) -> None:
        self.peer.send("detach", handle=0, closed=True, error=codec.error("amqp:resource-deleted", "gone"))
