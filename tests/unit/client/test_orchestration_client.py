"""The methods of 1.x on a real hub in memory."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from azure.functions import HttpRequest

import durable_app as df
from durable_app.client.orchestration_client import REPLACEABLE
from durable_app.client.status import OrchestrationRuntimeStatus
from durable_app.clock import SystemClock
from durable_app.errors import (
    DefinitionError,
    InstanceExistsError,
    InstanceNotFoundError,
    WrongStatusError,
)
from tests.unit.client.rig import with_client

REQUEST = HttpRequest("POST", "http://my.example:1/api/start", body=b"")


def test_a_started_instance_has_a_status():
    async def conversation(client):
        instance_id = await client.start_new("chain", None, {"n": 0})
        hidden = await client.get_status(instance_id)
        return instance_id, hidden, await client.get_status(instance_id, show_input=True)

    instance_id, hidden, shown = with_client(conversation)
    assert len(instance_id) == 32
    assert (shown.name, shown.instance_id) == ("chain", instance_id)
    assert shown.runtime_status is OrchestrationRuntimeStatus.Pending
    assert (hidden.input_, shown.input_) == (None, {"n": 0})


def test_a_start_can_wait_for_its_time_and_have_tags():
    later = datetime(2090, 1, 2, tzinfo=UTC)

    async def conversation(client):
        await client.start_new("chain", "i", start_at=later, tags={"team": "blue"})
        return await client._orchestrations.get("i")

    state = with_client(conversation)
    assert (state.scheduled_start, state.tags) == (later, {"team": "blue"})


def test_an_unknown_instance_has_a_false_status():
    async def conversation(client):
        return await client.get_status("nobody", show_history=True)

    assert not with_client(conversation)


@pytest.mark.parametrize("value", [0, "", [], False])
def test_falsy_inputs_survive(value):
    async def conversation(client):
        return await client.get_status(await client.start_new("f", None, value), show_input=True)

    found = with_client(conversation).input_
    assert found == value
    assert type(found) is type(value)


def test_a_name_that_is_no_orchestrator_is_refused():
    async def conversation(client):
        with pytest.raises(DefinitionError, match=r"'chian' doesn't exist.*'chain'"):
            await client.start_new("chian")
        return await client.start_new("chain", "i")

    assert with_client(conversation, orchestrators=lambda: {"chain"}) == "i"


def test_a_running_id_is_not_replaced_unless_any_state_may_be():
    async def conversation(client):
        await client.start_new("f", "i")
        await client.start_new("g", "i")
        return (await client.get_status("i")).name

    with pytest.raises(InstanceExistsError):
        with_client(conversation)
    assert with_client(conversation, replaceable=REPLACEABLE["AnyState"]) == "g"


def test_requests_to_nobody_are_errors():
    async def conversation(client):
        for call in (
            client.raise_event("no", "e", 1),
            client.terminate("no", "r"),
            client.suspend("no", "r"),
            client.resume("no", "r"),
            client.rewind("no", "r"),
            client.restart("no"),
        ):
            with pytest.raises(InstanceNotFoundError, match="'no'"):
                await call
        return (await client.purge_instance_history("no")).instances_deleted

    assert with_client(conversation) == 0


def test_a_finished_instance_takes_no_events_but_steering_it_is_silent():
    async def conversation(client):
        await client.start_new("f", "i")
        await client.terminate("i", "enough")
        await client.wait_for_completion_or_create_check_status_response(REQUEST, "i")
        await client.terminate("i", "again")
        await client.suspend("i", "r")
        await client.resume("i", "r")
        with pytest.raises(WrongStatusError):
            await client.raise_event("i", "e")
        with pytest.raises(WrongStatusError):
            await client.rewind("i", "r")
        waited = await client.wait_for_completion_or_create_check_status_response(REQUEST, "i")
        purged = await client.purge_instance_history("i")
        return waited, purged.instances_deleted

    waited, purged = with_client(conversation)
    assert waited.status_code == 200
    body = json.loads(waited.get_body())
    assert (body["runtimeStatus"], body["output"]) == ("Terminated", "enough")
    assert purged == 1


def test_arguments_are_checked():
    async def conversation(client):
        with pytest.raises(ValueError, match="event_name"):
            await client.raise_event("i", "")
        with pytest.raises(ValueError, match="task hub 'h' and cannot reach 'other'"):
            await client.raise_event("i", "e", task_hub_name="other")
        with pytest.raises(ValueError, match="created_time_from is required"):
            await client.purge_instance_history_by()
        with pytest.raises(ValueError, match=r"Total timeout 1 \(ms\)"):
            await client.wait_for_completion_or_create_check_status_response(REQUEST, "i", 1, 2)

    with_client(conversation)


def test_lists_are_filtered():
    async def conversation(client):
        for name in ("a1", "a2", "b1"):
            await client.start_new("f", name, name)
        long_ago = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        later = SystemClock().now() + timedelta(hours=1)
        return [
            await client.get_status_all(),
            await client.get_status_by(long_ago, instance_id_prefix="a"),
            await client.get_status_by(later),
            await client.get_status_by(runtime_status=[OrchestrationRuntimeStatus.Running]),
            await client.get_status_by(runtime_status=[OrchestrationRuntimeStatus.Pending]),
        ]

    found = [[status.instance_id for status in rows] for rows in with_client(conversation)]
    assert found == [["a1", "a2", "b1"], ["a1", "a2"], [], [], ["a1", "a2", "b1"]]


def test_the_check_status_response():
    async def conversation(client):
        late = await client.wait_for_completion_or_create_check_status_response(
            REQUEST, await client.start_new("f", "i"), 10, 1
        )
        return client.create_check_status_response(REQUEST, "i"), late

    response, late = with_client(conversation)
    body = json.loads(response.get_body())
    assert response.status_code == 202
    assert response.headers["Retry-After"] == "10"
    assert response.headers["Location"] == body["statusQueryGetUri"]
    assert body["statusQueryGetUri"].startswith("http://my.example:1/runtime/webhooks/")
    assert response.mimetype == "application/json"
    assert late.get_body() == response.get_body()


def test_a_method_that_the_client_lacks_is_named():
    async def conversation(client):
        with pytest.raises(AttributeError, match=r"The client .* 'call_http': not in this"):
            client.call_http  # noqa: B018  the access is the test

    with_client(conversation)


def test_an_orchestrator_can_be_given_as_the_decorated_function():
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context", orchestration="Chain")
    def chain(context):
        return 1

    def plain(context):
        return 1

    async def conversation(client):
        return [
            (await client.get_status(await client.start_new(each))).name for each in (chain, plain)
        ]

    assert with_client(conversation) == ["Chain", "plain"]


def test_the_known_orchestrators_are_asked_for_at_each_start():
    known = {"old"}

    async def conversation(client):
        await client.start_new("old")
        known.clear()
        known.add("new")
        with pytest.raises(DefinitionError, match="'old' doesn't exist"):
            await client.start_new("old")
        return await client.start_new("new", "i")

    assert with_client(conversation, orchestrators=lambda: known) == "i"


def test_the_default_version_is_for_starts_without_one():
    async def conversation(client):
        await client.start_new("f", "a")
        await client.start_new("f", "b", version="2")
        return [(await client.get_orchestration_state(each)).version for each in "ab"]

    assert with_client(conversation, default_version="1") == ["1", "2"]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda c: c.start_new(None), "start_new: the function is given by its name, .* not by"),
        (lambda c: c.start_new("chain", 5), "instance_id must be a str, not int"),
        (lambda c: c.start_new("chain", version=2), "version must be a str, not int"),
        (lambda c: c.get_status(None), "instance_id must be a str, not NoneType"),
        (lambda c: c.get_status_by(instance_id_prefix=5), "instance_id_prefix must be a str"),
        (lambda c: c.get_status_by("2026-01-01"), "created_time_from must be a datetime, not str"),
        (lambda c: c.raise_event(["a"], "go"), "instance_id must be a str, not list"),
        (lambda c: c.raise_event("a", 5), "event_name must be a str, not int"),
        (lambda c: c.terminate(None, "x"), "instance_id must be a str"),
        (lambda c: c.suspend("a", {"why": 1}), "reason must be a str, not dict"),
        (lambda c: c.resume(b"a", "x"), "instance_id must be a str, not bytes"),
        (lambda c: c.rewind(None, "x"), "instance_id must be a str"),
        (lambda c: c.restart(None), "instance_id must be a str"),
        (lambda c: c.purge_instance_history(None), "instance_id must be a str"),
        (lambda c: c.purge_instance_history_by(5), "created_time_from must be a datetime"),
        (
            lambda c: c.wait_for_completion_or_create_check_status_response(REQUEST, None),
            "instance_id must be a str",
        ),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused_before_it_reaches_the_hub(call, complaint):
    async def conversation(client):
        with pytest.raises(TypeError, match=complaint):
            await call(client)
        assert await client.start_new("chain", "a") == "a"

    with_client(conversation)


@pytest.mark.parametrize("wanted", [OrchestrationRuntimeStatus.Pending, "Pending", ["Pending"]])
def test_a_filter_takes_one_status_or_several(wanted):
    async def conversation(client):
        await client.start_new("chain", "a")
        return [found.instance_id for found in await client.get_status_by(runtime_status=wanted)]

    assert with_client(conversation) == ["a"]


def test_the_history_of_an_instance_is_shown_on_demand():
    async def conversation(client):
        await client.start_new("f", "i", [1])
        await client.terminate("i", "enough")
        shown = await client.get_status("i", show_history=True)
        return shown.history, (await client.get_status("i")).history

    shown, hidden = with_client(conversation)
    assert isinstance(shown, list)
    assert hidden is None


def test_a_purge_by_time_needs_its_beginning():
    async def conversation(client):
        with pytest.raises(ValueError, match="created_time_from is required"):
            await client.purge_instance_history_by(None)

    with_client(conversation)


def test_a_purge_by_time_counts_what_it_removed():
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)

    async def conversation(client):
        for each in ("a", "b"):
            await client.start_new("f", each)
        await client.terminate("a", "enough")
        return [
            await client.purge_instance_history_by(long_ago, long_ago),
            await client.purge_instance_history_by(long_ago, runtime_status="Terminated"),
        ]

    assert [each.instances_deleted for each in with_client(conversation)] == [0, 1]


def test_reasons_can_be_left_out():
    async def conversation(client):
        await client.start_new("f", "i")
        await client.suspend("i")
        await client.resume("i")
        await client.terminate("i")
        return await client.wait_for_orchestration_completion("i")

    assert with_client(conversation).serialized_output is None


def test_what_has_finished_is_answered_without_time_to_wait():
    async def conversation(client):
        await client.start_new("f", "i")
        await client.terminate("i", "enough")
        await client.wait_for_orchestration_completion("i")
        return await client.wait_for_completion_or_create_check_status_response(REQUEST, "i", 0, 0)

    assert with_client(conversation).status_code == 200
