"""TLS contexts with the project's defaults: certificates and host names are verified."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypeAlias

Password: TypeAlias = str | bytes | bytearray
"""The password of a private key."""


class _NoPasswordError(Exception):
    """The private key is encrypted, and there is no password."""


def client_context(
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    password: Password | Callable[[], Password] | None = None,
) -> ssl.SSLContext:
    """Return a context for a client.

    Args:
        ca_file: path of the certificates to trust, in PEM form; None uses the operating system's, or certifi's where
            it has none.
        certificate: path of our certificate chain, in PEM form, for servers that ask for one.
        key: path of its private key; None if that is in the same file.
        password: of the private key, or a function that returns it, called if the key is encrypted.

    Raises:
        FileNotFoundError: one of the files doesn't exist.
        ValueError: a file can't be used; the text says which, and why.
    """
    if ca_file is not None:
        _load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_file)
    context = ssl.create_default_context(cafile=ca_file)
    # Some distributions leave the minimum to OpenSSL's own configuration, which may allow older versions.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    if ssl.HAS_NEVER_CHECK_COMMON_NAME:
        # RFC 9525, section 2: only subjectAltName counts. Where there is none, OpenSSL would use the common name.
        context.hostname_checks_common_name = False
    if ca_file is None and not context.get_ca_certs() and not context.cert_store_stats()["x509_ca"]:
        import certifi  # noqa: PLC0415 (only where the operating system has no certificates)

        context.load_verify_locations(cafile=certifi.where())
    if certificate is not None:
        _load_chain(context, certificate, key, password)
    return context


def check_files(
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    password: Password | Callable[[], Password] | None = None,
) -> None:
    """Check that the files of `client_context` can be used, without reading the system's certificates.

    Raises:
        FileNotFoundError: one of them doesn't exist.
        ValueError: one can't be used; the text says which, and why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        _load_authorities(context, ca_file)
    if certificate is not None:
        _load_chain(context, certificate, key, password)


def _load_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as error:
        text = f"verify={ca_file!r}: no certificates in PEM form can be read from it ({error.reason})"
        raise ValueError(text) from error


def _load_chain(
    context: ssl.SSLContext, certificate: str, key: str | None, password: Password | Callable[[], Password] | None
) -> None:
    asked = False

    def give() -> Password:
        # Without a function, OpenSSL would ask for the password on the terminal.
        nonlocal asked
        asked = True
        if password is None:
            raise _NoPasswordError
        return password() if callable(password) else password

    try:
        context.load_cert_chain(certificate, key, give)
    except _NoPasswordError:
        text = f"The private key in {key or certificate!r} is encrypted: give its password as key_password."
        raise ValueError(text) from None
    except ssl.SSLError as error:
        hint = ". It is encrypted: is key_password right?" if asked else ""
        text = f"certificate={certificate!r}: no certificate with its private key can be read from it ({error.reason})"
        raise ValueError(text + hint) from error
