"""The kinds of authentication that a connection string can name, and the fields that each takes.

A field that a kind has no use for is an error: ignored, it would hide for days that another
identity is used than the one that was meant.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from durable_app.errors import ConfigError
from durable_app.functions.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class AuthenticationKind(Enum):
    """Who vouches for the caller; the value is the spelling of connection strings."""

    NONE = "None"
    DEFAULT_AZURE = "DefaultAzure"
    MANAGED_IDENTITY = "ManagedIdentity"
    WORKLOAD_IDENTITY = "WorkloadIdentity"
    ENVIRONMENT = "Environment"
    AZURE_CLI = "AzureCLI"
    AZURE_POWERSHELL = "AzurePowerShell"
    AZURE_DEVELOPER_CLI = "AzureDeveloperCLI"
    VISUAL_STUDIO_CODE = "VisualStudioCode"
    INTERACTIVE_BROWSER = "InteractiveBrowser"


class Authentication(NamedTuple):
    """How to sign in, as a connection string says it. It holds no secret.

    Attributes:
        kind: which credential.
        client_id: of the identity or the app registration; None for the credential's own choice.
        tenant_id: of the directory, likewise.
        token_file_path: of the federated token of a workload.
        additionally_allowed_tenants: further directories that tokens may be asked of; ``*`` is all.
        resource_id: audience of the token, without ``/.default``; None for the service's own.
        authority_host: https address of the directory service of another cloud.
    """

    kind: AuthenticationKind
    client_id: str | None = None
    tenant_id: str | None = None
    token_file_path: str | None = None
    additionally_allowed_tenants: tuple[str, ...] = ()
    resource_id: str | None = None
    authority_host: str | None = None


_KINDS: Final = {kind.value.casefold(): kind for kind in AuthenticationKind}

CLIENT_ID: Final = "ClientID"
TENANT_ID: Final = "TenantId"
TOKEN_FILE_PATH: Final = "TokenFilePath"  # noqa: S105  the name of a key
TENANTS: Final = "AdditionallyAllowedTenants"
RESOURCE_ID: Final = "ResourceId"
AUTHORITY_HOST: Final = "AuthorityHost"
#: Keys of a connection string that belong to the authentication, as they are written.
FIELDS: Final = (CLIENT_ID, TENANT_ID, TOKEN_FILE_PATH, TENANTS, RESOURCE_ID, AUTHORITY_HOST)

_LONGEST_SHOWN: Final = 40
_DEVELOPER_TOOL: Final = frozenset({TENANT_ID, TENANTS, RESOURCE_ID})
_FIELDS_OF: Final[dict[AuthenticationKind, frozenset[str]]] = {
    AuthenticationKind.NONE: frozenset(),
    AuthenticationKind.DEFAULT_AZURE: frozenset(FIELDS) - {TOKEN_FILE_PATH},
    AuthenticationKind.MANAGED_IDENTITY: frozenset({CLIENT_ID, RESOURCE_ID}),
    AuthenticationKind.WORKLOAD_IDENTITY: frozenset(FIELDS),
    AuthenticationKind.ENVIRONMENT: frozenset({RESOURCE_ID, AUTHORITY_HOST}),
    AuthenticationKind.AZURE_CLI: _DEVELOPER_TOOL,
    AuthenticationKind.AZURE_POWERSHELL: _DEVELOPER_TOOL,
    AuthenticationKind.AZURE_DEVELOPER_CLI: _DEVELOPER_TOOL,
    AuthenticationKind.VISUAL_STUDIO_CODE: frozenset({TENANT_ID, RESOURCE_ID, AUTHORITY_HOST}),
    AuthenticationKind.INTERACTIVE_BROWSER: frozenset(FIELDS) - {TOKEN_FILE_PATH},
}
# What to do about the fields that are most often given to a kind that has no use for them.
_ADVICE: Final = {
    (AuthenticationKind.NONE, None): (
        "None signs in nobody; choose another kind, or leave the field out"
    ),
    (AuthenticationKind.ENVIRONMENT, CLIENT_ID): "set AZURE_CLIENT_ID instead",
    (AuthenticationKind.ENVIRONMENT, TENANT_ID): "set AZURE_TENANT_ID instead",
    (AuthenticationKind.MANAGED_IDENTITY, TENANT_ID): (
        "a managed identity belongs to one tenant; leave it out"
    ),
    (AuthenticationKind.DEFAULT_AZURE, TOKEN_FILE_PATH): (
        "set AZURE_FEDERATED_TOKEN_FILE, or use Authentication=WorkloadIdentity"
    ),
}


def read_kind(text: str, source: str) -> AuthenticationKind:
    """The kind of that name, in any case.

    Raises:
        ConfigError: there is no such kind, or Python has no credential for it.
    """
    kind = _KINDS.get(text.casefold())
    if kind is not None:
        return kind
    if text.casefold() == "visualstudio":
        advice = " Visual Studio signs in .NET programs only: use Authentication=AzureCLI."
    else:
        names = [kind.value for kind in AuthenticationKind]
        advice = did_you_mean(text, names) or f" Choose one of {', '.join(names)}."
    # What is no word may be a token that was written at the wrong place.
    shown = f"'{text}'" if text.isalnum() and len(text) <= _LONGEST_SHOWN else "that is no word"
    raise ConfigError(
        f"{source}: The connection string contains an unsupported authentication type"
        f" {shown}.{advice}"
    )


def read_authentication(
    kind: AuthenticationKind, fields: Mapping[str, str], source: str
) -> Authentication:
    """The authentication of a kind with the fields of a connection string.

    Args:
        fields: name, as in :data:`FIELDS`, -> text that is not empty.
        source: where the text comes from, for messages.

    Raises:
        ConfigError: the kind has no use for a field, or AuthorityHost is no https address.
    """
    for name in fields:
        if name not in _FIELDS_OF[kind]:
            raise ConfigError(f"{source}: {_useless(kind, name)}")
    authority = fields.get(AUTHORITY_HOST)
    if authority is not None and not _is_https(authority):
        raise ConfigError(
            f"{source}: {AUTHORITY_HOST} must be an https:// address, such as"
            " https://login.microsoftonline.us."
        )
    return Authentication(
        kind,
        fields.get(CLIENT_ID),
        fields.get(TENANT_ID),
        fields.get(TOKEN_FILE_PATH),
        _list(fields.get(TENANTS, "")),
        fields.get(RESOURCE_ID),
        authority,
    )


def _useless(kind: AuthenticationKind, name: str) -> str:
    advice = _ADVICE.get((kind, name)) or _ADVICE.get((kind, None))
    if advice is None:
        advice = _leave_out(_FIELDS_OF[kind])
    return f"{name} cannot be used with Authentication={kind.value}: {advice}."


def _leave_out(possible: Iterable[str]) -> str:
    return f"leave it out (possible are {', '.join(sorted(possible))})"


def _list(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _is_https(address: str) -> bool:
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    return url.scheme == "https" and bool(url.hostname) and url.username is None
