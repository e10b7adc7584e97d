"""`transport.tls`: what a client trusts and shows."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.peer.certs import Certificates, certificates  # noqa: F401 (a fixture)
from uamqp.transport.sansio.tls import client_context


def test_certificates_and_names_are_verified() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_file_takes_the_systems_place(certificates: Certificates) -> None:  # noqa: F811
    context = client_context(certificates.ca)
    assert len(context.get_ca_certs()) == 1
    assert context.check_hostname


def test_certifi_is_the_fall_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the operating system has no certificates."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    context = client_context()
    assert context.cert_store_stats()["x509_ca"] > 50


def test_a_client_certificate(certificates: Certificates) -> None:  # noqa: F811
    client_context(certificates.ca, certificates.client.cert, certificates.client.key)
    client_context(certificates.ca, certificates.client.both)


@pytest.mark.parametrize("what", ["verify", "certificate"])
def test_files_that_cannot_be_used(certificates: Certificates, tmp_path: Path, what: str) -> None:  # noqa: F811
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"\x00\x01 no certificate")
    arguments = (str(garbage),) if what == "verify" else (certificates.ca, str(garbage))
    with pytest.raises(ValueError, match=rf"{what}=.*garbage\.pem"):
        client_context(*arguments)
    with pytest.raises(FileNotFoundError):
        client_context(*(argument.replace("garbage", "missing") for argument in arguments))


def test_a_wrong_key_password_is_said(certificates: Certificates, tmp_path: Path) -> None:  # noqa: F811
    key = tmp_path / "encrypted.key"
    loaded = serialization.load_pem_private_key(Path(certificates.client.key).read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"the password"),
        )
    )
    client_context(None, certificates.client.cert, str(key), "the password")
    with pytest.raises(ValueError, match="certificate") as caught:
        client_context(None, certificates.client.cert, str(key), "another password")
    assert "another password" not in str(caught.value)
