"""The client of 1.x, compared with that package itself."""

import importlib
import inspect
import json

import pytest
from azure.functions import HttpRequest

import durable_app as df
from tests.unit.client.rig import with_connection

peer = pytest.importorskip("azure.durable_functions")

REQUIRED = inspect.Parameter.empty
PAYLOAD = "create_http_management_payload"  # takes the request of 2.x, too
METHODS = sorted(
    name
    for name, _method in inspect.getmembers(peer.DurableOrchestrationClient, inspect.isfunction)
    if not name.startswith("_")
)


def parameters(method):
    found = inspect.signature(method).parameters.values()
    return [(each.name, each.default) for each in found]


def test_the_peer_has_methods():
    assert {"start_new", "get_status_by", "purge_instance_history"} <= set(METHODS)


@pytest.mark.parametrize("name", [name for name in METHODS if name != PAYLOAD])
def test_a_method_begins_with_the_parameters_of_its_peer(name):
    ours = parameters(getattr(df.DurableOrchestrationClient, name))
    theirs = parameters(getattr(peer.DurableOrchestrationClient, name))
    assert [name for name, _default in ours[: len(theirs)]] == [name for name, _ in theirs]
    for (_ours, default), (_theirs, peers) in zip(ours, theirs, strict=False):
        assert peers in (default, REQUIRED)
    assert all(default is not REQUIRED for _name, default in ours[len(theirs) :])


def test_the_constructor_takes_what_its_peer_takes():
    ours = parameters(df.DurableOrchestrationClient.__init__)
    assert ours == parameters(peer.DurableOrchestrationClient.__init__)


@pytest.mark.parametrize("kind", ["DurableOrchestrationStatus", "PurgeHistoryResult"])
def test_results_have_the_properties_of_their_peers(kind):
    def properties(of):
        return {name for name, _value in inspect.getmembers(of, lambda x: isinstance(x, property))}

    module = importlib.import_module(f"azure.durable_functions.models.{kind}")
    theirs = properties(getattr(module, kind))
    assert theirs
    assert theirs <= properties(getattr(df, kind))


@pytest.mark.parametrize("state", [None, 0, {"n": 1}])
def test_states_of_entities_read_as_those_of_the_peer(state):
    module = importlib.import_module("azure.durable_functions.models.EntityStateResponse")
    for kind in (df.EntityStateResponse, module.EntityStateResponse):
        found = kind(state is not None, state)
        assert (found.entity_exists, found.entity_state) == (state is not None, state)


def test_ids_of_entities_are_those_of_the_peer():
    for kind in (df.EntityId, peer.EntityId):
        found = kind.get_entity_id("@counter@a b")
        assert (found.name, found.key, str(kind("Counter", "a"))) == (
            "counter",
            "a b",
            "@counter@a",
        )
        assert kind.get_scheduler_id(kind("Counter", "a")) == "@counter@a"
        assert kind.get_entity_id_url_path(kind("Counter", "a")) == "entities/Counter/a"
        assert kind("a", "b") == kind("a", "b")


def test_statuses_have_the_same_names_and_values():
    def members(kind):
        return {each.name: each.value for each in kind}

    assert members(df.OrchestrationRuntimeStatus) == members(peer.OrchestrationRuntimeStatus)


@pytest.mark.parametrize("url", ["https://my.example/api/start", "http://my.example:81/api/start"])
def test_the_same_binding_makes_the_same_answer(url):
    request = HttpRequest("GET", url, body=b"")

    async def conversation(connection):
        ours = df.DurableOrchestrationClient(connection)
        theirs = peer.DurableOrchestrationClient(json.dumps(connection.urls.binding()))
        return [
            (
                each.create_check_status_response(request, "i"),
                each.get_client_response_links(request, "i"),
                each.create_http_management_payload("i"),
            )
            for each in (ours, theirs)
        ]

    (response, *ours), (peers_response, *theirs) = with_connection(conversation)
    assert ours == theirs
    assert response.status_code == peers_response.status_code
    assert json.loads(response.get_body()) == json.loads(peers_response.get_body())
    assert dict(response.headers) == dict(peers_response.headers)
