"""What clients do with entities."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

import durable_app as df
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.clock import SystemClock
from tests.unit.client.entity_rig import Keeper, eventually, settled
from tests.unit.client.rig import with_connection

COUNTER = df.EntityId("Counter", "a")


@dataclasses.dataclass
class Count:
    value: int


def with_keeper(conversation, **options):
    """Run ``conversation(client, hub)`` where entities run."""

    async def main(connection):
        Keeper(connection.orchestrations)
        return await conversation(DurableFunctionsClient(connection), connection.entities)

    return with_connection(main, **options)


@pytest.mark.parametrize("value", [0, "", False, [], {"n": 1}, "text"])
def test_an_input_arrives_and_a_state_is_read_as_it_is(value):
    async def conversation(client, hub):
        await client.signal_entity(COUNTER, "set", value)
        await settled(hub, COUNTER)
        return await client.read_entity_state(COUNTER)

    assert with_keeper(conversation) == df.EntityStateResponse(True, value)


@pytest.mark.parametrize(
    ("positional", "named"),
    [
        ((COUNTER, "set", 5), {}),
        ((COUNTER, "set", 5, "H"), {}),
        ((COUNTER, "set", 5, "h", "Storage"), {}),
        ((COUNTER, "set", 5, datetime(2020, 1, 1, tzinfo=UTC)), {}),
        ((COUNTER, "set", 5, None), {}),
        ((COUNTER, "set"), {"operation_input": 5, "task_hub_name": "h"}),
        ((COUNTER, "set"), {"input": 5, "signal_time": datetime(2020, 1, 1)}),  # noqa: DTZ001  UTC
        ((), {"entityId": COUNTER, "operation_name": "set", "operation_input": 5}),
        ((), {"entity_instance_id": COUNTER, "operation_name": "set", "input": 5}),
    ],
)
def test_both_spellings_of_a_signal(positional, named):
    async def conversation(client, hub):
        assert await client.signal_entity(*positional, **named) is None
        await settled(hub, COUNTER)
        return (await client.read_entity_state(entityId=COUNTER, task_hub_name="H")).entity_state

    assert with_keeper(conversation) == 5


def test_signals_run_in_the_order_of_their_sender():
    async def conversation(client, hub):
        for number in range(20):
            await client.signal_entity(COUNTER, "say", number)
        await settled(hub, COUNTER)
        return (await client.read_entity_state(COUNTER)).entity_state

    assert with_keeper(conversation) == [["say", number] for number in range(20)]


def test_a_signal_may_be_delayed():
    async def conversation(client, hub):
        await client.signal_entity(COUNTER, "set", 1)
        later = SystemClock().now() + timedelta(hours=1)
        await client.signal_entity(COUNTER, "set", 2, signal_time=later)
        await eventually(lambda: client.get_entity(COUNTER))
        found = await client.get_entity(COUNTER)
        return found.get_typed_state(), found.backlog_queue_size

    assert with_keeper(conversation) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        (("@counter@a", "set"), TypeError, "entityId must be an EntityId, not str"),
        ((), TypeError, "entityId must be an EntityId, not NoneType"),
        ((COUNTER,), TypeError, "operation_name must be a str"),
        ((COUNTER, "set", object()), df.PayloadError, "object"),
        ((COUNTER, "set", 1, "other"), ValueError, "cannot reach 'other'"),
        ((COUNTER, "set", 1, 5), TypeError, "task_hub_name must be a str"),
        ((df.EntityId("cuonter", "a"), "set"), df.DefinitionError, "'cuonter' .* 'counter'"),
    ],
)
def test_what_cannot_be_signalled(arguments, error, reason):
    async def conversation(client, _hub):
        with pytest.raises(error, match=reason):
            await client.signal_entity(*arguments)
        return await client.get_all_entities(df.EntityQuery(include_transient=True))

    assert with_keeper(conversation, known_entities=lambda: ["counter"]) == []


def test_the_app_decides_what_may_be_signalled_in_any_case():
    async def conversation(client, hub):
        await client.signal_entity(df.EntityId("COUNTER", "a"), "set", 1)
        await settled(hub, COUNTER)

    with_keeper(conversation, known_entities={"counter": None}.keys)


def test_an_entity_without_a_state_does_not_exist():
    async def conversation(client, hub):
        never = await client.get_entity(COUNTER), await client.read_entity_state(COUNTER)
        await client.signal_entity(COUNTER, "set", 1)
        await settled(hub, COUNTER)
        await client.signal_entity(COUNTER, "delete")
        await eventually(lambda: gone(client))
        return never, (await client.get_entity(COUNTER), await client.read_entity_state(COUNTER))

    async def gone(client):
        return await client.get_entity(COUNTER) is None

    nothing = None, df.EntityStateResponse(False)
    assert with_keeper(conversation) == (nothing, nothing)


def test_reading_on_another_hub_is_refused():
    async def conversation(client, _hub):
        with pytest.raises(ValueError, match="cannot reach 'other'"):
            await client.read_entity_state(COUNTER, "other")
        with pytest.raises(TypeError, match="EntityId"):
            await client.read_entity_state("@counter@a")
        with pytest.raises(TypeError, match="EntityId"):
            await client.get_entity("@counter@a")

    with_keeper(conversation)


def test_the_state_of_an_entity_is_text_until_it_is_decoded():
    async def conversation(client, hub):
        await client.signal_entity(COUNTER, "set", Count(3))
        await settled(hub, COUNTER)
        return await client.get_entity(COUNTER), await client.get_entity(COUNTER, False)

    found, bare = with_keeper(conversation)
    assert (found.id, found.includes_state, found.get_state()) == (COUNTER, True, '{"value":3}')
    assert found.get_state(str) == found.get_state()
    assert found.get_state(Count) == found.get_typed_state(Count) == Count(3)
    assert found.get_typed_state() == {"value": 3}
    assert (found.backlog_queue_size, found.get_locked_by()) == (0, None)
    assert timedelta() <= SystemClock().now() - found.last_modified < timedelta(minutes=1)
    assert (bare.includes_state, bare.get_state(), bare.get_typed_state(Count)) == (
        False,
        None,
        None,
    )
    with pytest.raises(df.PayloadError):
        found.get_state(int)


def test_the_holder_of_a_lock_is_an_orchestration():
    found = df.EntityMetadata(COUNTER, SystemClock().now(), locked_by="order-1")
    assert found.get_locked_by() == "order-1"


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (None, ["1", "2", "A", "z"]),
        (df.EntityQuery(page_size=1), ["1", "2", "A", "z"]),
        (df.EntityQuery("Counter"), ["1", "2", "A"]),
        (df.EntityQuery("@COUNTER@"), ["1", "2", "A"]),
        (df.EntityQuery("@counter@A"), ["A"]),
        (df.EntityQuery("counter@a"), []),
        (df.EntityQuery("@"), ["1", "2", "A", "z"]),
        (df.EntityQuery(""), ["1", "2", "A", "z"]),
        (df.EntityQuery(last_modified_from=datetime(2020, 1, 1)), ["1", "2", "A", "z"]),  # noqa: DTZ001  UTC
        (df.EntityQuery(last_modified_to=datetime(2020, 1, 1, tzinfo=UTC)), []),
        (df.EntityQuery(include_transient=True), ["1", "2", "A", "e", "z"]),
    ],
)
def test_entities_are_listed(query, keys):
    ids = [df.EntityId("counter", key) for key in ("2", "A", "1", "e")] + [df.EntityId("X", "z")]

    async def conversation(client, hub):
        for entity_id in ids:
            await client.signal_entity(entity_id, "set", entity_id.key)
        await settled(hub, *ids)
        await client.signal_entity(ids[3], "delete")
        await eventually(lambda: emptied(client))
        return await client.get_all_entities(query)

    async def emptied(client):
        return await client.get_entity(ids[3]) is None

    found = with_keeper(conversation)
    assert [each.id.key for each in found] == keys
    assert all(each.get_typed_state() == each.id.key for each in found if each.id.key != "e")


def test_a_list_without_states():
    async def conversation(client, hub):
        await client.signal_entity(COUNTER, "set", 1)
        await settled(hub, COUNTER)
        return await client.get_all_entities(df.EntityQuery(include_state=False))

    (found,) = with_keeper(conversation)
    assert (found.id, found.includes_state, found.serialized_state) == (COUNTER, False, None)


def test_a_page_has_at_least_one_row():
    async def conversation(client, _hub):
        with pytest.raises(ValueError, match="page_size must be at least 1"):
            await client.get_all_entities(df.EntityQuery(page_size=0))

    with_keeper(conversation)


def test_empty_entities_are_cleaned_away():
    async def conversation(client, hub):
        for entity_id in (COUNTER, df.EntityId("counter", "b")):
            await client.signal_entity(entity_id, "set", 1)
        await settled(hub, COUNTER)
        await client.signal_entity(COUNTER, "delete")
        await eventually(lambda: gone(client))
        kept = await client.clean_entity_storage(remove_empty_entities=False)
        cleaned = await client.clean_entity_storage()
        return kept, cleaned, await client.get_all_entities(df.EntityQuery(include_transient=True))

    async def gone(client):
        return await client.get_entity(COUNTER) is None

    kept, cleaned, left = with_keeper(conversation)
    assert kept == df.CleanEntityStorageResult(0, 0)
    assert (cleaned.empty_entities_removed, cleaned.orphaned_locks_released) == (1, 0)
    assert [each.id.key for each in left] == ["b"]


def test_an_entity_is_no_instance():
    async def conversation(client, hub):
        await client.signal_entity(COUNTER, "set", 1)
        await settled(hub, COUNTER)
        with pytest.raises(df.InstanceNotFoundError):
            await client.terminate(str(COUNTER), "enough")
        assert not await client.get_status(str(COUNTER))
        assert (await client.purge_orchestrations_by()).deleted_instance_count == 0
        assert (await client.purge_orchestration(str(COUNTER))).deleted_instance_count == 0
        return await client.get_all_orchestration_states(), await client.get_entity(COUNTER)

    states, found = with_keeper(conversation)
    assert states == []
    assert found.get_typed_state() == 1


def test_threads_have_the_same_calls():
    async def main(connection):
        Keeper(connection.orchestrations)
        sync = df.SyncDurableFunctionsClient(connection)
        await asyncio.to_thread(sync.signal_entity, COUNTER, "set", 1)
        await settled(connection.entities, COUNTER)
        return await asyncio.to_thread(
            lambda: (
                sync.read_entity_state(COUNTER).entity_state,
                sync.get_entity(COUNTER),
                len(sync.get_all_entities()),
                sync.clean_entity_storage(),
            )
        )

    state, found, count, cleaned = with_connection(main)
    assert (state, found.get_typed_state(int), count) == (1, 1, 1)
    assert cleaned == df.CleanEntityStorageResult(0, 0)
