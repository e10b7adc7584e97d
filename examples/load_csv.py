"""Send each row of a CSV file as a message of its own, as fast as the broker takes them, and say which rows failed.

    python examples/load_csv.py amqp://localhost orders orders.csv

A message has the row as a JSON object, its number in the file as the application property "row", and with `--id COLUMN`
that column's value as its message-id. ADDRESS is the broker's address of a queue or topic: /queues/orders for RabbitMQ
4, orders for ActiveMQ and Artemis. A user and a password go into the URL: amqp://user:password@host.

The exit status is 0 if all rows were accepted, 1 if some weren't, which standard error then names, and 2 if the broker
can't be reached or the file can't be opened.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import time
from collections.abc import Iterator
from typing import IO

from uamqp.sync import AMQPError, Message, connect


class Progress:
    """A line on a terminal that grows with what was read of a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size or 1
        self.start = self.shown = time.monotonic()

    def show(self, rows: int, *, is_last: bool = False) -> None:
        """Show it again, ten times a second at most. Where standard error is no terminal, nothing is shown."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (now < self.shown + 0.1 and not is_last):
            return
        self.shown = now
        share = min(self.file.tell() / self.size, 1.0)
        rate = rows / max(now - self.start, 1e-3)
        bar = "#" * round(40 * share)
        print(f"\r[{bar:40}] {share:4.0%} {rows:,} rows, {rate:,.0f}/s ", end="\n" if is_last else "", file=sys.stderr)


def messages(file: IO[str], identity: str | None, progress: Progress, wrong: list[str]) -> Iterator[Message]:
    """Make a message of each row of a CSV file, whose first line names the columns.

    Args:
        file: the file.
        identity: the column whose value becomes the message-id, if any.
        progress: what to show it on.
        wrong: where to put what is said of rows that can't be sent.
    """
    reader = csv.DictReader(file, strict=True)
    try:
        for number, row in enumerate(reader, 1):
            progress.show(number)
            if None in row or None in row.values():  # what csv has for cells too many, or too few
                wrong.append(f"row {number}: it hasn't as many cells as there are columns")
                continue
            message_id = None if identity is None else row[identity]
            yield Message.of_json(row, message_id=message_id, application_properties={"row": number})
    except KeyError:
        wrong.append(f"there is no column {identity!r}: the columns are {reader.fieldnames}")
    except (csv.Error, UnicodeDecodeError) as error:
        wrong.append(f"line {reader.line_num + 1}, and all that follows: {error}")


def load(url: str, address: str, path: str, window: int, identity: str | None) -> bool:
    """Send a file's rows, print what became of them, and return whether all were accepted."""
    wrong: list[str] = []
    with (
        open(path, "rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file,
        connect(url) as connection,
        connection.open_sender(address) as sender,
    ):
        progress = Progress(raw)
        report = sender.send_many(messages(file, identity, progress, wrong), window=window, on_failure="collect")
        progress.show(report.taken, is_last=True)
    for text in wrong:
        print(text, file=sys.stderr)
    for delivery in report.failures:
        print(f"row {delivery.message.application_properties['row']}: {delivery.error}", file=sys.stderr)
    print(f"{report.accepted} rows were accepted, {len(report.failures) + len(wrong)} were not")
    return not wrong and not report.failures


def main() -> int:
    """Parse the arguments, run, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the broker's: amqp://host:port, amqps:// for TLS")
    parser.add_argument("address", help="of the queue or topic")
    parser.add_argument("file", help="the CSV file, in UTF-8")
    parser.add_argument("--window", type=int, default=1000, help="messages under way at a time (default: %(default)s)")
    parser.add_argument("--id", metavar="COLUMN", help="the column whose value becomes the message-id")
    options = parser.parse_args()
    try:
        return 0 if load(options.url, options.address, options.file, options.window, options.id) else 1
    except (AMQPError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
