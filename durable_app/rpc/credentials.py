"""Credentials: which class of azure-identity stands for which kind, and how a token is had of it.

azure-identity is imported on first use: a hub on this machine works without it.
"""

from __future__ import annotations

import asyncio
import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.errors import ConfigError
from durable_app.rpc.token_cache import AccessToken, AsyncTokenCache, TokenCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.ports import Clock

#: Audience of tokens for the service in Azure ...
RESOURCE: Final = "https://durabletask.io"
#: ... and in the cloud of the government of the USA.
GOVERNMENT_RESOURCE: Final = "https://durabletask.azure.us"
#: Setting of Azure's hosts with the name of the region.
REGION_SETTING: Final = "REGION_NAME"
_GOVERNMENT_REGIONS: Final = ("usgov", "usdod")
_CLI_TIMEOUT_S: Final = 10


class _Recipe(NamedTuple):
    """A class of azure-identity, and the name that each field has among its arguments."""

    name: str
    arguments: Mapping[str, str] = {}
    fixed: Mapping[str, Any] = {}
    is_async: bool = True


_TENANT: Final = {"tenant_id": "tenant_id"}
_TENANTS: Final = {"additionally_allowed_tenants": "additionally_allowed_tenants"}
_AUTHORITY: Final = {"authority_host": "authority"}
_TOOL: Final = {**_TENANT, **_TENANTS}

_RECIPES: Final = {
    AuthenticationKind.MANAGED_IDENTITY: _Recipe(
        "ManagedIdentityCredential", {"client_id": "client_id"}
    ),
    AuthenticationKind.WORKLOAD_IDENTITY: _Recipe(
        "WorkloadIdentityCredential",
        {
            "client_id": "client_id",
            "token_file_path": "token_file_path",
            **_TOOL,
            **_AUTHORITY,
        },
    ),
    AuthenticationKind.ENVIRONMENT: _Recipe("EnvironmentCredential", _AUTHORITY),
    AuthenticationKind.AZURE_CLI: _Recipe(
        "AzureCliCredential", _TOOL, {"process_timeout": _CLI_TIMEOUT_S}
    ),
    AuthenticationKind.AZURE_POWERSHELL: _Recipe(
        "AzurePowerShellCredential", _TOOL, {"process_timeout": _CLI_TIMEOUT_S}
    ),
    AuthenticationKind.AZURE_DEVELOPER_CLI: _Recipe(
        "AzureDeveloperCliCredential", _TOOL, {"process_timeout": _CLI_TIMEOUT_S}
    ),
    AuthenticationKind.VISUAL_STUDIO_CODE: _Recipe(
        "VisualStudioCodeCredential", {**_TENANT, **_AUTHORITY}
    ),
    AuthenticationKind.INTERACTIVE_BROWSER: _Recipe(
        "InteractiveBrowserCredential",
        {"client_id": "client_id", **_TOOL, **_AUTHORITY},
        is_async=False,
    ),
}


def make_credential(authentication: Authentication) -> Any:
    """The credential for synchronous use; None for no authentication.

    Raises:
        ConfigError: azure-identity is not installed, or refuses the fields.
    """
    recipe = _recipe(authentication.kind)
    return None if recipe is None else _make("azure.identity", recipe, authentication)


def make_async_credential(authentication: Authentication) -> Any:
    """The credential for an event loop, likewise.

    It may be a synchronous one where azure-identity has no other; :func:`async_token_cache` lets it
    work in a thread.
    """
    recipe = _recipe(authentication.kind)
    if recipe is None:
        return None
    package = "azure.identity.aio" if recipe.is_async else "azure.identity"
    return _make(package, recipe, authentication)


def _recipe(kind: AuthenticationKind) -> _Recipe | None:
    if kind is AuthenticationKind.NONE:
        return None
    if kind is AuthenticationKind.DEFAULT_AZURE:
        return _Recipe("DefaultAzureCredential", {**_TENANTS, **_AUTHORITY})
    return _RECIPES[kind]


def _make(package: str, recipe: _Recipe, authentication: Authentication) -> Any:
    try:
        module = import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"Authentication={authentication.kind.value} needs azure-identity:"
            ' pip install "durable-app[azure]".'
        ) from error
    arguments = dict(recipe.fixed)
    for field, argument in recipe.arguments.items():
        value = getattr(authentication, field)
        if value:
            arguments[argument] = list(value) if isinstance(value, tuple) else value
    if authentication.kind is AuthenticationKind.DEFAULT_AZURE:
        arguments.update(_default_arguments(authentication))
    try:
        return getattr(module, recipe.name)(**arguments)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"Authentication={authentication.kind.value}: {error}") from error


def _default_arguments(authentication: Authentication) -> dict[str, str]:
    """The chain's own names: a client id is meant for every member that can use one."""
    arguments = {}
    if authentication.client_id:
        arguments["managed_identity_client_id"] = authentication.client_id
        arguments["workload_identity_client_id"] = authentication.client_id
    if authentication.tenant_id:
        arguments["workload_identity_tenant_id"] = authentication.tenant_id
        arguments["interactive_browser_tenant_id"] = authentication.tenant_id
    return arguments


def token_scope(resource_id: str | None, environ: Mapping[str, str]) -> str:
    """What a token is asked for.

    Args:
        resource_id: audience that was chosen explicitly; None for the service's own.
        environ: of the process; names the region in Azure.
    """
    if resource_id:
        resource = resource_id.removesuffix("/.default")
    elif environ.get(REGION_SETTING, "").strip().casefold().startswith(_GOVERNMENT_REGIONS):
        resource = GOVERNMENT_RESOURCE
    else:
        resource = RESOURCE
    return f"{resource.rstrip('/')}/.default"


def token_cache(credential: Any, scope: str, clock: Clock) -> TokenCache:
    """The cached token of a credential.

    Args:
        credential: with ``get_token_info`` or ``get_token``, as azure-identity has them.

    Raises:
        ConfigError: it is no credential, or one for event loops only.
    """
    method = _method(credential)
    if inspect.iscoroutinefunction(method):
        raise ConfigError(
            "credential: this one works on an event loop only (azure.identity.aio). Pass its"
            " synchronous twin (azure.identity), or use the asynchronous client."
        )
    return TokenCache(lambda: _access_token(method(scope)), clock)


def async_token_cache(credential: Any, scope: str, clock: Clock) -> AsyncTokenCache:
    """The cached token of a credential, for an event loop.

    Args:
        credential: as for :func:`token_cache`; a synchronous one works in a thread.
    """
    method = _method(credential)

    async def fetch() -> AccessToken:
        if inspect.iscoroutinefunction(method):
            return _access_token(await method(scope))
        return _access_token(await asyncio.to_thread(method, scope))

    return AsyncTokenCache(fetch, clock)


def _method(credential: Any) -> Any:
    for name in ("get_token_info", "get_token"):
        method = getattr(credential, name, None)
        if callable(method):
            return method
    raise ConfigError(
        f"credential: {type(credential).__name__} has no get_token. Pass a credential of"
        " azure-identity, or None for a hub without authentication."
    )


def _access_token(answer: Any) -> AccessToken:
    refresh_on = getattr(answer, "refresh_on", None)
    return AccessToken(
        answer.token, float(answer.expires_on), None if refresh_on is None else float(refresh_on)
    )
