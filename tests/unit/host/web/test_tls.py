"""Certificates of users and our own."""

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from durable_app.clock import SystemClock
from durable_app.errors import ConfigError
from durable_app.host.web.tls import ssl_context

CLOCK = SystemClock()


class Later(SystemClock):
    """A clock some days ahead."""

    def __init__(self, days: int) -> None:
        self._by = datetime.timedelta(days=days)

    def now(self) -> datetime.datetime:
        return CLOCK.now() + self._by


@pytest.fixture
def own(tmp_path):
    ssl_context(None, None, tmp_path, CLOCK)
    return tmp_path / ".durable" / "localhost.pem"


def parts_of(pem):
    data = pem.read_bytes()
    return serialization.load_pem_private_key(data, None), x509.load_pem_x509_certificate(data)


def pfx_of(pem, password):
    key, certificate = parts_of(pem)
    how = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    return pkcs12.serialize_key_and_certificates(b"name", key, certificate, None, how)


def test_our_own_certificate_is_made_once_for_its_owner(tmp_path):
    first = ssl_context(None, None, tmp_path, CLOCK)
    path = tmp_path / ".durable" / "localhost.pem"
    content = path.read_bytes()
    second = ssl_context(None, None, tmp_path, Later(100))
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert "new self-signed certificate" in (first.note or "")
    assert second.note == f"HTTPS with the self-signed certificate for localhost in {path}."


def test_our_own_certificate_is_for_this_machine_only(own):
    names = parts_of(own)[1].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("days", [360, 1000])
def test_our_own_certificate_is_renewed_before_it_ends(own, tmp_path, days):
    before = own.read_bytes()
    ssl_context(None, None, tmp_path, Later(days))
    assert own.read_bytes() != before


def test_a_damaged_certificate_of_our_own_is_replaced(own, tmp_path):
    own.write_text("nothing")
    ssl_context(None, None, tmp_path, CLOCK)
    assert parts_of(own)


@pytest.mark.parametrize("password", [None, "secret"])
def test_a_pfx_file_is_served(own, tmp_path, password):
    cert = tmp_path / "cert.pfx"
    cert.write_bytes(pfx_of(own, password))
    found = ssl_context(cert, password, tmp_path, CLOCK)
    assert isinstance(found.context, ssl.SSLContext)
    assert found.note is None


def test_a_pem_file_with_a_password_is_served(own, tmp_path):
    key, certificate = parts_of(own)
    cert = tmp_path / "cert.pem"
    how = serialization.BestAvailableEncryption(b"secret")
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    cert.write_bytes(key.private_bytes(pem, kind, how) + certificate.public_bytes(pem))
    assert ssl_context(cert, "secret", tmp_path, CLOCK).note is None
    for wrong in ("other", None):
        with pytest.raises(ConfigError, match="no certificate with its key can be read"):
            ssl_context(cert, wrong, tmp_path, CLOCK)


def test_a_wrong_password_of_a_pfx_file_is_told(own, tmp_path):
    cert = tmp_path / "cert.pfx"
    cert.write_bytes(pfx_of(own, "secret"))
    for wrong in ("other", None):
        with pytest.raises(
            ConfigError, match=r"no PFX or PEM file, or --password is wrong"
        ) as told:
            ssl_context(cert, wrong, tmp_path, CLOCK)
        assert "secret" not in str(told.value)


def test_a_pfx_file_without_a_key_is_told(own, tmp_path):
    cert = tmp_path / "cert.pfx"
    certificate = parts_of(own)[1]
    cert.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"n", None, None, [certificate], serialization.NoEncryption()
        )
    )
    with pytest.raises(ConfigError, match="no private key with a certificate"):
        ssl_context(cert, None, tmp_path, CLOCK)


@pytest.mark.parametrize(("name", "text"), [("none.pfx", "No such file"), (".", "directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, text):
    with pytest.raises(ConfigError, match=text):
        ssl_context(tmp_path / name, None, tmp_path, CLOCK)


def test_a_pem_file_of_something_else_is_told(tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text("-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n")
    with pytest.raises(ConfigError, match="no certificate with its key can be read"):
        ssl_context(cert, None, tmp_path, CLOCK)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / ".durable").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        ssl_context(None, None, tmp_path, CLOCK)


@pytest.mark.parametrize("cert", [None, "cert.pfx"])
def test_without_cryptography_the_extra_is_named(tmp_path, monkeypatch, cert):
    path = None if cert is None else tmp_path / cert
    if path is not None:
        path.write_bytes(b"x")
    for module in ("cryptography", "cryptography.hazmat.primitives.serialization"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ConfigError, match=r'pip install "durable-app\[local\]"'):
        ssl_context(path, None, tmp_path, CLOCK)
