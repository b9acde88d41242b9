"""Addresses of task hubs: what is written, and what gRPC is told.

    written                              target              encrypted
    https://x.westus2.durabletask.io     x...io:443          yes
    http://localhost:8080                localhost:8080      no
    grpcs:// grpc://                     like https and http
    localhost:8080, [::1]:8080           as it is            as the caller says
    unix:/run/hub.sock                   as it is            no, it never leaves the machine

Messages show an address without the user information that it may hold.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from durable_app.connection.authentication import AuthenticationKind
from durable_app.errors import ConfigError

#: Port of the emulator and of a hub of this package for gRPC; what clients without an address use.
GRPC_PORT: Final = 8080
#: Port of the dashboard of both; it speaks no gRPC.
DASHBOARD_PORT: Final = 8082

_AZURE_DOMAINS: Final = (".durabletask.io", ".durabletask.azure.us")
_IS_ENCRYPTED: Final = {"https": True, "grpcs": True, "http": False, "grpc": False}
_PORTS: Final = {True: 443, False: 80}
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Endpoint(NamedTuple):
    """Where a task hub listens.

    Attributes:
        target: as gRPC takes it, ``host:port`` or ``unix:path``.
        is_encrypted: TLS is used.
        host: name or address without brackets; "" for a Unix socket.
        port: 0 for a Unix socket.
    """

    target: str
    is_encrypted: bool
    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can be behind it."""
        return not self.host or is_loopback(self.host)

    @property
    def is_azure(self) -> bool:
        """Whether it is a scheduler of the service in Azure."""
        return self.host.endswith(_AZURE_DOMAINS)

    @property
    def authority(self) -> str:
        """For messages: the target with its scheme."""
        if not self.host:
            return self.target
        return f"{'https' if self.is_encrypted else 'http'}://{self.target}"


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine only."""
    if host.casefold() == "localhost" or host.casefold().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_endpoint(text: str, source: str, *, encrypted: bool) -> Endpoint:
    """Read an address.

    Args:
        source: what holds the address, for messages: ``host_address``, or the name of a setting.
        encrypted: whether TLS is used where no scheme says it.

    Raises:
        ConfigError: it is no address of a task hub.
    """
    text = text.strip()
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ConfigError(f"{source}: an address holds no spaces and no line breaks.")
    if text.startswith(("unix:", "unix-abstract:")):
        return _unix(text, source)
    found = _SCHEME.match(text)
    if found is not None:
        encrypted = _encryption(found[1], source)
        text = text[found.end() :]
    elif _is_ipv6(text):
        text = f"[{text}]"
    try:
        url = urlsplit(f"//{text}")
        host, port = url.hostname, url.port
    except ValueError:
        # What urllib says of a port repeats it, and it may be the half of a password.
        raise ConfigError(
            f"{source}: Invalid endpoint URL: brackets belong around IPv6 addresses only, and a"
            " port is a number between 1 and 65535."
        ) from None
    _check_parts(url, source)
    if not host:
        raise ConfigError(
            f"{source}: Invalid endpoint URL: it names no host. It looks like"
            f" http://localhost:{GRPC_PORT} or https://NAME.REGION.durabletask.io."
        )
    if port is None:
        port = _PORTS[encrypted]
    name = f"[{host}]" if ":" in host else host
    return Endpoint(f"{name}:{port}", encrypted, host, port)


def _encryption(scheme: str, source: str) -> bool:
    encrypted = _IS_ENCRYPTED.get(scheme.casefold())
    if encrypted is None:
        raise ConfigError(
            f"{source}: Invalid endpoint URL: scheme '{scheme}' is not known; use https:// (TLS) or"
            " http:// (no encryption)."
        )
    return encrypted


def _check_parts(url: SplitResult, source: str) -> None:
    if "@" in url.netloc:
        raise ConfigError(
            f"{source}: Invalid endpoint URL: it holds a user name or password. Leave them out;"
            " Authentication says who signs in."
        )
    if url.port == 0:
        raise ConfigError(f"{source}: Invalid endpoint URL: 0 is no port to connect to.")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ConfigError(
            f"{source}: Invalid endpoint URL: it goes on after host and port. Use the endpoint of"
            " the scheduler, not the address of a page of its dashboard."
        )


def _unix(text: str, source: str) -> Endpoint:
    scheme, _, path = text.partition(":")
    if not path.removeprefix("//"):
        raise ConfigError(f"{source}: {scheme}: names no socket. It looks like unix:/run/hub.sock.")
    return Endpoint(text, is_encrypted=False, host="", port=0)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def check_endpoint(endpoint: Endpoint, kind: AuthenticationKind, source: str) -> None:
    """Refuse the combinations of address and authentication that cannot work.

    Raises:
        ConfigError: with what to write instead.
    """
    if endpoint.is_azure and not endpoint.is_encrypted:
        raise ConfigError(
            f"{source}: Endpoint={endpoint.authority}: Azure takes encrypted connections only."
            f" Write https://{endpoint.host}."
        )
    if endpoint.is_azure and kind is AuthenticationKind.NONE:
        raise ConfigError(
            f"{source}: Authentication=None: Azure lets nobody in who does not sign in. Write"
            " Authentication=DefaultAzure, or Authentication=ManagedIdentity;ClientID=... ."
        )
    if endpoint.is_local and endpoint.port == DASHBOARD_PORT:
        raise ConfigError(
            f"{source}: Endpoint={endpoint.authority}: {DASHBOARD_PORT} is the port of the"
            f" dashboard. Task hubs listen on {GRPC_PORT}: http://{endpoint.host}:{GRPC_PORT}."
        )
    if kind is not AuthenticationKind.NONE:
        require_encryption(endpoint, source)


def require_encryption(endpoint: Endpoint, source: str) -> None:
    """Refuse to send an access token where others can read it.

    Raises:
        ConfigError: the endpoint is not encrypted.
    """
    if not endpoint.is_encrypted:
        raise ConfigError(
            f"{source}: {endpoint.authority} is not encrypted, and an access token would be sent"
            " in the clear. Use https://, or no credential (Authentication=None) for the emulator"
            " and a local task hub."
        )


def connection_hint(endpoint: Endpoint) -> str:
    """What may be the matter where nobody answers: a sentence with a blank in front, or nothing."""
    if not address_hint(endpoint) and endpoint.is_local and endpoint.is_encrypted:
        return (
            " The emulator, and a local task hub without a certificate, speak no TLS: use"
            f" http://{endpoint.target}."
        )
    return address_hint(endpoint)


def address_hint(endpoint: Endpoint) -> str:
    """What cannot be right, whatever listens there: as ``connection_hint``, TLS apart."""
    if endpoint.is_local and endpoint.port == DASHBOARD_PORT:
        return f" {DASHBOARD_PORT} is the port of the dashboard: task hubs listen on {GRPC_PORT}."
    if endpoint.is_azure and not endpoint.is_encrypted:
        return f" Azure takes encrypted connections only: use https://{endpoint.host}."
    return ""
