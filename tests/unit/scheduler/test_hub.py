"""The hub: turns, slots, faults of workers and of the disk."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from durable_app.errors import SchedulerUnavailableError, StoreUnavailableError
from durable_app.ports import Purged, PurgeFilter, StartRequest
from durable_app.protocol import (
    ActivityRequest,
    CompleteOrchestration,
    CompletionToken,
    CreateTimer,
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    FailureDetails,
    OrchestrationStatus,
    OrchestratorResponse,
    OrchestratorStarted,
    RewindOrchestration,
    TaskFailed,
    TimerFired,
)
from durable_app.scheduler.inputs import Ask, Decline, PurgeBy, Results, Start
from durable_app.taskhub.instance import Decision, TaskKey
from tests.unit.scheduler.builders import NOW, Reply, Worker, World, call, done


def test_a_start_is_acknowledged_once_it_is_stored() -> None:
    world = World(turns=1)

    reply = world.start("a")
    world.wait(0.03)

    assert (reply.value, reply.answers) == ("a", 1)
    assert world.status("a") is OrchestrationStatus.PENDING


def test_start_turn_and_activity_run_to_the_end() -> None:
    world = World()
    world.start("a")

    world.answer(world.worker.take(), call(1))
    world.finish_activity(world.worker.take())
    world.answer(world.worker.take(), done())

    assert world.status("a") is OrchestrationStatus.COMPLETED
    assert world.hub.state.streams.in_flight == 0


def test_what_finds_no_slot_waits_for_one() -> None:
    world = World(turns=1)
    world.start("a")
    world.start("b")
    first = world.worker.take()
    assert world.worker.items == []

    world.answer(first, done())

    assert world.worker.take().instance_id == "b"


def test_an_instance_never_has_two_turns_in_flight() -> None:
    world = World()
    world.start("a")
    first = world.worker.take()
    world.raise_event("a", "1")
    assert world.worker.items == []

    world.answer(first, call(1))

    turns = [item for item in world.worker.items if hasattr(item, "new_events")]
    assert [e.input for e in turns[0].new_events if isinstance(e, EventRaised)] == ["1"]


def test_an_answer_that_comes_twice_counts_once() -> None:
    world = World()
    world.start("a")
    turn = world.worker.take()
    world.answer(turn, call(1))

    world.answer(turn, call(1), call(2))

    assert len(world.worker.items) == 1


def test_a_disconnected_worker_gives_back_what_it_held_without_penalty() -> None:
    world, other = World(), Worker()
    world.start("a")
    world.connect(2, other, 1, 1)

    world.disconnect(1)

    assert other.take().instance_id == "a"
    stored = world.store.load("a")
    assert stored is None or stored.instance.attempts == 0


def test_an_answer_to_an_earlier_run_of_the_hub_finds_nothing() -> None:
    world = World()
    world.start("a")
    old = world.worker.take().token
    again = World()
    again.store = world.store
    again.hub.state.store = world.store
    again.hub.state.open()

    assert again.hub.state.streams.new_token("i") != old
    assert again.hub.state.streams.held(CompletionToken("i", old.nonce)) is None


def test_a_turn_that_is_abandoned_backs_off_and_fails_in_the_end() -> None:
    world = World(attempts=2)
    world.start("a")
    world.start("b")
    first, second = world.worker.take(), world.worker.take()
    world.abandon(first)
    assert world.worker.items == []

    world.wait(1)
    world.abandon(world.worker.take())
    world.answer(second, done())

    stored = world.store.load("a")
    assert stored.instance.failure.error_type == "PoisonedOrchestration"
    assert world.status("b") is OrchestrationStatus.COMPLETED


def test_a_poisonous_activity_fails_and_leaves_others_alone() -> None:
    world = World(attempts=2)
    world.start("a")
    world.answer(world.worker.take(), call(1, "poison"), call(2))
    poison, work = world.worker.take(), world.worker.take()
    world.finish_activity(work)
    world.answer(world.worker.take())

    world.abandon(poison)
    world.wait(1)
    world.abandon(world.worker.take())

    failed = [e for e in world.worker.take().new_events if isinstance(e, TaskFailed)]
    assert failed[0].failure is not None
    assert failed[0].failure.error_type == "PoisonedActivity"


def test_after_a_poisonous_activity_the_next_suspect_runs() -> None:
    world = World(attempts=3)
    world.start("a")
    world.answer(world.worker.take(), call(1), call(2))
    for _ in range(2):
        first, second = world.worker.take(), world.worker.take()
        world.abandon(first)
        world.abandon(second)
        world.wait(5)
        if len(world.worker.items) == 1:
            break

    world.abandon(world.worker.take())

    assert any(item.token.target == "t" for item in world.worker.items)


def test_a_full_disk_refuses_starts_and_keeps_decided_turns() -> None:
    world = World()
    world.start("a")
    turn = world.worker.take()
    world.wait(0.03)
    world.store.refuses_writes = True
    world.answer(turn, done())

    refused = world.start("b")
    world.store.refuses_writes = False
    world.wait(10)

    assert isinstance(refused.error, StoreUnavailableError)
    assert world.status("a") is OrchestrationStatus.COMPLETED
    assert world.status("b") is None


def test_a_timer_that_is_committed_late_fires_all_the_same() -> None:
    world = World()
    world.start("a")
    turn = world.worker.take()
    world.wait(0.03)
    world.store.refuses_writes = True
    world.answer(turn, CreateTimer(1, NOW + timedelta(seconds=1)))
    world.wait(5)
    world.store.refuses_writes = False

    world.wait(10)

    assert any(isinstance(e, TimerFired) for e in world.worker.take().new_events)


def test_a_store_that_cannot_be_read_loses_no_result() -> None:
    world = World(hot_bytes=1)
    world.start("a")
    world.answer(world.worker.take(), call(1))
    work = world.worker.take()
    world.store.refuses_reads = True
    world.finish_activity(work)
    assert world.worker.items == []
    world.store.refuses_reads = False

    world.wait(10)

    assert world.worker.take().instance_id == "a"


def test_a_rewind_waits_for_a_free_worker() -> None:
    world = World(turns=1)
    world.start("a")
    world.handle()
    failed = OrchestrationStatus.FAILED
    turn = world.worker.take()
    failure = FailureDetails("Broken", "on purpose")
    world.answer(turn, CompleteOrchestration(9, failed, None, failure))
    world.start("b")
    busy = world.worker.take()

    reply = Reply()
    world.handle(Ask("a", ExecutionRewound(reason="again"), "be rewound", reply))
    world.wait(0.03)
    world.answer(busy, done())

    assert reply.answers == 1
    assert world.worker.take().instance_id == "a"


def test_a_control_message_leaves_no_row_behind() -> None:
    world = World(turns=1)
    world.start("a")
    world.disconnect(1)
    world.handle(Ask("a", ExecutionSuspended(), "be suspended", Reply()))
    world.wait(0.03)
    worker = Worker()
    world.connect(2, worker, 1, 1)

    world.handle(Ask("a", ExecutionResumed(), "be resumed", Reply()))
    world.answer(worker.take(), call(1))
    world.wait(0.03)

    stored = world.store.load("a")
    assert stored.messages == ()


def test_a_worker_without_the_history_gets_it_in_a_second_dispatch() -> None:
    world = World()
    world.start("a")
    world.answer(world.worker.take(), call(1))
    world.finish_activity(world.worker.take())
    turn = world.worker.take()
    assert turn.requires_history_streaming

    response = OrchestratorResponse("a", turn.token, (), requires_history=True)
    world.handle(Results([response]))

    again = world.worker.take()
    assert len(again.past_events) == again.past_count > 0
    assert again.new_events == turn.new_events


def test_a_step_that_the_store_refuses_is_done_again_from_what_is_stored() -> None:
    world = World()
    world.start("a")
    turn = world.worker.take()
    world.wait(0.03)
    stored = world.store.load("a").instance
    rival = msgspec.structs.replace(stored, revision=stored.revision + 1)
    world.store.commit([Decision("a", rival, expected_revision=stored.revision)])

    world.answer(turn, done())
    world.wait(2)

    assert world.worker.take().instance_id == "a"
    assert world.worker.forgotten == ["a"]


def test_stopping_answers_those_whose_step_rides_with_a_turn() -> None:
    world = World()
    reply = world.start("a")
    assert reply.answers == 0

    world.hub.finish()

    assert reply.value == "a"
    assert world.status("a") is OrchestrationStatus.PENDING


def test_stopping_answers_those_whose_step_came_too_late_for_a_turn() -> None:
    world = World()
    world.start("a")
    world.answer(world.worker.take())
    reply = Reply()
    world.handle(Ask("a", EventRaised(name="first"), "receive events", Reply()))
    turn = world.worker.take()
    world.handle(Ask("a", EventRaised(name="second"), "receive events", reply))
    world.store.refuses_writes = True
    world.answer(turn)
    world.store.refuses_writes = False
    assert reply.answers == 0

    world.hub.finish()

    assert (reply.answers, reply.error) == (1, None)


def test_stopping_refuses_what_waits_for_the_disk() -> None:
    world = World()
    world.store.refuses_reads = True
    first, second = Reply(), Reply()
    event = EventRaised(name="go")
    asks = [Ask("a", event, "receive events", reply) for reply in (first, second)]
    world.handle(*asks)
    assert (first.answers, second.answers) == (1, 0)

    world.hub.finish()

    assert isinstance(second.error, SchedulerUnavailableError)


def test_a_rewind_that_the_store_refuses_is_tried_again() -> None:
    world = World()
    world.start("a")
    failure = FailureDetails("Broken", "on purpose")
    end = CompleteOrchestration(9, OrchestrationStatus.FAILED, None, failure)
    world.answer(world.worker.take(), end)
    world.handle(Ask("a", ExecutionRewound(reason="again"), "be rewound", Reply()))
    world.wait(0.03)
    turn = world.worker.take()
    stored = world.store.load("a").instance
    rival = msgspec.structs.replace(stored, revision=stored.revision + 1)
    world.store.commit([Decision("a", rival, expected_revision=stored.revision)])
    world.answer(turn, RewindOrchestration(-1, turn.new_events))

    world.wait(1)

    assert world.worker.take().instance_id == "a"


def test_purging_many_goes_in_slices() -> None:
    world = World(turns=1_000)
    again: list[PurgeBy] = []
    world.requests.continue_with(again.append)
    for number in range(250):
        world.start(f"i{number}")
        world.answer(world.worker.take(), done())
    reply = Reply()

    world.handle(PurgeBy(PurgeFilter(), reply))
    assert (len(again), again[0].done, reply.answers) == (1, 200, 0)
    world.handle(again.pop())

    assert reply.value == Purged(250)


def test_a_turn_that_is_declined_waits_for_another_worker() -> None:
    world = World(attempts=2)
    world.start("a")
    turn = world.worker.take()
    world.handle(Decline(turn.token), Decline(turn.token))
    world.raise_event("a", "1")
    world.wait(600)
    assert world.worker.items == []
    assert world.status("a") is OrchestrationStatus.PENDING

    other = Worker()
    world.connect(2, other, 10, 10)
    again = other.take()
    assert [type(event) for event in again.new_events[:2]] == [
        OrchestratorStarted,
        ExecutionStarted,
    ]
    world.answer(again, done())
    assert world.status("a") is OrchestrationStatus.COMPLETED
    assert world.worker.items == []


def test_a_declined_turn_does_not_hold_up_those_that_wait_for_a_slot() -> None:
    world = World(turns=1)
    world.start("a")
    world.start("b")
    world.handle(Decline(world.worker.take().token))
    turn = world.worker.take()
    assert turn.instance_id == "b"
    world.answer(turn, done())


def test_what_was_declined_is_offered_again_when_it_starts_over() -> None:
    world = World()
    world.start("a")
    turn = world.worker.take()
    world.handle(Decline(turn.token))
    other = Worker()
    world.connect(2, other, 1, 1)
    again = other.take()
    world.disconnect(2)
    other.items.clear()
    world.connect(3, other, 1, 1)
    again = other.take()
    anew = CompleteOrchestration(1, OrchestrationStatus.CONTINUED_AS_NEW, "1", new_version="2")
    world.answer(again, anew)
    world.disconnect(3)
    assert world.worker.take().instance_id == "a"


def test_one_that_was_declined_and_is_replaced_waits_for_a_slot_like_any_other() -> None:
    world = World(turns=1)
    world.start("a")
    world.handle(Decline(world.worker.take().token))
    world.start("b")
    turn = world.worker.take()
    anyway = frozenset({OrchestrationStatus.PENDING})
    world.handle(Start(StartRequest("order", "a", replaceable=anyway), Reply()))
    assert world.worker.items == []
    world.answer(turn, done())
    assert world.worker.take().instance_id == "a"


def test_a_late_result_that_the_store_refuses_leaves_its_task_with_the_other_worker() -> None:
    world, other = World(), Worker()
    world.start("a")
    world.answer(world.worker.take(), call(1))
    late = world.worker.take()
    world.connect(2, other, 5, 5)
    world.disconnect(1)
    again = next(item for item in other.items if isinstance(item, ActivityRequest))
    world.store.refuses_next = True
    world.finish_activity(late)
    world.wait(5)

    assert [item for item in other.items if isinstance(item, ActivityRequest)] == [again]
    world.finish_activity(again)
    assert world.store.tasks(TaskKey(0), 10) == []
