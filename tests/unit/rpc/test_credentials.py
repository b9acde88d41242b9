"""Credentials: the class of azure-identity for each kind, and what a token is asked for."""

from __future__ import annotations

import asyncio
import sys

import azure.identity
import azure.identity.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.errors import ConfigError
from durable_app.rpc.credentials import (
    async_token_cache,
    make_async_credential,
    make_credential,
    token_cache,
    token_scope,
)
from tests.unit.rpc.hub_server import AsyncCredential, Credential

KIND = AuthenticationKind
CLASSES = {
    KIND.DEFAULT_AZURE: "DefaultAzureCredential",
    KIND.MANAGED_IDENTITY: "ManagedIdentityCredential",
    KIND.WORKLOAD_IDENTITY: "WorkloadIdentityCredential",
    KIND.ENVIRONMENT: "EnvironmentCredential",
    KIND.AZURE_CLI: "AzureCliCredential",
    KIND.AZURE_POWERSHELL: "AzurePowerShellCredential",
    KIND.AZURE_DEVELOPER_CLI: "AzureDeveloperCliCredential",
    KIND.VISUAL_STUDIO_CODE: "VisualStudioCodeCredential",
    KIND.INTERACTIVE_BROWSER: "InteractiveBrowserCredential",
}


def full(kind):
    return Authentication(
        kind, "c", "t", "/token", ("*",), "https://r", "https://login.microsoftonline.us"
    )


class Recorder:
    """Stands for a class of azure-identity: keeps its arguments."""

    def __init__(self, **arguments):
        self.arguments = arguments


@pytest.mark.parametrize(("kind", "name"), CLASSES.items())
def test_every_kind_has_its_class(kind, name, monkeypatch) -> None:
    for module in (azure.identity, azure.identity.aio):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, type(name, (Recorder,), {}))
    made, made_async = make_credential(full(kind)), make_async_credential(full(kind))
    assert type(made) is getattr(azure.identity, name)
    assert type(made_async) is getattr(azure.identity.aio, name, type(made))
    assert made.arguments == made_async.arguments
    if kind is KIND.INTERACTIVE_BROWSER:
        assert made.arguments["client_id"] == "c"
    if kind is KIND.DEFAULT_AZURE:
        assert made.arguments["managed_identity_client_id"] == "c"
        assert made.arguments["additionally_allowed_tenants"] == ["*"]
        assert made.arguments["authority"] == "https://login.microsoftonline.us"


@pytest.mark.parametrize("kind", [KIND.DEFAULT_AZURE, KIND.MANAGED_IDENTITY, KIND.AZURE_CLI])
def test_azure_identity_takes_what_it_is_given(kind) -> None:
    made = make_credential(Authentication(kind))
    assert type(made).__name__ == CLASSES[kind]
    made.close()


def test_nobody_signs_in_with_none() -> None:
    assert make_credential(Authentication(KIND.NONE)) is None
    assert make_async_credential(Authentication(KIND.NONE)) is None


def test_fields_that_are_missing_are_named(monkeypatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"Authentication=WorkloadIdentity: .*token_file_path"):
        make_credential(Authentication(KIND.WORKLOAD_IDENTITY))


def test_without_azure_identity_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigError, match=r'pip install "durable-app\[azure\]"'):
        make_credential(Authentication(KIND.AZURE_CLI))


@pytest.mark.parametrize(
    ("resource_id", "region", "scope"),
    [
        (None, "", "https://durabletask.io/.default"),
        (None, "westus2", "https://durabletask.io/.default"),
        (None, "USGov Virginia", "https://durabletask.azure.us/.default"),
        (None, "usdodcentral", "https://durabletask.azure.us/.default"),
        ("https://r/", "usgov", "https://r/.default"),
        ("https://r/.default", "", "https://r/.default"),
    ],
)
def test_what_a_token_is_asked_for(resource_id, region, scope) -> None:
    assert token_scope(resource_id, {"REGION_NAME": region}) == scope


def test_tokens_of_synchronous_and_asynchronous_credentials() -> None:
    credential = Credential()
    assert token_cache(credential, "s", SystemClock()).token() == "token-1"
    assert credential.scopes == ["s"]
    for made in (Credential(), AsyncCredential()):
        cache = async_token_cache(made, "s", SystemClock())
        assert asyncio.run(cache.token()) == "token-1"


def test_a_credential_that_tells_more_is_asked_for_it() -> None:
    class Telling(Credential):
        def get_token_info(self, *scopes):
            token = self.get_token(*scopes)
            token.refresh_on = token.expires_on - 3000
            return token

    assert token_cache(Telling(), "s", SystemClock()).token() == "token-1"


def test_what_is_no_credential() -> None:
    with pytest.raises(ConfigError, match="str has no get_token"):
        token_cache("secret", "s", SystemClock())
    with pytest.raises(ConfigError, match="works on an event loop only"):
        token_cache(AsyncCredential(), "s", SystemClock())
