"""Entities of the official SDK for Python."""

from __future__ import annotations

from datetime import timedelta

import pytest
from durabletask import task
from durabletask.client import EntityQuery
from durabletask.entities import DurableEntity, EntityInstanceId


class Counter(DurableEntity):
    def add(self, amount):
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int)

    def get(self):
        return self.get_state(int, 0)

    def break_down(self):
        self.set_state(-1)
        raise ValueError("broken")

    def pass_on(self, amount):
        self.set_state(self.get_state(int, 0))
        self.signal_entity(entity("other"), "add", amount)

    def begin(self, instance_id):
        self.set_state(self.get_state(int, 0))
        self.schedule_new_orchestration("recorded", 5, instance_id=instance_id)


def journal(context, value):
    """An entity that is a function: it keeps what it is sent."""
    if context.operation == "append":
        context.set_state([*context.get_state(list, []), value])
    return context.get_state(list)


def entity(key="one", name="Counter"):
    return EntityInstanceId(name, key)


def recorded(context, value):
    return value


def calling(context, given):
    operation, value = given
    return (yield context.call_entity(entity(), operation, value))


def transfer(context, amount):
    source, target = entity("a"), entity("b")
    with (yield context.lock_entities([target, source])):
        balance = yield context.call_entity(source, "get")
        yield context.create_timer(timedelta(milliseconds=1))
        yield context.call_entity(source, "add", -amount)
        yield context.call_entity(target, "add", amount)
    return balance


def state_of(hub, key="one", name="Counter"):
    found = hub.client.get_entity(entity(key, name))
    return None if found is None else found.get_typed_state()


def owner_of(hub):
    return hub.client.get_entity(entity())._locked_by


class TestSignals:
    def test_are_applied_once_each(self, hub):
        hub.work(entities=(Counter,))
        for amount in range(50):
            hub.client.signal_entity(entity(), "add", input=amount)

        hub.until(lambda: state_of(hub) == sum(range(50)))

    def test_keep_the_order_of_their_sender(self, hub):
        hub.work(entities=(journal,))
        for number in range(50):
            hub.client.signal_entity(entity(name="journal"), "append", input=number)

        hub.until(lambda: state_of(hub, name="journal") == list(range(50)))

    def test_wait_for_their_time(self, hub):
        hub.work(entities=(Counter,))
        due = hub.now() + timedelta(seconds=0.5)
        hub.client.signal_entity(entity(), "add", input=1, signal_time=due)
        assert hub.client.get_entity(entity()) is None

        hub.until(lambda: state_of(hub) == 1)
        assert due <= hub.now() < due + timedelta(seconds=2)

    def test_can_come_from_orchestrations_and_entities(self, hub):
        def sending(context, _):
            context.signal_entity(entity(), "pass_on", 3)
            return "sent"

        hub.work(sending, entities=(Counter,))

        assert hub.run(sending) == "sent"
        hub.until(lambda: state_of(hub, "other") == 3)

    def test_that_fail_change_nothing_and_hold_up_nobody(self, hub):
        hub.work(entities=(Counter,))
        hub.client.signal_entity(entity(), "add", input=1)
        hub.client.signal_entity(entity(), "break_down")
        hub.client.signal_entity(entity(), "add", input=2)

        hub.until(lambda: state_of(hub) == 3)


class TestCalls:
    def test_return_a_value(self, hub):
        hub.work(calling, entities=(Counter,))

        assert hub.run(calling, ["add", 2]) == 2
        assert hub.run(calling, ["add", 3]) == 5

    def test_that_fail_tell_why_and_change_nothing(self, hub):
        def careful(context, _):
            try:
                yield context.call_entity(entity(), "break_down")
            except Exception as error:  # noqa: BLE001  the SDK has several types
                return str(error)

        hub.work(careful, calling, entities=(Counter,))
        hub.run(calling, ["add", 2])

        assert "broken" in hub.run(careful)
        assert hub.run(calling, ["get", None]) == 2

    def test_can_start_orchestrations(self, hub):
        hub.work(calling, recorded, entities=(Counter,))
        hub.run(calling, ["begin", "begun"])

        assert hub.output("begun") == 5

    def test_show_in_the_history_with_their_target(self, hub):
        hub.work(calling, entities=(Counter,))
        instance_id = hub.start(calling, ["add", 2])
        hub.output(instance_id)

        events = hub.client.get_orchestration_history(instance_id)
        assert [type(event).__name__.removesuffix("Event") for event in events] == [
            "OrchestratorStarted",
            "ExecutionStarted",
            "EntityOperationCalled",
            "OrchestratorStarted",
            "EntityOperationCompleted",
            "ExecutionCompleted",
        ]
        assert events[2].target_instance_id == "@counter@one"


class TestState:
    def test_can_be_deleted(self, hub):
        hub.work(calling, entities=(Counter,))
        hub.run(calling, ["add", 2])
        hub.run(calling, ["delete", None])

        assert hub.client.get_entity(entity()) is None
        assert hub.run(calling, ["add", 1]) == 1

    @pytest.mark.parametrize("value", [0, False, "", [], {}])
    def test_of_no_weight_is_state(self, hub, value):
        def box(context, given):
            if context.operation == "put":
                context.set_state(given)
            return context.get_state()

        def put(context, given):
            yield context.call_entity(entity(name="box"), "put", given)
            return (yield context.call_entity(entity(name="box"), "look"))

        hub.work(put, entities=(box,))

        assert hub.run(put, value) == value
        assert hub.client.get_entity(entity(name="box")) is not None

    def test_is_told_only_when_asked(self, hub):
        hub.work(calling, entities=(Counter,))
        hub.run(calling, ["add", 2])
        found = hub.client.get_entity(entity(), include_state=False)

        assert found is not None
        assert not found.includes_state
        assert found.last_modified <= hub.now()
        assert hub.client.get_entity(entity("never seen")) is None

    def test_keys_are_case_sensitive_and_names_are_not(self, hub):
        hub.work(calling, entities=(Counter,))
        hub.run(calling, ["add", 2])

        assert state_of(hub, "one", "COUNTER") == 2
        assert hub.client.get_entity(entity("ONE")) is None


class TestQueries:
    def test_find_entities_by_prefix_and_page(self, hub):
        hub.work(entities=(Counter, journal))
        keys = [f"k{number}" for number in range(5)]
        for key in keys:
            hub.client.signal_entity(entity(key), "add", input=1)
        hub.client.signal_entity(entity(name="journal"), "append", input=1)
        every = hub.client.get_all_entities
        hub.until(lambda: len(every()) == 6)

        found = every(EntityQuery(instance_id_starts_with="@counter@", page_size=2))
        assert [each.id.key for each in found] == keys
        assert all(each.get_typed_state() == 1 for each in found)
        bare = every(EntityQuery(include_state=False, instance_id_starts_with="@counter@k3"))
        assert [(each.id.key, each.includes_state) for each in bare] == [("k3", False)]

    def test_send_no_more_than_the_client_can_receive(self, hub):
        def box(context, size):
            context.set_state("x" * size)

        hub.work(entities=(box,))
        for number in range(30):
            hub.client.signal_entity(entity(f"{number}", "box"), "set", 200_000)
        bare = EntityQuery(include_state=False)
        hub.until(lambda: len(hub.client.get_all_entities(bare)) == 30)

        assert len(hub.client.get_all_entities()) == 30

    def test_do_not_mix_with_orchestrations(self, hub):
        hub.work(calling, entities=(Counter,))
        hub.run(calling, ["add", 2])

        assert len(hub.client.get_all_orchestration_states()) == 1
        assert len(hub.client.get_all_entities()) == 1

    def test_cleaning_keeps_what_has_state(self, hub):
        hub.work(calling, entities=(Counter,))
        hub.run(calling, ["add", 2])
        hub.client.clean_entity_storage()

        assert state_of(hub) == 2


class TestLocks:
    def test_over_several_entities_keep_transfers_whole(self, hub):
        hub.work(transfer, entities=(Counter,))
        ids = [hub.start(transfer, 1) for _ in range(20)]

        # Each sees what the one before has left: nobody came in between.
        assert sorted(hub.output(i) for i in ids) == [-n for n in range(19, -1, -1)]
        hub.until(lambda: (state_of(hub, "a"), state_of(hub, "b")) == (-20, 20))

    def test_name_their_owner_and_hold_others_off(self, hub):
        def holding(context, _):
            with (yield context.lock_entities([entity()])):
                yield context.wait_for_external_event("release")
            return "released"

        hub.work(holding, calling, entities=(Counter,))
        hub.run(calling, ["add", 1])
        hub.start(holding, instance_id="owner")
        hub.until(lambda: owner_of(hub) == "owner")
        hub.client.signal_entity(entity(), "add", input=1)
        hub.until(lambda: hub.client.get_entity(entity()).backlog_queue_size == 1)

        assert state_of(hub) == 1
        hub.client.raise_orchestration_event("owner", "release")
        assert hub.output("owner") == "released"
        hub.until(lambda: state_of(hub) == 2)
        assert owner_of(hub) == ""

    @pytest.mark.parametrize("end", ["terminate", "fail"])
    def test_are_released_when_their_owner_ends(self, hub, end):
        def holding(context, _):
            with (yield context.lock_entities([entity()])):
                yield context.wait_for_external_event("fail")
                raise ValueError("in the critical section")

        hub.work(holding, calling, entities=(Counter,))
        hub.run(calling, ["add", 1])
        hub.start(holding, instance_id="owner")
        hub.until(lambda: owner_of(hub) == "owner")
        if end == "terminate":
            hub.client.terminate_orchestration("owner")
        else:
            hub.client.raise_orchestration_event("owner", "fail")
        hub.finished("owner")

        assert hub.run(calling, ["add", 1]) == 2


def test_a_call_and_a_timer_can_race(hub):
    def racing(context, _):
        call = context.call_entity(entity(), "add", 1)
        winner = yield task.when_any([call, context.create_timer(timedelta(days=1))])
        return winner is call

    hub.work(racing, entities=(Counter,))

    assert hub.run(racing) is True
