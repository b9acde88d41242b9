"""Clients that are built by hand."""

from typing import Any

import pytest

import durable_app as df
from durable_app.functions.handles import set_runtime_factory
from tests.unit.client.rig import with_connection

BINDING = '{"taskHubName": "h"}'
KINDS: list[Any] = [
    df.DurableOrchestrationClient,
    df.DurableFunctionsClient,
    df.SyncDurableOrchestrationClient,
    df.SyncDurableFunctionsClient,
]


class OneConnection:
    """A runtime that knows one binding."""

    def __init__(self, connection):
        self.found = connection

    def connection(self, binding):
        assert binding == BINDING
        return self.found

    def client(self, binding, *, sync):
        raise AssertionError("nobody asks for a client here")

    def orchestrate(self, handle, context_json):
        raise AssertionError("nobody runs an orchestrator here")


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_of_a_binding_becomes_a_client(kind):
    async def conversation(connection):
        set_runtime_factory(lambda: OneConnection(connection))
        try:
            return kind(BINDING, "invocation").task_hub_name, kind(context=BINDING)
        finally:
            set_runtime_factory(None)

    assert with_connection(conversation)[0] == "h"


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_host_there_is_nothing_to_talk_to(kind):
    with pytest.raises(df.UnsupportedOnHostError, match="Start the app with `func start`"):
        kind(BINDING)


def test_anything_else_is_refused():
    wrong: Any = b"{}"
    with pytest.raises(TypeError, match=r"made of the text .* not of bytes"):
        df.DurableOrchestrationClient(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_a_client_already_is_said_to_be_one(kind):
    async def conversation(connection):
        passed: Any = df.DurableFunctionsClient(connection)
        with pytest.raises(TypeError, match="already, a DurableFunctionsClient: use it as it is"):
            kind(passed)

    with_connection(conversation)
