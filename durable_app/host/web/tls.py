"""What HTTPS is served with: the user's certificate, or one that is made for this machine.

The certificate made here is signed by nobody, so that browsers warn and clients need
``--insecure`` or the like; it is kept, so that a warning that was confirmed once stays confirmed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable_app.ports import Clock

_OWNER_ONLY: Final = 0o600
_FILE: Final = "localhost.pem"
_VALID: Final = timedelta(days=365)
# Some clients refuse more than 398 days, and clocks of containers differ.
_BEFORE: Final = timedelta(days=1)
_MIN_LEFT: Final = timedelta(days=7)
_MISSING: Final = (
    "HTTPS needs the package cryptography, which this environment does not have. Run"
    ' pip install "durable-app[local]".'
)


class Tls(NamedTuple):
    """What to serve with, and a line to show; None where there is nothing to say."""

    context: ssl.SSLContext
    note: str | None


def ssl_context(cert: Path | None, password: str | None, folder: Path, clock: Clock) -> Tls:
    """Read ``--cert``, or make a certificate for localhost.

    Args:
        cert: PFX (PKCS 12) or PEM with certificate and key; None for one of our own.
        password: of the file; None where it has none.
        folder: of the app; our own certificate is kept in its ``.durable``.

    Raises:
        ConfigError: the file cannot be read, is neither PFX nor PEM, or the password is wrong.
    """
    if cert is None:
        path = folder / ".durable" / _FILE
        note = _ensure_own(path, clock.now())
        return Tls(_context(path, None), note)
    try:
        data = cert.read_bytes()
    except OSError as error:
        raise ConfigError(f"--cert {cert}: {error.strerror}.") from error
    if b"-----BEGIN " in data:
        return Tls(_context(cert, password), None)
    with _owners_file(_pem_of_pfx(data, password, cert)) as path:
        return Tls(_context(path, None), None)


def _context(path: Path, password: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(path, password=password or "")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise ConfigError(
            f"--cert {path}: no certificate with its key can be read from it ({_reason(error)})."
            " Give a PFX or PEM file with both, and its --password."
        ) from error
    return context


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error) or "wrong password"


def _pem_of_pfx(data: bytes, password: str | None, cert: Path) -> bytes:
    try:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415  only for PFX
            Encoding,
            NoEncryption,
            PrivateFormat,
            pkcs12,
        )
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    try:
        secret = None if password is None else password.encode()
        key, own, others = pkcs12.load_key_and_certificates(data, secret)
    except ValueError as error:
        raise ConfigError(
            f"--cert {cert}: it is no PFX or PEM file, or --password is wrong."
        ) from error
    if key is None or own is None:
        raise ConfigError(f"--cert {cert}: it has no private key with a certificate.")
    parts = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
    parts += [found.public_bytes(Encoding.PEM) for found in (own, *others)]
    return b"".join(parts)


@contextlib.contextmanager
def _owners_file(content: bytes) -> Iterator[Path]:
    """A file for OpenSSL, which reads nothing else, that is gone afterwards."""
    number, name = tempfile.mkstemp(suffix=".pem")  # mode 0600
    path = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        yield path
    finally:
        path.unlink()


def _ensure_own(path: Path, now: datetime) -> str:
    try:
        from cryptography import x509  # noqa: PLC0415  only for HTTPS
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    with contextlib.suppress(OSError, ValueError):
        known = x509.load_pem_x509_certificate(path.read_bytes())
        if known.not_valid_after_utc - _MIN_LEFT > now:
            return f"HTTPS with the self-signed certificate for localhost in {path}."
    content = _self_signed(now)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(number, "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigError(f"The certificate {path} cannot be written: {error.strerror}.") from error
    return (
        f"HTTPS with a new self-signed certificate for localhost, kept in {path}. Browsers warn"
        " of it; give another one with --cert."
    )


def _self_signed(now: datetime) -> bytes:
    from cryptography import x509  # noqa: PLC0415  only for HTTPS
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  as above

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names: list[Any] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BEFORE)
        .not_valid_after(now.astimezone(UTC) + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    kind = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, kind, serialization.NoEncryption())
    return secret + certificate.public_bytes(pem)
