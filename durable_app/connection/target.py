"""A task hub of another process: where it is, which one, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.connection.admission import not_authenticated, not_permitted
from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.connection.connection_string import parse_connection_string
from durable_app.connection.endpoint import GRPC_PORT, address_hint, connection_hint
from durable_app.connection.failures import LinkFailure
from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.connection.endpoint import Endpoint

#: Setting with the connection string where nothing names another one ...
CONNECTION_SETTING: Final = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
#: ... and the name that it had in earlier samples of the service.
OLDER_CONNECTION_SETTING: Final = "DTS_CONNECTION_STRING"
_NOBODY: Final = Authentication(AuthenticationKind.NONE)


class HubTarget(NamedTuple):
    """A task hub of another process. It holds no secret.

    Attributes:
        endpoint: where the hub listens.
        task_hub: its name.
        authentication: how to sign in.
    """

    endpoint: Endpoint
    task_hub: str
    authentication: Authentication = _NOBODY

    def __str__(self) -> str:
        kind = self.authentication.kind.value
        return f"'{self.task_hub}' at {self.endpoint.authority} (Authentication={kind})"


def find_connection_text(wanted: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """The text of a connection string, and what to call it in messages.

    Args:
        wanted: a connection string, or the name of the setting that holds one; None or "" for the
            usual settings.
        environ: settings.

    Raises:
        ConfigError: no setting has it.
    """
    if wanted and "=" in wanted:
        parse_connection_string(wanted, "connection string")
        return wanted, "connection string"
    names = (wanted,) if wanted else (CONNECTION_SETTING, OLDER_CONNECTION_SETTING)
    for name in names:
        if environ.get(name, "").strip():
            return environ[name], name
    raise ConfigError(
        f"No scheduler is named: {' and '.join(names)} {'are' if len(names) > 1 else 'is'} not set."
        " Set it to a connection string, such as"
        " Endpoint=http://localhost:8080;TaskHub=default;Authentication=None."
    )


# What gRPC and the systems below it write -> advice. The first part that occurs counts.
_DNS: Final = (
    "dns resolution",
    "name or service not known",
    "domain name not found",
    "getaddrinfo",
)
_REFUSED: Final = ("connection refused",)
_UNTRUSTED: Final = ("certificate_verify_failed", "certificate verify failed")
_NO_TLS: Final = ("wrong_version_number", "wrong version number", "ssl_error_ssl", "handshake")
_HTTP_1: Final = ("http1.x",)
_CUT: Final = ("socket closed", "connection reset", "http2", "recvmsg")
_UNREACHABLE: Final = ("unreachable", "timed out", "timeout", "deadline")


def advice(target: HubTarget, failure: LinkFailure, text: str) -> str:
    """What to do about a connection that fails: sentences, for the layer that has failed.

    Args:
        failure: the kind of failure.
        text: what gRPC says about it.
    """
    match failure:
        case LinkFailure.NOT_A_HUB:
            hint = address_hint(target.endpoint)
            return f"What answers at {target.endpoint.authority} is no task hub.{hint}"
        case LinkFailure.UNAUTHENTICATED:
            hint = not_authenticated(target.endpoint, target.authentication.kind)
            return f"It does not accept who calls (401). {hint}"
        case LinkFailure.REFUSED:
            return _refusal(target, text.casefold())
        case _:
            return _of_transport(target, text.casefold())


def _refusal(target: HubTarget, text: str) -> str:
    if "not_found" in text:
        return f"It has no task hub '{target.task_hub}': check TaskHub, or create it."
    if "permission_denied" in text:
        return f"It refuses this identity (403). {not_permitted(target.endpoint)}"
    return "It answers, and refuses for now; it is asked again."


def _of_transport(target: HubTarget, text: str) -> str:
    endpoint = target.endpoint
    hint = address_hint(endpoint).strip()
    if any(part in text for part in _DNS):
        return (
            f"The name '{endpoint.host}' is not known: check Endpoint, the DNS of this machine, and"
            " the private endpoint if there is one."
        )
    if any(part in text for part in _REFUSED):
        start = " Start a hub with `func hub start`." if endpoint.is_local else ""
        return hint or f"Nothing listens on {endpoint.target}.{start}"
    if any(part in text for part in _UNTRUSTED):
        return (
            "Its certificate is signed by nobody that is trusted here: let"
            " GRPC_DEFAULT_SSL_ROOTS_FILE_PATH name a PEM file with the certificate's authority."
        )
    if endpoint.is_encrypted and any(part in text for part in _NO_TLS):
        return connection_hint(endpoint).strip() or (
            f"It speaks no TLS: use http://{endpoint.target}."
        )
    if any(part in text for part in _HTTP_1):
        return hint or _of_web_server(endpoint)
    if not endpoint.is_encrypted and any(part in text for part in _CUT):
        text = f"It does not go on without encryption: use https://{endpoint.target}. {hint}"
        return text.strip()
    if any(part in text for part in _UNREACHABLE):
        return "Nobody answers: check the network, firewalls and proxies between here and there."
    return hint


def _of_web_server(endpoint: Endpoint) -> str:
    # On this machine it may be the port of /healthz. Elsewhere it may be what TLS begins behind.
    text = (
        f"What listens on {endpoint.target} speaks plain HTTP, and no gRPC: correct the port in"
        f" Endpoint. Task hubs listen on {GRPC_PORT} as a rule"
    )
    if endpoint.is_local or endpoint.is_encrypted:
        return f"{text}."
    return f"{text}, those behind TLS on https://{endpoint.host}."
