"""Publish messages to a topic, of which each of several subscribers gets a copy: with threads, over one connection.

    python examples/fan_out.py amqp://localhost topic://prices                ActiveMQ, Artemis, the embedded broker
    python examples/fan_out.py amqp://localhost /exchanges/amq.fanout /queues/a /queues/b               RabbitMQ 4

Each SOURCE gets a subscriber; without any, three subscribe to the TOPIC itself. RabbitMQ 4 has no addresses for
subscriptions: each subscriber has a queue there, which was declared and bound to the exchange before. A user and a
password go into the URL: amqp://user:password@host. A broker to try it with: `python -m uamqp.testing`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from uamqp.sync import AMQPError, Message, OperationTimeout, Receiver, Sender, connect

SYMBOLS = ("AMQP", "JMS", "MQTT")
LAST = "closing bell"


def prices(count: int) -> Iterator[Message]:
    """Make so many prices, and a message after which none follows. None has to outlive a restart of the broker."""
    for _ in range(count):
        price = {"symbol": random.choice(SYMBOLS), "price": round(random.uniform(90, 110), 2)}
        yield Message.of_json(price, subject="price", durable=False, ttl=60.0)
    yield Message(None, subject=LAST, durable=False, ttl=60.0)


def subscribe(receiver: Receiver, seconds: float) -> str:
    """Receive prices until the last, and return what there is to say of them."""
    highest: dict[str, float] = {}
    count = 0
    while (message := receiver.receive(timeout=seconds)).subject != LAST:
        price = message.json()
        highest[price["symbol"]] = max(price["price"], highest.get(price["symbol"], 0.0))
        count += 1
        message.accept()
    message.accept()
    return f"{count} prices; the highest: " + ", ".join(f"{symbol} {highest[symbol]}" for symbol in sorted(highest))


def publish(sender: Sender, count: int) -> str:
    """Send prices, and return how quickly."""
    start = time.perf_counter()
    report = sender.send_many(prices(count))  # raises SendManyFailed if one isn't accepted
    return f"{report.accepted - 1} prices published, {report.accepted / (time.perf_counter() - start):,.0f} messages/s"


def run(url: str, topic: str, sources: list[str], count: int, seconds: float) -> None:
    """Open all subscribers, then publish: a subscriber gets nothing that was published before."""
    with ExitStack() as stack:
        connection = stack.enter_context(connect(url))
        receivers = [stack.enter_context(connection.open_receiver(source)) for source in sources]
        sender = stack.enter_context(connection.open_sender(topic))
        with ThreadPoolExecutor(len(receivers)) as pool:
            told = [pool.submit(subscribe, receiver, seconds) for receiver in receivers]
            print(publish(sender, count))
            for number, each in enumerate(told, 1):
                print(f"subscriber {number}: {each.result()}")


def main() -> None:
    """Parse the arguments, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the broker's: amqp://host:port, amqps:// for TLS")
    parser.add_argument("topic", help="the address to publish to")
    parser.add_argument("sources", metavar="source", nargs="*", help="the address that a subscriber receives from")
    parser.add_argument("--count", type=int, default=1000, help="prices to publish (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for a price (default: 10)")
    options = parser.parse_args()
    run(options.url, options.topic, options.sources or [options.topic] * 3, options.count, options.timeout)


if __name__ == "__main__":
    try:
        main()
    except OperationTimeout as problem:
        sys.exit(f"a subscriber has missed something: {problem}")
    except (AMQPError, OSError) as problem:
        sys.exit(str(problem))
