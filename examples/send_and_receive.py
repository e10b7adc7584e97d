"""Send messages to a broker, receive them back, settle them, and print what became of them.

    python examples/send_and_receive.py                        on the broker that comes with the library
    python examples/send_and_receive.py URL ADDRESS [OPTIONS]  on another

URL is amqp://user:password@host:port, or amqps:// for TLS. ADDRESS is the broker's address of a queue: /queues/test for
RabbitMQ 4, /queue/test for RabbitMQ 3, test for others. The queue should be empty.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

from uamqp.aio import AMQPError, Connection, Message, connect
from uamqp.testing import Broker

BODIES: list[Any] = [b"bytes", "text", {"a": "map", "n": 1}, 42, 2.5, True, None]


def build(number: int) -> Message:
    """Return the message with this number: each kind of body in turn."""
    return Message(
        BODIES[number % len(BODIES)],
        message_id=f"message-{number}",
        subject="demo",
        application_properties={"number": number},
    )


async def send(connection: Connection, address: str, count: int) -> None:
    """Send the messages, many at a time, and wait until the broker has accepted all."""
    async with connection.open_sender(address) as sender:
        start = time.perf_counter()
        report = await sender.send_many((build(number) for number in range(count)), on_failure="collect")
        elapsed = time.perf_counter() - start
    print(f"sent      {report.accepted} of {count} messages accepted, {count / elapsed:,.0f} messages/s")
    for delivery in report.failures:
        print(f"failed    {delivery.message}: {delivery.error}")
    if report.failures:
        raise SystemExit(1)


async def receive(connection: Connection, address: str, count: int) -> None:
    """Receive every message; release each tenth once, accept the others."""
    settled: Counter[str] = Counter()
    seen: set[int] = set()
    released: set[int] = set()
    async with connection.open_receiver(address, prefetch=200) as receiver:
        start = time.perf_counter()
        while len(seen) < count:
            batch = await receiver.receive_many(100, timeout=10)
            if not batch:
                raise SystemExit(f"Only {len(seen)} of {count} messages came back.")
            for message in batch:
                number = message.application_properties["number"]
                if number % 10 == 0 and number not in released:
                    released.add(number)
                    settled["released, to be delivered again"] += 1
                    message.release()
                else:
                    seen.add(number)
                    settled["accepted"] += 1
                    message.accept()
        elapsed = time.perf_counter() - start
    outcomes = ", ".join(f"{number} {name}" for name, number in settled.items())
    print(f"received  {settled.total()} deliveries: {outcomes}, {count / elapsed:,.0f} messages/s")


async def run(url: str, address: str, count: int, tls: ssl.SSLContext | None) -> None:
    """Send and receive over one connection."""
    async with connect(url, tls=tls) as connection:
        print(f"broker    {connection.endpoint}")
        print(f"queue     {address}")
        await send(connection, address, count)
        await receive(connection, address, count)


def trusting(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates in a file."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SystemExit(f"{ca_file} can't be used: {error}") from None


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="a broker's URL; default: the embedded broker")
    parser.add_argument("address", nargs="?", default="demo", help="of the queue (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="messages to send (default: %(default)s)")
    parser.add_argument("--ca", help="file with the CA certificates to trust, for amqps://")
    options = parser.parse_args()
    with ExitStack() as stack:
        embedded = None if options.url else stack.enter_context(Broker())
        url = options.url if embedded is None else embedded.url
        asyncio.run(run(url, options.address, options.count, trusting(options.ca) if options.ca else None))
        if embedded is not None:
            left = embedded.queue(options.address).depth
            print(f"left      {left} messages in the queue")
            if left:
                sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except AMQPError as error:
        sys.exit(str(error))
