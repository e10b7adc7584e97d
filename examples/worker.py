"""Run a command for each message of a queue, several at a time, and stop without losing any: with asyncio.

    python examples/worker.py amqp://localhost orders -- ./handle-order

The command gets the message's body as its standard input. By its exit status the message is accepted (0), given back to
be tried again (75), or rejected (any other). ADDRESS is the broker's address of the queue: /queues/orders for
RabbitMQ 4, orders for ActiveMQ and Artemis. A user and a password go into the URL: amqp://user:password@host.

SIGTERM or Ctrl-C ends it: no new message is taken, and the commands that run are waited for. A broker to try it with:
`python -m uamqp.testing`, and `examples/load_csv.py` fills the queue.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from uamqp.aio import AMQPError, Message, Receiver, connect

TRY_AGAIN = 75  # EX_TEMPFAIL, as mail programs have it

log = logging.getLogger("worker")


class TryAgainError(Exception):
    """A message can't be handled now; later it may."""


async def handle(message: Message, command: Sequence[str]) -> None:
    """Run the command for a message.

    Raises:
        TryAgainError: its exit status says so.
        ValueError: it has another exit status than 0.
    """
    body = message.body if isinstance(message.body, bytes) else message.text().encode()
    # In a session of its own, a Ctrl-C in the terminal isn't for the command as well.
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)
    await process.communicate(body)
    if process.returncode == TRY_AGAIN:
        raise TryAgainError
    if process.returncode != 0:
        raise ValueError(f"exit status {process.returncode}")


async def work(receiver: Receiver, command: Sequence[str]) -> int:
    """Handle one message after the other until the receiver is stopped, and return how many were accepted.

    Many tasks do this with one receiver: each message goes to one of them.
    """
    accepted = 0
    async for message in receiver:
        try:
            async with receiver.process(message):  # accepts it at the end; after an exception it is given back
                try:
                    await handle(message, command)
                    accepted += 1
                except (TypeError, ValueError) as error:  # it won't get better
                    log.error("rejected: %s: %s", message.message_id, error)
                    message.reject("worker:invalid", str(error))
        except TryAgainError:
            log.warning("given back: %s, which has failed %d times before", message.message_id, message.delivery_count)
    return accepted


async def run(url: str, address: str, command: Sequence[str], tasks: int) -> int:
    """Handle messages until a signal comes, and return how many were accepted."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def on_signal(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)

    async def stop(receiver: Receiver) -> None:
        await stopping.wait()
        log.info("stopping: %d messages are in work", receiver.unsettled)
        receiver.stop()  # iterations end; what was handed out can still be settled

    async with connect(url) as connection, connection.open_receiver(address, prefetch=2 * tasks) as receiver:
        log.info("%d tasks take messages from %s at %s", tasks, address, connection.endpoint)
        stopper = asyncio.create_task(stop(receiver))
        try:
            return sum(await asyncio.gather(*(work(receiver, command) for _ in range(tasks))))
        finally:
            stopper.cancel()


def main() -> None:
    """Parse the arguments, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the broker's: amqp://host:port, amqps:// for TLS")
    parser.add_argument("address", help="of the queue")
    parser.add_argument("command", nargs="+", help="what to run for each message, and its arguments; after --")
    parser.add_argument("--tasks", type=int, default=10, help="messages in work at a time (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    accepted = asyncio.run(run(options.url, options.address, options.command, options.tasks))
    print(f"{accepted} messages accepted")


if __name__ == "__main__":
    try:
        main()
    except (AMQPError, OSError) as problem:
        sys.exit(str(problem))
