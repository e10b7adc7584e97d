"""The far end of the workloads `send` and `receive`: a program that prints its port, and serves one connection.

    python -m benchmarks.guard.far_end BATCH

It answers by counts and not by the clock: messages are accepted when a batch of them has come, and sent when there is
credit for a batch, all in one write. So a client that is counted reads and writes the same in every run. Frames are
those of tests.peer: nothing of the library is in here.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable

from tests.peer.codec import Composite
from tests.peer.frames import HEADERS, Frame, data_message, decode_frame, frame, performative
from tests.peer.script import RECEIVER, SENDER

BODY = b"x" * 100  # what the workloads send, and want to receive
LULL = 3.0
"""Seconds after which there is no batch to come, and what there is is answered."""

FRAME_SIZE = 65536
CREDIT = 100_000


class FarEnd:
    """One connection with one session and one link, and answers for what comes.

    Args:
        batch: messages that are dealt with at a time.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.message = data_message(BODY)
        self.out = bytearray()
        self.channel = 0
        self.handle = 0
        self.come = 0  # messages that have come
        self.accepted = 0
        self.sent = 0
        self.limit = 0  # messages that may be sent, from the first on
        self.answers: dict[str, Callable[[Frame], None]] = {
            "sasl_init": lambda came: self.say("sasl_outcome", code=0),
            "open": lambda came: self.say("open", container_id="far-end", max_frame_size=FRAME_SIZE),
            "begin": self.on_begin,
            "attach": self.on_attach,
            "flow": self.on_flow,
            "transfer": self.on_transfer,
            "detach": lambda came: self.say("detach", handle=self.handle, closed=True),
            "end": lambda came: self.say("end"),
            "close": lambda came: self.say("close"),
        }

    def say(self, name: str, /, **fields: object) -> None:
        channel = 0 if name in ("open", "close") else self.channel
        self.out += frame(performative(name, **fields), channel=channel, type_=int(name.startswith("sasl")))

    def take(self, data: bytearray) -> None:
        """Deal with the headers and frames that are whole, and remove them."""
        while len(data) >= 8:
            if data[:4] == b"AMQP":
                self.out += (raw := bytes(data[:8]))
                if raw == HEADERS["SASL"]:
                    self.say("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
            else:
                size = int.from_bytes(data[:4], "big")
                if len(data) < size:
                    return
                came = decode_frame(raw := bytes(data[:size]))
                answer = self.answers.get(came.name)
                if answer is not None:
                    answer(came)
            del data[: len(raw)]

    def on_begin(self, came: Frame) -> None:
        self.channel = came.channel
        windows = {"incoming_window": CREDIT, "outgoing_window": CREDIT}
        self.say("begin", remote_channel=came.channel, next_outgoing_id=0, **windows)

    def on_attach(self, came: Frame) -> None:
        self.handle = came["handle"]
        sends = came["role"] == SENDER
        mine: dict[str, object] = {} if sends else {"initial_delivery_count": 0}
        self.say(
            "attach",
            name=came["name"],
            handle=self.handle,
            role=RECEIVER if sends else SENDER,
            snd_settle_mode=came["snd_settle_mode"],
            source=came["source"],
            target=came["target"],
            **mine,
        )
        if sends:
            self.grant()

    def grant(self) -> None:
        """Give credit anew: what the peer has sent doesn't use it up."""
        windows = {"next_incoming_id": self.come, "incoming_window": CREDIT, "outgoing_window": CREDIT}
        link = {"handle": self.handle, "delivery_count": self.come, "link_credit": CREDIT}
        self.say("flow", next_outgoing_id=0, **windows, **link)

    def on_transfer(self, came: Frame) -> None:
        self.come += 1
        if self.come - self.accepted >= self.batch:
            self.accept()

    def accept(self) -> None:
        outcome = Composite("accepted", {})
        first, self.accepted = self.accepted, self.come
        self.say("disposition", role=RECEIVER, first=first, last=self.come - 1, settled=True, state=outcome)
        self.grant()

    def on_flow(self, came: Frame) -> None:
        if came["link_credit"] is not None:
            self.limit = (came["delivery_count"] or 0) + came["link_credit"]
        while self.limit - self.sent >= self.batch:
            self.send(self.batch)

    def send(self, count: int) -> None:
        for number in range(self.sent, self.sent + count):
            tag = b"%d" % number
            fields = {"handle": self.handle, "delivery_id": number, "delivery_tag": tag, "message_format": 0}
            self.out += frame(performative("transfer", **fields), self.message, channel=self.channel)
        self.sent += count

    def lull(self) -> None:
        """No whole batch comes: deal with the part that has."""
        if self.come > self.accepted:
            self.accept()
        if self.limit > self.sent:
            self.send(self.limit - self.sent)


def serve(connection: socket.socket, batch: int) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    far_end, data = FarEnd(batch), bytearray()
    while True:
        if select.select([connection], [], [], LULL)[0]:
            chunk = connection.recv(1 << 20)
            if not chunk:
                return
            data += chunk
            far_end.take(data)
        else:
            far_end.lull()
        if far_end.out:
            connection.sendall(far_end.out)
            far_end.out.clear()


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
        with connection:
            serve(connection, int(sys.argv[1]))


if __name__ == "__main__":
    main()
