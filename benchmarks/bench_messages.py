"""Messages per second through the public API: send and wait for each outcome, then receive, read and accept.

The far end is the embedded broker in a process of its own, over TCP and over TLS; or the broker at --url, whose queue
should be empty. A round sends all messages and receives them back; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from uamqp import Message, ReceiveClient, SendClient, Source, Target
from uamqp.authentication import AMQPAuth, SASLAnonymous, SASLPlain

BATCH = 500


def login(url: str, ca_file: str | None) -> AMQPAuth:
    parts = urlsplit(url)
    host, port, use_tls = parts.hostname or "localhost", parts.port, parts.scheme == "amqps"
    if parts.username:
        password = unquote(parts.password or "")
        return SASLPlain(host, unquote(parts.username), password, port=port, verify=ca_file, use_tls=use_tls)
    return SASLAnonymous(host, port=port, verify=ca_file, use_tls=use_tls)


def send(url: str, ca_file: str | None, count: int, size: int) -> float:
    body = b"x" * size
    with SendClient(Target(url, node=node(url)), auth=login(url, ca_file)) as client:
        client.send_message(Message(body))
        start = time.perf_counter()
        for _ in range(0, count - 1, BATCH):
            client.queue_message(*[Message(body) for _ in range(BATCH)])
            client.wait()
        return time.perf_counter() - start


def receive(url: str, ca_file: str | None, count: int, size: int) -> float:
    done = 0
    source = Source(url, node=node(url))
    with ReceiveClient(source, auth=login(url, ca_file), auto_complete=False, prefetch=1000, timeout=10000) as client:
        start = time.perf_counter()
        while done < count:
            batch = client.receive_message_batch(max_batch_size=BATCH)
            if not batch:
                raise SystemExit(f"Only {done} of {count} messages came back.")
            for message in batch:
                if len(b"".join(message.get_data())) != size:
                    raise SystemExit("A message doesn't come out as it went in.")
                message.accept()
            done += len(batch)
        return time.perf_counter() - start


def node(url: str) -> str:
    return unquote(urlsplit(url).path[1:])


@contextmanager
def embedded_broker(*arguments: str) -> Iterator[str]:
    """Run the embedded broker in a process of its own; give its URL."""
    command = [sys.executable, "-m", "uamqp.testing", "--host", "localhost", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            url = next(word for word in line.split() if "://" in word)
            yield f"{url.rstrip('/.,')}/benchmark"
        finally:
            process.terminate()


def certificate(folder: Path) -> tuple[str, str]:
    paths = str(folder / "certificate.pem"), str(folder / "key.pem")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", paths[1], "-out", paths[0]]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run(command, check=True, capture_output=True)
    return paths


def measure(name: str, url: str, ca_file: str | None, options: argparse.Namespace) -> None:
    count = -(-options.count // BATCH) * BATCH + 1
    sending, receiving = [], []
    for _ in range(options.rounds):
        sending.append((count - 1) / send(url, ca_file, count, options.size))
        receiving.append(count / receive(url, ca_file, count, options.size))
    figures = {"send": round(statistics.median(sending)), "receive": round(statistics.median(receiving))}
    print(json.dumps({"far end": name, "messages": count, "bytes": options.size, "messages_per_second": figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="another broker's, with the address of a queue")
    parser.add_argument("--ca", help="file with the CA certificates to trust, for amqps://")
    parser.add_argument("--count", type=int, default=20000, help="messages a round (default: %(default)s)")
    parser.add_argument("--size", type=int, default=100, help="bytes of a body (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    if options.url:
        measure(options.url.rpartition("@")[2], options.url, options.ca, options)
        return
    with embedded_broker() as url:
        measure("embedded broker, TCP", url, None, options)
    with tempfile.TemporaryDirectory() as folder:
        chain, key = certificate(Path(folder))
        with embedded_broker("--tls-cert", chain, "--tls-key", key) as url:
            measure("embedded broker, TLS", url, chain, options)


if __name__ == "__main__":
    main()
