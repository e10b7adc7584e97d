"""Send and receive with the classic API, the one of uamqp 1.6; settle each message in another way, and print it.

    python examples/classic_send_and_receive.py                 on the broker that comes with the library
    python examples/classic_send_and_receive.py URL [OPTIONS]   on another

URL is amqp://user:password@host:port/ADDRESS, or amqps:// for TLS. What follows the slash after the host is the
broker's address of a queue: /queues/test for RabbitMQ 4 (so two slashes in all), /queue/test for RabbitMQ 3, test for
ActiveMQ. The queue should be empty.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import ExitStack
from urllib.parse import unquote, urlsplit

import uamqp
from uamqp import Message, ReceiveClient, SendClient, Source, Target
from uamqp.authentication import AMQPAuth, SASLAnonymous, SASLPlain
from uamqp.message import MessageProperties
from uamqp.testing import Broker

BODIES = [b"bytes", "text", {"a": "map", "n": 1}, 42, 2.5, True, None]


def build(number: int) -> Message:
    """Return the message with this number: each kind of body in turn."""
    return Message(
        BODIES[number % len(BODIES)],
        properties=MessageProperties(message_id=f"message-{number}", subject="demo"),
        application_properties={"number": number},
    )


def login(url: str, ca_file: str | None) -> AMQPAuth:
    """Return the credentials that the URL holds, and where to go with them."""
    parts = urlsplit(url)
    host, port = parts.hostname or "localhost", parts.port
    use_tls = parts.scheme == "amqps"
    if parts.username:
        return SASLPlain(
            host, unquote(parts.username), unquote(parts.password or ""), port=port, verify=ca_file, use_tls=use_tls
        )
    return SASLAnonymous(host, port=port, verify=ca_file, use_tls=use_tls)


def send(target: Target, auth: AMQPAuth, count: int) -> float:
    """Send the messages, many at a time; return the seconds until the broker had accepted all."""
    with SendClient(target, auth=auth) as client:
        start = time.perf_counter()
        client.queue_message(*(build(number) for number in range(count)))
        states = client.send_all_messages(close_on_done=False)
        elapsed = time.perf_counter() - start
    outcomes = Counter(state.name for state in states)
    print(f"sent      {count} messages: {', '.join(f'{number} {name}' for name, number in outcomes.items())}")
    if outcomes[uamqp.constants.MessageState.SendComplete.name] != count:
        raise SystemExit("Not every message was accepted.")
    return elapsed


def receive(source: Source, auth: AMQPAuth, count: int) -> float:
    """Receive every message; release each tenth once, accept the others; return the seconds it took."""
    settled: Counter[str] = Counter()
    seen: set[int] = set()
    released: set[int] = set()
    with ReceiveClient(source, auth=auth, auto_complete=False, prefetch=200, timeout=10000) as client:
        start = time.perf_counter()
        while len(seen) < count:
            batch = client.receive_message_batch(max_batch_size=100, timeout=10000)
            if not batch:
                raise SystemExit(f"Only {len(seen)} of {count} messages came back.")
            for message in batch:
                number = message.application_properties[b"number"]
                if number % 10 == 0 and number not in released:
                    released.add(number)
                    settled["released, to be delivered again"] += 1
                    message.release()
                else:
                    seen.add(number)
                    settled["accepted"] += 1
                    message.accept()
        elapsed = time.perf_counter() - start
    print(f"received  {sum(settled.values())} deliveries: {', '.join(f'{n} {name}' for name, n in settled.items())}")
    return elapsed


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="a broker's URL; default: the embedded broker")
    parser.add_argument("--count", type=int, default=1000, help="messages to send (default: %(default)s)")
    parser.add_argument("--ca", help="file with the CA certificates to trust, for amqps://")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.url
        if url is None:
            broker = stack.enter_context(Broker())
            url = f"{broker.url}/demo"
            print(f"broker    the embedded one, at {broker.url}")
        node = unquote(urlsplit(url).path[1:]) if "://" in url else url
        if not node:
            sys.exit("The URL needs the address of a queue: amqp://host:port/ADDRESS.")
        print(f"queue     {node}")
        sending = send(Target(url, node=node), login(url, options.ca), options.count)
        receiving = receive(Source(url, node=node), login(url, options.ca), options.count)
        print(f"rates     {options.count / sending:,.0f} messages/s out, {options.count / receiving:,.0f} back")
        if options.url is None:
            left = broker.queue("demo").depth
            print(f"left      {left} messages in the queue")
            if left:
                sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except (uamqp.errors.AMQPError, OSError, ValueError) as error:
        sys.exit(str(error))
