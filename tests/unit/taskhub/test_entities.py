"""The rules of entities: order, locks, answers."""

from __future__ import annotations

from typing import Any

import msgspec

from durable_app.protocol import (
    CompletionToken,
    EntityBatchResult,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    EventRaised,
    ExecutionStarted,
    FailureDetails,
    OperationFailure,
    OperationSuccess,
    SendSignal,
    StartNewOrchestration,
)
from durable_app.taskhub import entities
from durable_app.taskhub.entities import EntityBatch
from durable_app.taskhub.entity_rows import new_entity, releases
from durable_app.taskhub.instance import (
    Decision,
    EntityRow,
    Instance,
    LockHolder,
    Message,
    OpenWork,
)
from tests.unit.taskhub.builders import NOW, CountingIds, a_message, later

COUNTER = "@counter@a"
OTHER = "@counter@b"
TOKEN = CompletionToken("e", 1)


def an_entity(state: str | None = None, lock: LockHolder | None = None) -> Instance:
    return msgspec.structs.replace(new_entity(COUNTER, NOW), entity=EntityRow(state, lock))


def posted(event: Any) -> Message:
    return a_message(event, instance_id=COUNTER)


def a_signal(operation: str = "add") -> Message:
    return posted(EntityOperationSignaled(-1, NOW, "s", operation, None, "1", COUNTER))


def a_call(caller: str = "order-1", request_id: str = "c") -> Message:
    event = EntityOperationCalled(5, NOW, request_id, "get", None, None, caller, "e1", COUNTER)
    return posted(event)


def a_request(section: str = "s1", caller: str = "order-1", position: int = 0) -> Message:
    return posted(EntityLockRequested(6, NOW, section, (COUNTER, OTHER), position, caller))


def a_release(section: str = "s1") -> Message:
    return posted(EntityUnlockSent(7, NOW, section, "order-1", COUNTER))


def step(instance: Instance, *messages: Message, most: int = 100) -> Any:
    return entities.next_step(instance, messages, later(1), CountingIds(), most)


HELD = LockHolder("s1", "order-1")


# -- what comes next ------------------------------------------------------------------------------


def test_without_messages_there_is_nothing_to_do():
    assert step(an_entity()) is None


def test_operations_run_in_the_order_of_arrival():
    first, second, third = a_signal(), a_call(), a_signal("reset")
    batch = step(an_entity(), first, second, third)
    assert batch.messages == (first.id, second.id, third.id)
    assert [operation.operation for operation in batch.operations] == ["add", "get", "reset"]


def test_a_batch_has_a_limit():
    assert len(step(an_entity(), *(a_signal() for _ in range(5)), most=3).messages) == 3


def test_a_lock_request_is_a_fence():
    before, fence, behind = a_signal(), a_request(), a_signal()
    assert step(an_entity(), before, fence, behind).messages == (before.id,)


def test_a_grant_passes_the_request_on_to_the_next_entity():
    request = a_request()
    decision = step(an_entity("1"), request, a_signal())
    assert decision.instance.entity == EntityRow("1", HELD)
    assert decision.consumed == (request.id,)
    (message,) = decision.messages
    assert message.instance_id == OTHER
    assert message.event.position == 1
    assert [birth.instance_id for birth in decision.births] == [OTHER]


def test_the_last_grant_tells_the_orchestration():
    decision = step(an_entity(), a_request(position=1))
    (message,) = decision.messages
    assert message.instance_id == "order-1"
    assert message.event == EntityLockGranted(-1, later(1), "s1")
    assert decision.births == ()


def test_a_locked_entity_runs_the_calls_of_its_holder_alone():
    signal, stranger, own = a_signal(), a_call("order-2"), a_call("order-1")
    batch = step(an_entity(lock=HELD), signal, stranger, own)
    assert batch.messages == (own.id,)
    assert step(an_entity(lock=HELD), signal, stranger, a_request("s2")) is None


def test_a_release_frees_the_entity():
    release = a_release()
    decision = step(an_entity("1", HELD), a_signal(), release)
    assert decision.instance.entity == EntityRow("1", None)
    assert decision.consumed == (release.id,)


def test_what_the_holder_called_before_its_release_runs_under_the_lock():
    signal, call, release = a_signal(), a_call("order-1"), a_release()
    assert step(an_entity("1", HELD), signal, call, release).messages == (call.id,)
    assert step(an_entity("1", HELD), signal, release).consumed == (release.id,)


def test_a_release_of_another_section_frees_nothing():
    release = a_release("s2")
    decision = step(an_entity("1", HELD), release)
    assert decision == Decision(COUNTER, consumed=(release.id,))


def test_a_release_takes_back_a_request_that_still_waits():
    request, release = a_request("s2", "order-2"), a_release("s2")
    decision = step(an_entity("1", HELD), request, release)
    assert decision.instance is None
    assert decision.consumed == (release.id, request.id)


def test_what_no_entity_understands_is_dropped():
    stray = posted(EventRaised(-1, NOW, "hello", None))
    assert step(an_entity(), stray).consumed == (stray.id,)


# -- what follows from a batch --------------------------------------------------------------------


def ran(*messages: Message, result: dict[str, Any]) -> Any:
    batch = EntityBatch(COUNTER, tuple(m.event for m in messages), tuple(m.id for m in messages))  # type: ignore[misc]  # operations, all of them
    answer = EntityBatchResult(TOKEN, **result)
    return entities.complete_batch(an_entity("1"), batch, answer, later(2), CountingIds())


def fine(result: str | None = None) -> OperationSuccess:
    return OperationSuccess(result, NOW, NOW)


FAILURE = FailureDetails("ValueError", "no")


def test_callers_are_answered_and_signals_are_not():
    signal, call, failing = a_signal(), a_call(request_id="c1"), a_call(request_id="c2")
    results = (fine(), fine("7"), OperationFailure(FAILURE, NOW, NOW))
    decision = ran(signal, call, failing, result={"results": results, "entity_state": "2"})
    assert decision.instance.entity == EntityRow("2", None)
    assert decision.instance.revision == 1
    assert decision.consumed == (signal.id, call.id, failing.id)
    assert [message.event for message in decision.messages] == [
        EntityOperationCompleted(-1, later(2), "c1", "7"),
        EntityOperationFailed(-1, later(2), "c2", FAILURE),
    ]
    assert {(m.instance_id, m.execution_id) for m in decision.messages} == {("order-1", "e1")}


def test_operations_without_a_result_come_again():
    first, second = a_signal(), a_signal()
    assert ran(first, second, result={"results": (fine(),)}).consumed == (first.id,)


def test_a_state_of_none_is_deleted():
    assert ran(a_signal(), result={"results": (fine(),)}).instance.entity == EntityRow()


def test_an_entity_signals_others_and_starts_orchestrations():
    actions = (
        SendSignal(1, OTHER, "add", "1", later(60)),
        StartNewOrchestration(2, "order-9", "order", None, '"in"', later(60)),
        StartNewOrchestration(3, "order-10", "order"),
    )
    decision = ran(a_signal(), result={"results": (fine(),), "actions": actions})
    signal, begun, at_once = decision.messages
    assert (signal.instance_id, signal.visible_at) == (OTHER, later(60))
    assert (begun.instance_id, begun.visible_at) == ("order-9", later(60))
    assert isinstance(begun.event, ExecutionStarted)
    assert at_once.visible_at == later(2)
    assert [birth.instance_id for birth in decision.births] == [OTHER, "order-9", "order-10"]


def test_a_start_under_an_id_that_nobody_may_have_starts_nothing():
    actions = (StartNewOrchestration(1, "a/b", "order"), SendSignal(2, OTHER, "add"))
    decision = ran(a_signal(), result={"results": (fine(),), "actions": actions})
    assert [message.instance_id for message in decision.messages] == [OTHER]
    assert [birth.instance_id for birth in decision.births] == [OTHER]


def test_a_batch_that_is_lost_too_often_fails_its_first_operation():
    call, behind = a_call(), a_signal()
    batch = EntityBatch(COUNTER, (call.event, behind.event), (call.id, behind.id))  # type: ignore[arg-type]  # operations, both of them
    decision: Any = entities.give_up_first(an_entity("1"), batch, "gone", NOW, CountingIds())
    assert decision.consumed == (call.id,)
    assert decision.instance.entity == EntityRow("1", None)
    (message,) = decision.messages
    assert "the last one: gone" in message.event.failure.error_message


# -- locks that nobody will release ---------------------------------------------------------------


def test_all_that_an_execution_holds_or_waits_for_is_released():
    work = OpenWork.of(
        [
            EntityLockRequested(1, NOW, "s1", (COUNTER, OTHER), 0, "order-1"),
            EntityLockGranted(-1, NOW, "s1"),
            EntityUnlockSent(2, NOW, "s1", "order-1", COUNTER),
            EntityLockRequested(3, NOW, "s2", (COUNTER,), 0, "order-1"),
        ]
    )
    assert [
        (m.instance_id, m.event.critical_section_id)  # type: ignore[union-attr]  # releases
        for m in releases(work, "order-1", NOW, CountingIds())
    ] == [(OTHER, "s1"), (COUNTER, "s2")]


def test_an_orphaned_lock_is_released_by_a_message():
    (message,) = entities.release_orphan(an_entity(lock=HELD), NOW, CountingIds()).messages
    assert message.event == EntityUnlockSent(-1, NOW, "s1", "order-1", COUNTER)
    assert entities.release_orphan(an_entity(), NOW, CountingIds()).messages == ()
