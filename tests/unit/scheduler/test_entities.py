"""Entities in a hub: batches, locks, calls of orchestrations, requests of clients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_app.ports import Capacity, CleanedEntities, EntityQuery, StartRequest, WorkFilter
from durable_app.protocol import (
    CompleteOrchestration,
    EntityBatchResult,
    EntityLockGranted,
    EntityLockRequested,
    EntityMetadata,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationSignaled,
    EntityRequest,
    EntityUnlockSent,
    ExecutionTerminated,
    FailureDetails,
    OperationSuccess,
    OrchestrationStatus,
    OrchestratorResponse,
    SendEntityMessage,
    StartNewOrchestration,
)
from durable_app.scheduler.commits import RIDE_S
from durable_app.scheduler.entity_requests import EntityRequests
from durable_app.scheduler.inputs import (
    Abandon,
    Ask,
    Clean,
    Connect,
    Get,
    GetEntity,
    Purge,
    Restart,
    Results,
    Signal,
    Start,
)
from tests.unit.scheduler.builders import FullDisk
from tests.unit.scheduler.rig import MIDNIGHT, Answer, Hands, Rig

A, B = "@counter@a", "@counter@b"


class EntityRig(Rig):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        EntityRequests(self.hub).continue_with(self.later.append)

    def hands(self, entities: int = 10, only: WorkFilter | None = None) -> Hands:
        hands = Hands(next(self._streams))
        capacity = Capacity(10, 10, entities)
        self.send(Connect(hands.stream_id, hands, capacity, only or WorkFilter()))
        return hands

    def ask(self, make: Any) -> Any:
        answer = Answer()
        self.send(make(answer))
        if not answer.got:
            self.wait(2 * RIDE_S)  # it rides with a batch in flight
        (got,) = answer.got
        return got

    def signal(self, entity: str = A, operation: str = "add", signal_time: Any = None) -> Any:
        return self.ask(lambda reply: Signal(entity, operation, "1", signal_time, reply))

    def entity(self, entity: str = A) -> EntityMetadata | None:
        found: EntityMetadata | None = self.ask(lambda reply: GetEntity(entity, True, reply))
        return found

    def run(self, batch: EntityRequest, state: str | None, *results: str | None, **more: Any):
        outcomes = tuple(OperationSuccess(text, MIDNIGHT, MIDNIGHT) for text in results)
        outcome = EntityBatchResult(batch.token, outcomes, entity_state=state, **more)
        self.send(Results([outcome]))

    def turn(self, hands: Hands, *actions: Any, of: str = "order-1") -> Any:
        """Answer the next turn of an instance; the turn."""
        turn = next(turn for turn in hands.turns if turn.instance_id == of)
        hands.items.remove(turn)
        self.send(Results([OrchestratorResponse(turn.instance_id, turn.token, actions)]))
        return turn


def batches(hands: Hands) -> list[EntityRequest]:
    return [item for item in hands.items if isinstance(item, EntityRequest)]


def take(hands: Hands) -> EntityRequest:
    batch = batches(hands)[0]
    hands.items.remove(batch)
    return batch


def operations(batch: EntityRequest) -> list[str]:
    return [operation.operation for operation in batch.operations]


def call(number: int, request_id: str, entity: str = A, caller: str = "order-1") -> Any:
    event = EntityOperationCalled(
        number, MIDNIGHT, request_id, "get", None, None, caller, None, entity
    )
    return SendEntityMessage(number, event)


def lock(number: int, section: str, *entities: str, caller: str = "order-1") -> Any:
    event = EntityLockRequested(number, MIDNIGHT, section, entities, 0, caller)
    return SendEntityMessage(number, event)


def unlock(number: int, section: str, entity: str, caller: str = "order-1") -> Any:
    return SendEntityMessage(number, EntityUnlockSent(number, MIDNIGHT, section, caller, entity))


def start(rig: EntityRig, hands: Hands, *actions: Any, instance_id: str = "order-1") -> None:
    rig.ask(lambda reply: Start(StartRequest("order", instance_id), reply))
    rig.turn(hands, *actions, of=instance_id)


def test_signals_are_run_in_one_batch_and_the_state_is_kept():
    rig = EntityRig()
    for operation in ("add", "add", "reset"):
        assert rig.signal(operation=operation) is None
    hands = rig.hands()
    batch = take(hands)
    assert operations(batch) == ["add", "add", "reset"]
    assert (batch.instance_id, batch.entity_state) == (A, None)
    assert rig.entity() is None
    rig.run(batch, "2", "1", "2", None)
    found = rig.entity()
    assert found is not None
    assert (found.state, found.exists, found.backlog) == ("2", True, 0)
    rig.signal()
    assert take(hands).entity_state == "2"


def test_one_batch_at_a_time():
    rig = EntityRig()
    hands = rig.hands()
    rig.signal()
    first = take(hands)
    rig.signal(operation="later")
    assert batches(hands) == []
    rig.run(first, "1", None)
    assert operations(take(hands)) == ["later"]


def test_ids_are_the_same_whatever_the_case_of_the_name():
    rig = EntityRig()
    rig.signal("@Counter@a")
    assert take(rig.hands()).instance_id == A


@pytest.mark.parametrize("entity", ["order-1", "@counter", "@@a", "@x@" + "k" * 600, "@x@\ud800"])
def test_what_is_no_id_of_an_entity_is_refused(entity):
    assert isinstance(EntityRig().signal(entity), ValueError)


def test_a_delayed_signal_waits_for_its_time():
    rig = EntityRig()
    hands = rig.hands()
    rig.signal(signal_time=MIDNIGHT + timedelta(seconds=60))
    assert batches(hands) == []
    rig.wait(61)
    assert operations(take(hands)) == ["add"]


def test_a_delayed_signal_of_an_orchestration_reaches_an_entity_in_memory():
    rig = EntityRig()
    hands = rig.hands()
    rig.signal()
    rig.run(take(hands), "1", None)
    due = MIDNIGHT + timedelta(seconds=60)
    event = EntityOperationSignaled(1, MIDNIGHT, "r1", "late", due, None, A)
    start(rig, hands, SendEntityMessage(1, event))
    assert batches(hands) == []
    rig.wait(61)
    assert operations(take(hands)) == ["late"]


def test_a_delayed_message_is_not_taken_for_one_that_was_sent_before_it():
    rig = EntityRig(hot_bytes=0)
    rig.signal(operation="late", signal_time=MIDNIGHT + timedelta(seconds=5))
    rig.wait(10)
    rig.signal(operation="soon")
    assert operations(take(rig.hands())) == ["soon", "late"]


def test_a_clock_that_went_back_delays_no_message_and_changes_no_order():
    rig = EntityRig(hot_bytes=0)
    rig.signal(operation="first")
    rig.time.offset = -400
    rig.signal(operation="second")
    assert operations(take(rig.hands())) == ["first", "second"]


def test_a_request_that_a_release_takes_back_is_found_although_the_clock_went_back():
    rig = EntityRig(hot_bytes=0)
    hands = rig.hands()
    start(rig, hands, lock(1, "s1", A))
    start(rig, hands, lock(1, "s2", A, caller="order-2"), instance_id="order-2")
    rig.time.offset = -400
    terminated = ExecutionTerminated(-1, MIDNIGHT, None)
    rig.ask(lambda reply: Ask("order-2", terminated, "end", reply))
    rig.turn(hands, unlock(2, "s1", A))
    rig.wait(500)
    rig.signal()
    assert operations(take(hands)) == ["add"]


def test_everybody_is_answered_although_the_hub_ends_while_the_disk_is_gone():
    store = FullDisk()
    rig = EntityRig(store=store)
    rig.signal(A)
    store.refuses_reads = True
    answers = [Answer(), Answer()]
    rig.send(*(Signal(e, "add", "1", None, r) for e, r in zip((A, B), answers, strict=True)))
    rig.hub.finish()
    assert [len(each.got) for each in answers] == [1, 1]


def test_a_worker_has_slots_for_entities():
    rig = EntityRig()
    hands = rig.hands(entities=1)
    rig.signal(A)
    rig.signal(B)
    first = take(hands)
    assert batches(hands) == []
    rig.run(first, "1", None)
    assert take(hands).instance_id == B


def test_an_entity_that_nobody_knows_waits_for_a_worker_that_does():
    rig = EntityRig()
    stranger = rig.hands(only=WorkFilter(entities=frozenset({"other"})))
    rig.signal()
    assert batches(stranger) == []
    assert operations(take(rig.hands())) == ["add"]


def test_a_batch_that_comes_back_is_tried_again_later_and_given_up_in_the_end(caplog):
    rig = EntityRig(max_attempts=2)
    hands = rig.hands()
    rig.signal()
    rig.signal(operation="next")
    rig.send(Abandon(take(hands).token, "broken"))
    assert batches(hands) == []
    rig.wait(60)
    batch = take(hands)
    failure = FailureDetails("X", "worse")
    rig.send(Results([EntityBatchResult(batch.token, (), failure=failure)]))
    # The first operation is gone, the next one gets its turn.
    assert operations(take(hands)) == ["next"]
    assert "Operation 'add' of entity @counter@a was given up: worse" in caplog.text


def test_after_a_lost_batch_operations_run_one_at_a_time():
    rig = EntityRig()
    hands = rig.hands()
    for operation in ("innocent", "guilty"):
        rig.signal(operation=operation)
    lost = take(hands)
    rig.send(Abandon(lost.token, "broken"))
    rig.wait(60)
    batch = take(hands)
    assert operations(batch) == ["innocent"]
    rig.run(batch, "1", None)
    assert operations(take(hands)) == ["guilty"]


def test_after_a_lost_batch_all_that_may_have_been_in_it_runs_one_at_a_time():
    rig = EntityRig()
    hands = rig.hands()
    for operation in ("one", "two", "three"):
        rig.signal(operation=operation)
    rig.send(Abandon(take(hands).token, "broken"))
    for operation in ("later", "latest"):
        rig.signal(operation=operation)
    rig.wait(60)
    seen = []
    while batches(hands):
        batch = take(hands)
        seen.append(operations(batch))
        rig.run(batch, "1", *[None] * len(batch.operations))
    assert seen == [["one"], ["two"], ["three"], ["later"], ["latest"]]
    rig.signal(operation="slow")
    for operation in ("new", "newest"):
        rig.signal(operation=operation)
    rig.run(take(hands), "1", None)
    assert operations(take(hands)) == ["new", "newest"]


def test_a_call_is_answered():
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, call(1, "c1"))
    batch = take(hands)
    assert operations(batch) == ["get"]
    rig.run(batch, "1", "7")
    turn = rig.turn(hands)
    answer = turn.new_events[1]
    assert isinstance(answer, EntityOperationCompleted)
    assert (answer.request_id, answer.output) == ("c1", "7")


def test_a_second_answer_for_one_call_is_dropped():
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, call(1, "c1"), call(2, "c1"))
    rig.run(take(hands), "1", "7", "8")
    turn = rig.turn(hands)
    assert [type(event) for event in turn.new_events[1:]] == [EntityOperationCompleted]
    assert hands.turns == []


def test_locks_are_taken_one_after_the_other_and_given_back():
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, lock(1, "s1", A, B))
    start(rig, hands, lock(1, "s2", A, B, caller="order-2"), instance_id="order-2")
    assert [turn.instance_id for turn in hands.turns] == ["order-1"]
    turn = rig.turn(hands, unlock(2, "s1", A), unlock(3, "s1", B))
    assert isinstance(turn.new_events[1], EntityLockGranted)
    turn = rig.turn(hands, of="order-2")
    assert isinstance(turn.new_events[1], EntityLockGranted)


def test_while_locked_only_the_holder_is_served():
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, lock(1, "s1", A))
    rig.signal()
    assert batches(hands) == []
    rig.turn(hands, call(2, "c1"))
    rig.run(take(hands), "1", None)
    assert batches(hands) == []
    rig.turn(hands, unlock(3, "s1", A))
    assert operations(take(hands)) == ["add"]


END = CompleteOrchestration(9, OrchestrationStatus.COMPLETED)


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CONTINUED_AS_NEW"])
def test_an_execution_that_ends_gives_its_locks_back(status):
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, lock(1, "s1", A))
    rig.signal()
    rig.turn(hands, CompleteOrchestration(9, OrchestrationStatus[status]))
    assert operations(take(hands)) == ["add"]


def test_a_request_that_still_waits_ends_with_its_execution():
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, lock(1, "s1", A))
    start(rig, hands, lock(1, "s2", A, caller="order-2"), instance_id="order-2")
    terminated = ExecutionTerminated(-1, MIDNIGHT, None)
    rig.ask(lambda reply: Ask("order-2", terminated, "end", reply))
    rig.turn(hands, unlock(2, "s1", A))
    rig.signal()
    assert operations(take(hands)) == ["add"]


def test_an_orphaned_lock_and_an_empty_entity_are_cleaned_up():
    rig = EntityRig()
    hands = rig.hands()
    # Somebody who is no instance of this hub.
    start(rig, hands, lock(1, "s1", A, caller="nobody"))
    rig.signal(B)
    rig.run(take(hands), None, None)
    assert rig.ask(lambda reply: Clean(True, True, reply)) == CleanedEntities(1, 1)
    assert rig.ask(lambda reply: Clean(True, True, reply)) == CleanedEntities(1, 0)
    page = rig.store.query_entities(EntityQuery(include_transient=True))
    assert page.items == ()


def test_a_lock_whose_holder_runs_is_left_alone():
    rig = EntityRig()
    hands = rig.hands()
    start(rig, hands, lock(1, "s1", A))
    assert rig.ask(lambda reply: Clean(True, True, reply)) == CleanedEntities(0, 0)
    assert rig.ask(lambda reply: Clean(False, False, reply)) == CleanedEntities(0, 0)


def test_cleaning_goes_on_slice_by_slice(monkeypatch):
    monkeypatch.setattr("durable_app.scheduler.entity_requests._SLICE", 2)
    rig = EntityRig()
    hands = rig.hands()
    for number in range(3):
        rig.signal(f"@counter@{number}")
    while batches(hands):
        rig.run(take(hands), None, None)
    answer = Answer()
    rig.send(Clean(True, True, answer))
    while rig.later:
        rig.send(rig.later.pop())
    assert answer.got == [CleanedEntities(3, 0)]


@pytest.mark.parametrize(
    "make",
    [
        lambda reply: Ask(A, EntityLockGranted(), "x", reply),
        lambda reply: Restart(A, None, reply),
    ],
)
def test_an_entity_is_no_instance_for_clients(make):
    rig = EntityRig()
    rig.signal()
    assert "No instance" in str(rig.ask(make))
    assert rig.ask(lambda reply: Get(A, True, reply)) is None
    assert rig.ask(lambda reply: Purge(A, True, reply)) == 0


def test_a_start_that_cannot_be_is_dropped_with_a_word(caplog):
    rig = EntityRig()
    hands = rig.hands()
    rig.signal()
    starts = (StartNewOrchestration(1, "a/b", "order"), StartNewOrchestration(2, "ab", "order"))
    rig.run(take(hands), "1", None, actions=starts)
    assert [turn.instance_id for turn in hands.turns] == ["ab"]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage().startswith(
        "A start by entity @counter@a is dropped: Instance id 'a/b' contains '/'"
    )


def test_the_state_of_an_entity_outlives_the_memory_of_the_hub():
    rig = EntityRig(hot_bytes=0)
    hands = rig.hands()
    rig.signal()
    rig.run(take(hands), "1", None)
    found = rig.entity()
    assert found is not None
    assert found.state == "1"
    rig.signal()
    assert take(hands).entity_state == "1"
