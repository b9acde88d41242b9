"""What the keywords of clients and workers mean."""

from __future__ import annotations

import sys
import types
from typing import Any, cast

import grpc
import grpc.aio
import pytest

import durable_app as df
from durable_app.compose.scheduler_target import keywords_of_text, target_of_address, tuning_of
from durable_app.errors import ConfigError

AZURE = "Endpoint=https://x.durabletask.io;TaskHub=orders;Authentication="


class Credential:
    def __init__(self, **given):
        self.given = given

    def get_token(self, *_scopes, **_options):
        return None


@pytest.fixture
def identity(monkeypatch):
    """A stand-in for azure-identity."""
    module = types.ModuleType("azure.identity")
    for name in (
        "DefaultAzureCredential",
        "ManagedIdentityCredential",
        "WorkloadIdentityCredential",
        "EnvironmentCredential",
        "AzureCliCredential",
        "AzurePowerShellCredential",
        "AzureDeveloperCliCredential",
        "VisualStudioCodeCredential",
        "InteractiveBrowserCredential",
    ):
        setattr(module, name, type(name, (Credential,), {}))
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    return module


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("DefaultAzure", "DefaultAzureCredential"),
        ("ManagedIdentity;ClientID=me", "ManagedIdentityCredential"),
        ("WorkloadIdentity;TenantId=t", "WorkloadIdentityCredential"),
        ("Environment", "EnvironmentCredential"),
        ("azurecli", "AzureCliCredential"),
        ("AzurePowerShell", "AzurePowerShellCredential"),
        ("AzureDeveloperCLI", "AzureDeveloperCliCredential"),
        ("VisualStudioCode", "VisualStudioCodeCredential"),
        ("InteractiveBrowser", "InteractiveBrowserCredential"),
    ],
)
def test_every_kind_has_its_credential(identity, kind, name):
    found = keywords_of_text(AZURE + kind, "", None, {})
    assert type(found["token_credential"]) is getattr(identity, name)
    assert (found["host_address"], found["taskhub"]) == ("https://x.durabletask.io:443", "orders")
    with df.DurableTaskSchedulerClient.from_connection_string(AZURE + kind) as client:
        assert client.task_hub_name == "orders"


def test_what_is_passed_wins(identity):
    mine = Credential()
    found = keywords_of_text(f"{AZURE}ManagedIdentity;ResourceId=https://r", "mine", mine, {})
    assert found["token_credential"] is mine
    assert (found["taskhub"], found["resource_id"]) == ("mine", "https://r")


@pytest.mark.parametrize(
    "make",
    [
        df.DurableTaskSchedulerClient,
        df.AsyncDurableTaskSchedulerClient,
        df.DurableTaskSchedulerWorker,
    ],
)
def test_a_connection_string_that_nobody_has_set(make: Any):
    with pytest.raises(TypeError, match=r"a text such as Endpoint=.*, not NoneType"):
        make.from_connection_string(None)


def test_without_an_address_it_is_this_machine():
    target = target_of_address(None, "", {}, None, {})
    assert (target.endpoint.authority, target.task_hub) == ("http://localhost:8080", "default")
    assert target_of_address("far:1", "x", {}, None, {}).endpoint.is_encrypted
    plain = target_of_address("far:1", "x", {"secure_channel": False}, None, {})
    assert not plain.endpoint.is_encrypted


def test_a_token_never_travels_in_the_clear():
    with pytest.raises(ConfigError, match="not encrypted"):
        target_of_address("http://far:1", "x", {}, Credential(), {})
    with grpc.insecure_channel("localhost:9") as channel:
        target_of_address("http://far:1", "x", {"channel": channel}, Credential(), {})


def test_an_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match=r"keyword argument 'chanel'\. Did you mean 'channel'"):
        tuning_of(cast("Any", {"chanel": None}), None)
    with pytest.raises(TypeError, match=r"argument 'nothing_of_the_kind'\.$"):
        tuning_of(cast("Any", {"nothing_of_the_kind": None}), None)


@pytest.mark.parametrize(
    "make",
    [
        df.DurableTaskSchedulerClient,
        df.AsyncDurableTaskSchedulerClient,
        df.DurableTaskSchedulerWorker,
    ],
)
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("logger", r"logging\.getLogger\('durable_app'\)"),
        ("log_handler", r"logging\.getLogger"),
        ("log_formatter", r"logging\.getLogger"),
        ("data_converter", "annotate inputs, results and states"),
        ("payload_store", "the local hub takes payloads of any size"),
        ("exception_properties_provider", "an attribute `properties`"),
        ("maximum_timer_interval", "one timer"),
        ("metadata", "taskhub="),
    ],
)
def test_keywords_of_durabletask_say_what_to_do_instead(make, name, advice):
    with pytest.raises(TypeError, match=f"keyword argument '{name}': .*{advice}"):
        make(taskhub="x", **cast("Any", {name: object()}))


def test_the_defaults_of_such_keywords_are_taken():
    defaults = dict.fromkeys(("logger", "log_handler", "data_converter", "payload_store"))
    with df.DurableTaskSchedulerClient(taskhub="x", **cast("Any", defaults)) as client:
        assert client.task_hub_name == "x"
    df.DurableTaskSchedulerWorker(taskhub="x", **cast("Any", defaults))


async def _channel():
    return grpc.aio.insecure_channel("localhost:9")


def test_a_channel_of_an_event_loop_needs_one():
    import asyncio

    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(_channel())
    try:
        for make in (df.DurableTaskSchedulerClient, df.DurableTaskSchedulerWorker):
            with pytest.raises(ConfigError, match=r"of grpc\.aio and belongs to an event loop"):
                make(taskhub="x", channel=channel)
    finally:
        loop.run_until_complete(channel.close())
        loop.close()
