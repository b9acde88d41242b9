"""The methods of 2.x on a real hub in memory."""

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.errors import InstanceExistsError, InstanceNotFoundError, WrongStatusError
from tests.unit.client.rig import with_client

Status = df.OrchestrationStatus


async def finished(client, *instance_ids):
    for each in instance_ids:
        await client.schedule_new_orchestration("f", instance_id=each)
        await client.terminate_orchestration(each)
        await client.wait_for_orchestration_completion(each)


def test_a_scheduled_instance_has_a_state():
    async def conversation(client):
        instance_id = await client.schedule_new_orchestration(
            "f", input={"n": 0}, tags={"team": "a"}, version="2"
        )
        return (
            await client.get_orchestration_state(instance_id),
            await client.get_orchestration_state(instance_id, fetch_payloads=False),
            await client.get_orchestration_state("nobody"),
        )

    shown, hidden, nobody = with_client(conversation)
    assert (shown.name, shown.runtime_status) == ("f", Status.PENDING)
    assert (shown.version, shown.tags) == ("2", {"team": "a"})
    assert shown.get_input() == {"n": 0}
    assert shown.created_at.tzinfo is not None
    assert hidden.serialized_input is None
    assert nobody is None


def test_a_start_in_the_future_takes_any_time_zone():
    far = SystemClock().now() + timedelta(days=1)

    async def conversation(client):
        for each in (far, far.replace(tzinfo=None), far.astimezone(timezone(timedelta(hours=5)))):
            instance_id = await client.schedule_new_orchestration("f", start_at=each)
            with pytest.raises(TimeoutError, match=r"did not start within 0\.01 s"):
                await client.wait_for_orchestration_start(instance_id, timeout=0.01)
        with pytest.raises(ValueError, match="start_at lies outside of what UTC can express"):
            await client.schedule_new_orchestration(
                "f", start_at=datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))
            )

    with_client(conversation)


@pytest.mark.parametrize(
    "policy",
    [
        [Status.PENDING, Status.TERMINATED],
        ["Pending", "TERMINATED"],
        [df.OrchestrationRuntimeStatus.Pending, df.OrchestrationRuntimeStatus.Terminated],
        SimpleNamespace(replaceableStatus=[6, 5]),
    ],
)
def test_a_policy_says_which_statuses_may_be_replaced(policy):
    async def conversation(client):
        await client.schedule_new_orchestration("f", instance_id="i")
        await client.schedule_new_orchestration("g", instance_id="i", reuse_id_policy=policy)
        return (await client.get_orchestration_state("i")).name

    assert with_client(conversation) == "g"


def test_an_empty_policy_replaces_nothing_and_none_what_has_finished():
    async def conversation(client):
        await finished(client, "i")
        with pytest.raises(InstanceExistsError):
            await client.schedule_new_orchestration("f", instance_id="i", reuse_id_policy=[])
        return await client.schedule_new_orchestration("f", instance_id="i")

    assert with_client(conversation) == "i"


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"reuse_id_policy": 5}, TypeError, "reuse_id_policy must be the statuses .* not int"),
        ({"reuse_id_policy": [99]}, ValueError, "99 is no status of an orchestration; there are"),
        ({"reuse_id_policy": ["asleep"]}, ValueError, "'asleep' is no status"),
        ({"tags": ["a"]}, TypeError, "tags must be a dict of texts, not list"),
        ({"tags": {"a": 1}}, TypeError, r"tags\['a'\] must be a str, not int"),
        ({"start_at": "now"}, TypeError, "start_at must be a datetime, not str"),
        ({"version": 2}, TypeError, "version must be a str, not int"),
    ],
)
def test_arguments_are_checked(arguments, error, complaint):
    async def conversation(client):
        with pytest.raises(error, match=complaint):
            await client.schedule_new_orchestration("f", **arguments)

    with_client(conversation)


def test_waiting_ends_with_the_instance_or_with_the_time():
    async def conversation(client):
        await client.schedule_new_orchestration("f", instance_id="i", input=1)
        with pytest.raises(TimeoutError, match=r"'i' did not finish within 0\.01 s"):
            await client.wait_for_orchestration_completion("i", timeout=0.01)
        await client.terminate_orchestration("i", output={"why": "enough"})
        return (
            await client.wait_for_orchestration_start("i", timeout=None),
            await client.wait_for_orchestration_completion("i"),
        )

    started, ended = with_client(conversation)
    assert (started.serialized_input, started.serialized_output) == (None, None)
    assert (ended.runtime_status, ended.get_input()) == (Status.TERMINATED, 1)
    assert ended.get_output() == {"why": "enough"}


def test_steering_a_finished_instance_is_silent_and_a_missing_one_is_an_error():
    async def conversation(client):
        await finished(client, "i")
        for each in ("i", "no"):
            calls = [
                client.raise_orchestration_event(each, "e", data=0),
                client.terminate_orchestration(each),
                client.suspend_orchestration(each),
                client.resume_orchestration(each, reason="r"),
            ]
            for call in calls:
                if each == "i":
                    await call
                else:
                    with pytest.raises(InstanceNotFoundError, match="'no'"):
                        await call
        with pytest.raises(WrongStatusError):
            await client.rewind_orchestration("i")

    with_client(conversation)


def test_a_restart_keeps_the_id_unless_told_otherwise():
    async def conversation(client):
        await finished(client, "i")
        other = await client.restart_orchestration("i", restart_with_new_instance_id=True)
        return other, await client.restart_orchestration("i")

    other, same = with_client(conversation)
    assert same == "i"
    assert len(other) == 32


def test_the_history_of_an_execution():
    async def conversation(client):
        await finished(client, "i")
        execution = (await client._orchestrations.get("i")).execution_id
        with pytest.raises(InstanceNotFoundError):
            await client.get_orchestration_history("no")
        return [
            await client.get_orchestration_history("i"),
            await client.get_orchestration_history("i", execution_id=execution),
            await client.get_orchestration_history("i", execution_id="0" * 32),
        ]

    whole, named, older = with_client(conversation)
    assert whole == named
    assert type(whole[-1]).__name__ in {"ExecutionTerminated", "ExecutionCompleted"}
    assert older == []


def test_all_states_are_loaded_page_after_page():
    async def conversation(client):
        for each in ("a1", "a2", "a3", "b1"):
            await client.schedule_new_orchestration("f", instance_id=each, input=1)
        with pytest.raises(ValueError, match="max_instance_count must be at least 1, not 0"):
            await client.get_all_orchestration_states(df.OrchestrationQuery(max_instance_count=0))
        query = df.OrchestrationQuery(
            created_time_from=datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None),
            runtime_status=[Status.PENDING],
            max_instance_count=2,
            instance_id_prefix="a",
            fetch_inputs_and_outputs=True,
        )
        return (
            await client.get_all_orchestration_states(query),
            await client.get_all_orchestration_states(),
        )

    some, everything = with_client(conversation)
    assert [each.instance_id for each in some] == ["a1", "a2", "a3"]
    assert some[0].get_input() == 1
    assert len(everything) == 4
    assert everything[0].serialized_input is None


def test_ids_of_finished_instances_come_in_pages():
    async def conversation(client):
        await finished(client, "a", "b", "c")
        await client.schedule_new_orchestration("f", instance_id="running")
        first = await client.list_instance_ids(page_size=2)
        second = await client.list_instance_ids(
            page_size=2, continuation_token=first.continuation_token
        )
        later = SystemClock().now() + timedelta(hours=1)
        return [
            first.items,
            second.items,
            second.continuation_token,
            (await client.list_instance_ids(Status.TERMINATED, completed_time_to=later)).items,
            (await client.list_instance_ids(completed_time_from=later, page_size=1)).items,
            (await client.list_instance_ids("Running")).items,
        ]

    everything = ["a", "b", "c"]
    assert with_client(conversation) == [["a", "b"], ["c"], None, everything, [], []]


def test_one_instance_is_removed_once_it_has_finished():
    async def conversation(client):
        await finished(client, "i")
        await client.schedule_new_orchestration("f", instance_id="running")
        return [await client.purge_orchestration(each) for each in ("i", "i", "running")]

    counts = [(each.deleted_instance_count, each.is_complete) for each in with_client(conversation)]
    assert counts == [(1, True), (0, True), (0, True)]


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        ({}, (2, True)),
        ({"runtime_status": [Status.COMPLETED]}, (0, True)),
        ({"recursive": True, "runtime_status": Status.TERMINATED}, (2, True)),
        ({"recursive": True, "created_time_to": datetime(2020, 1, 1, tzinfo=UTC)}, (0, True)),
        ({"timeout": timedelta(minutes=1)}, (2, True)),
        ({"timeout": timedelta(0)}, (0, False)),
    ],
)
def test_many_instances_are_removed(arguments, outcome):
    async def conversation(client):
        await finished(client, "a", "b")
        await client.schedule_new_orchestration("f", instance_id="running")
        return await client.purge_orchestrations_by(**arguments)

    result = with_client(conversation)
    assert (result.deleted_instance_count, result.is_complete) == outcome


def test_a_client_can_be_closed_and_goes_on():
    async def conversation(client):
        async with client as same:
            assert same is client
        return await client.schedule_new_orchestration("f", instance_id="i")

    assert with_client(conversation) == "i"
