"""Certificates for tests, made anew for each run by `trustme`; the pytest fixture is `certificates`.

It imports nothing of the library.
"""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Pair:
    """The paths of a certificate (with its chain) and of its private key, and both in one file."""

    cert: str
    key: str
    both: str


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files.

    ca: the authority of all but other_ca. server: for localhost, 127.0.0.1 and ::1. client: CN amqp.
    expired: as server, its time over. common_name: names localhost as the common name alone. other_host: for
    other.example alone. other_ca: an authority that signed other_ca_server (the right hosts) and other_ca_client
    (CN amqp).
    """

    ca: str
    other_ca: str
    server: Pair
    client: Pair
    expired: Pair
    common_name: Pair
    other_host: Pair
    other_ca_server: Pair
    other_ca_client: Pair

    def server_context(self, pair: Pair | None = None, *, ask_client: bool = False) -> ssl.SSLContext:
        """For a server with this certificate; with `ask_client` the client must show one of our CA's."""
        used = pair or self.server
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(used.cert, used.key)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def client_context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """A context for a client that trusts our CA, and shows this certificate if asked."""
        context = ssl.create_default_context(cafile=self.ca)
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context


def make_certificates(directory: Path) -> Certificates:
    """Makes them all in `directory`."""
    authority, other = trustme.CA(), trustme.CA()
    now = datetime.datetime.now(datetime.timezone.utc)
    long_ago, yesterday = now - datetime.timedelta(days=400), now - datetime.timedelta(days=1)

    def write(name: str, leaf: trustme.LeafCert) -> Pair:
        pair = Pair(*(str(directory / f"{name}{end}") for end in (".pem", ".key", "-both.pem")))
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        Path(pair.cert).write_bytes(chain)
        Path(pair.key).write_bytes(leaf.private_key_pem.bytes())
        Path(pair.both).write_bytes(leaf.private_key_pem.bytes() + chain)
        return pair

    ca, other_ca = str(directory / "ca.pem"), str(directory / "other-ca.pem")
    authority.cert_pem.write_to_path(ca)
    other.cert_pem.write_to_path(other_ca)
    expired = authority.issue_cert(*HOSTS, not_before=long_ago, not_after=yesterday)
    return Certificates(
        ca=ca,
        other_ca=other_ca,
        server=write("server", authority.issue_cert(*HOSTS)),
        client=write("client", authority.issue_cert(common_name="amqp")),
        expired=write("expired", expired),
        common_name=write("common-name", authority.issue_cert(common_name="localhost")),
        other_host=write("other-host", authority.issue_cert("other.example")),
        other_ca_server=write("other-ca-server", other.issue_cert(*HOSTS)),
        other_ca_client=write("other-ca-client", other.issue_cert(common_name="amqp")),
    )


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates of this run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
