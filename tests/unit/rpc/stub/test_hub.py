"""Clients of a hub that refuses, forgets, is away, or answers too early."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from durable_app.connection.failures import LinkError
from durable_app.errors import (
    DurableError,
    InstanceExistsError,
    InstanceNotFoundError,
    SchedulerUnavailableError,
    TaskHubNotFoundError,
    WrongStatusError,
)
from durable_app.ports import CleanedEntities, InstanceQuery, PurgeFilter, StartRequest
from durable_app.protocol import OrchestrationStatus
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.stub import waits
from tests.unit.rpc.stub.rig import NOBODY, state, with_hub

Code = grpc.StatusCode


def failing(call, error, **script):
    """The error of ``call(client)``."""

    async def conversation(client, _server):
        with pytest.raises(error) as raised:
            await call(client)
        return raised.value

    return with_hub(conversation, **script)


# -- requests ------------------------------------------------------------------------------------


def test_an_id_is_made_here_where_none_is_given():
    async def conversation(client, _server):
        # The scripted hub echoes the request, whose first field is the id, too.
        return await client.start(StartRequest("chain"))

    assert len(with_hub(conversation)) == 32


@pytest.mark.parametrize(
    ("found", "status"),
    [(state("SUSPENDED"), OrchestrationStatus.SUSPENDED), (NOBODY, OrchestrationStatus.RUNNING)],
)
def test_an_id_that_is_taken(found, status):
    error = failing(
        lambda client: client.start(StartRequest("chain", "one")),
        InstanceExistsError,
        StartInstance=[Code.ALREADY_EXISTS],
        GetInstance=[found],
    )
    assert (error.instance_id, error.status) == ("one", status)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Code.NOT_FOUND, TaskHubNotFoundError),
        (Code.FAILED_PRECONDITION, DurableError),
        (Code.INVALID_ARGUMENT, ValueError),
        (Code.PERMISSION_DENIED, LinkError),
        (Code.UNAVAILABLE, SchedulerUnavailableError),
    ],
)
def test_a_start_that_fails(code, error):
    failing(lambda client: client.start(StartRequest("chain")), error, StartInstance=[code])


CHANGES = {
    "RaiseEvent": lambda client: client.raise_event("one", "go", None),
    "TerminateInstance": lambda client: client.terminate("one", None),
    "SuspendInstance": lambda client: client.suspend("one", "why"),
    "ResumeInstance": lambda client: client.resume("one", None),
}


@pytest.mark.parametrize("method", CHANGES)
def test_a_finished_instance_is_not_changed(method):
    async def conversation(client, server):
        with pytest.raises(WrongStatusError, match="is Completed and cannot"):
            await CHANGES[method](client)
        with pytest.raises(InstanceNotFoundError):
            await CHANGES[method](client)
        with pytest.raises(TaskHubNotFoundError):
            await CHANGES[method](client)
        return server.calls(method)

    answers = [state("COMPLETED"), NOBODY, Code.NOT_FOUND]
    assert with_hub(conversation, GetInstance=answers) == 0


@pytest.mark.parametrize(
    ("later", "error"),
    [
        (NOBODY, InstanceNotFoundError),
        (state("COMPLETED"), WrongStatusError),
        (Code.NOT_FOUND, TaskHubNotFoundError),
    ],
)
def test_what_has_changed_since_the_question(later, error):
    failing(
        CHANGES["SuspendInstance"],
        error,
        GetInstance=[state("RUNNING"), later],
        SuspendInstance=[Code.NOT_FOUND],
    )


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("RewindInstance", lambda client: client.rewind("one", None)),
        ("RestartInstance", lambda client: client.restart("one", new_instance_id=False)),
    ],
)
def test_a_status_that_does_not_fit(method, call):
    found = {"GetInstance": [state("RUNNING")], method: [Code.FAILED_PRECONDITION]}
    assert failing(call, WrongStatusError, **found).status is OrchestrationStatus.RUNNING


def test_a_purge_that_is_refused_has_purged_nothing():
    async def conversation(client, _server):
        assert await client.purge("one") == 0
        assert await client.purge("one") == 0
        with pytest.raises(TaskHubNotFoundError):
            await client.purge("one")

    with_hub(
        conversation,
        PurgeInstances=[Code.FAILED_PRECONDITION, Code.NOT_FOUND, Code.NOT_FOUND],
        Hello=[b"", Code.NOT_FOUND],
    )


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("QueryInstances", lambda client: client.query(InstanceQuery())),
        ("PurgeInstances", lambda client: client.purge_by(PurgeFilter())),
        ("GetEntity", lambda client: client.get_entity("@counter@a")),
    ],
)
def test_a_hub_that_is_missing(method, call):
    failing(call, TaskHubNotFoundError, **{method: [Code.NOT_FOUND]})


def test_entities_refuse_for_another_reason():
    failing(
        lambda client: client.signal("@counter@a", "add", None),
        DurableError,
        SignalEntity=[Code.FAILED_PRECONDITION],
    )


@pytest.mark.parametrize(
    ("first", "found"), [(Code.NOT_FOUND, None), (b"", []), (Code.FAILED_PRECONDITION, "refused")]
)
def test_a_history_without_events(first, found):
    async def conversation(client, _server):
        try:
            return await client.history("one")
        except DurableError:
            return "refused"

    answers = [state("PENDING") if found == [] else NOBODY]
    assert with_hub(conversation, StreamInstanceHistory=[first], GetInstance=answers) == found


def cleaned(token):
    message = pb.CleanEntityStorageResponse(emptyEntitiesRemoved=2, orphanedLocksReleased=1)
    message.continuationToken.value = token
    return message.SerializeToString()


def test_a_clean_up_goes_on_to_its_end():
    async def conversation(client, server):
        return await client.clean(), server.calls("CleanEntityStorage")

    answers = [cleaned("1"), cleaned("2"), cleaned("2")]
    found = with_hub(conversation, CleanEntityStorage=answers)
    assert found == (CleanedEntities(6, 3), 3)


# -- waits ---------------------------------------------------------------------------------------


@pytest.fixture
def _no_pauses(monkeypatch):
    monkeypatch.setattr(waits, "_PAUSE_S", 0.001)


async def completed(client, timeout_s=10.0):
    found = await client.wait_for_completion("one", timeout_s=timeout_s)
    return found and found.status.name


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize(
    "early",
    [NOBODY, state("RUNNING"), Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.UNKNOWN, Code.INTERNAL],
)
def test_a_poll_that_ends_early_is_begun_again(early):
    async def conversation(client, _server):
        return await completed(client)

    answers = [early, early, state("FAILED")]
    assert with_hub(conversation, WaitForInstanceCompletion=answers) == "FAILED"


@pytest.mark.usefixtures("_no_pauses")
def test_a_hub_that_restarts_is_waited_for():
    async def conversation(client, _server):
        return await completed(client, None)

    # Each poll is repeated by the channel, too.
    answers = [*[Code.UNAVAILABLE] * 9, state("COMPLETED")]
    assert with_hub(conversation, WaitForInstanceCompletion=answers) == "COMPLETED"


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize(("patience_s", "timeout_s"), [(0.0, None), (60.0, 0.3)])
def test_a_hub_that_stays_away_is_told(patience_s, timeout_s):
    async def conversation(client, _server):
        with pytest.raises(SchedulerUnavailableError):
            await completed(client, timeout_s)

    answers = [Code.UNAVAILABLE] * 1_000
    with_hub(conversation, patience_s=patience_s, WaitForInstanceCompletion=answers)


def test_a_hub_that_refuses_is_told_at_once():
    async def conversation(client, server):
        with pytest.raises(LinkError):
            await completed(client)
        return server.calls("WaitForInstanceCompletion")

    assert with_hub(conversation, WaitForInstanceCompletion=[Code.PERMISSION_DENIED]) == 1


def stays(server):
    """Answers late."""

    def answer(_context):
        server["hub"].release.wait(10)
        return NOBODY

    return answer


@pytest.mark.parametrize("timeout_s", [0, 0.05])
def test_the_time_is_up(timeout_s):
    known = {}

    async def conversation(client, server):
        known["hub"] = server
        return await client.wait_for_start("one", timeout_s=timeout_s)

    assert with_hub(conversation, WaitForInstanceStart=[stays(known)]) is None


def test_closing_ends_waits_and_refuses_calls():
    known = {}

    async def conversation(client, server):
        known["hub"] = server
        waiting = asyncio.ensure_future(client.wait_for_completion("one"))
        while not server.calls("WaitForInstanceCompletion"):  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.005)
        await client.close()
        with pytest.raises(SchedulerUnavailableError, match="is closed"):
            await waiting
        with pytest.raises(SchedulerUnavailableError, match="is closed"):
            await client.get("one")

    with_hub(conversation, WaitForInstanceCompletion=[stays(known)])


def test_the_host_can_end_all_waits():
    known = {}

    async def conversation(client, server):
        known["hub"] = server
        waiting = asyncio.ensure_future(client.wait_for_completion("one"))
        while not server.calls("WaitForInstanceCompletion"):  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.005)
        client.end_waits()
        return await waiting, await client.wait_for_start("one")

    found = with_hub(conversation, WaitForInstanceCompletion=[stays(known)])
    assert found == (None, None)


# -- event loops ---------------------------------------------------------------------------------


def test_functions_with_a_loop_of_their_own_use_the_same_connection():
    async def conversation(client, _server):
        def on_another_thread():
            return asyncio.run(client.get("one"))

        return await asyncio.to_thread(on_another_thread)

    found = with_hub(conversation, GetInstance=[state("RUNNING")])
    assert found.status is OrchestrationStatus.RUNNING
