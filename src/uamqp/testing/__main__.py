"""`python -m uamqp.testing`: an AMQP 1.0 broker for tests and demos, which runs until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from ..transport.sansio.endpoint import AMQP_PORT, AMQPS_PORT
from .broker import Broker

EPILOG = "For tests and demos only: everything is kept in memory. The first line of output is the broker's URL."


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m uamqp.testing", description="Run an AMQP 1.0 broker until it is stopped.", epilog=EPILOG
    )
    add = made.add_argument
    add("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    add("--port", type=int, help="where to listen; 0: any free port (5672, with TLS 5671)")
    add("--user", action="append", metavar="NAME:PASSWORD", help="a user for SASL PLAIN; may be repeated (any)")
    add(
        "--anonymous",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="let clients in without credentials (yes, unless --user is given)",
    )
    add("--tls-cert", metavar="FILE", help="certificate, PEM: use TLS")
    add("--tls-key", metavar="FILE", help="its key, PEM, if that isn't in the same file")
    add("--tls-ca", metavar="FILE", help="authority for client certificates, PEM: offer SASL EXTERNAL")
    add("--queue", action="append", default=[], metavar="NAME", help="a queue that exists from the start")
    add("--no-make-nodes", action="store_true", help="make no queues when they are first used")
    add("--idle-timeout", type=float, metavar="SECONDS", help="give up clients that are silent for twice as long")
    add("--max-message-size", type=int, default=64 * 1024 * 1024, metavar="BYTES", help="(%(default)s)")
    add("--max-queue-messages", type=int, default=100_000, metavar="N", help="(%(default)s)")
    add("--max-queue-bytes", type=int, default=256 * 1024 * 1024, metavar="BYTES", help="(%(default)s)")
    add(
        "--cbs", action="store_true", help="have a node $cbs, and let no link attach without a token; any token will do"
    )
    add("--steal-links", action="store_true", help="a link takes the place of one of the same name and container-id")
    add("--unpack-batches", action="store_true", help="keep the messages of a batch one by one")
    add("--max-deliveries", type=int, metavar="N", help="failed deliveries that make a dead letter (no limit)")
    return made


def users(given: list[str] | None) -> dict[str, str] | None:
    """Return names and passwords from texts NAME:PASSWORD.

    Raises:
        ValueError: a text has another form.
    """
    if given is None:
        return None
    found = {}
    for item in given:
        name, colon, password = item.partition(":")
        if not name or not colon:
            raise ValueError("--user takes NAME:PASSWORD")
        found[name] = password
    return found


def broker_of(arguments: argparse.Namespace) -> Broker:
    """Return the broker that the command line asks for.

    Raises:
        ValueError: a setting is invalid.
        OSError: a file can't be read.
    """
    port = arguments.port
    if port is None:
        port = AMQPS_PORT if arguments.tls_cert else AMQP_PORT
    return Broker(
        arguments.host,
        port,
        users=users(arguments.user),
        anonymous=arguments.anonymous,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
        tls_ca=arguments.tls_ca,
        queues=arguments.queue,
        make_nodes=not arguments.no_make_nodes,
        idle_timeout=arguments.idle_timeout,
        max_message_size=arguments.max_message_size,
        max_queue_messages=arguments.max_queue_messages,
        max_queue_bytes=arguments.max_queue_bytes,
        max_deliveries=arguments.max_deliveries,
        cbs=arguments.cbs,
        steal_links=arguments.steal_links,
        unpack_batches=arguments.unpack_batches,
    )


async def serve(broker: Broker) -> None:
    """Run the broker until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with broker:
        print(broker.url, flush=True)
        await stop.wait()


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    command = parser()
    arguments = command.parse_args(argv)
    try:
        broker = broker_of(arguments)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(broker))
    except (ValueError, OSError) as problem:
        command.exit(2, f"{command.prog}: {problem}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
