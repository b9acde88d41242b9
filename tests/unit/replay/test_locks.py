"""Critical sections: who is locked, what may be done meanwhile, when it ends."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from durable_app.entity_id import EntityId
from durable_app.errors import OrchestratorError
from durable_app.protocol import (
    EntityLockGranted,
    EntityLockRequested,
    EntityUnlockSent,
    ExecutionTerminated,
    OrchestrationStatus,
)
from durable_app.replay.engine import Execution, ReplayEnv
from tests.unit.replay.world import (
    INSTANCE,
    NOON,
    World,
    answered,
    at,
    done,
    granted,
    raised,
    refused,
    replay,
    started,
)

A = EntityId("account", "a")
B = EntityId("account", "b")
C = EntityId("account", "c")


def held(inside: Any, *entities: EntityId) -> World:
    """Run code within a critical section, up to where it waits."""

    def orchestrator(context):
        with (yield context.lock_entities(entities or [A, B])) as lock:
            yield from inside(context, lock) or ()
        yield context.wait_for_external_event("never")

    world = World(orchestrator)
    world.turn(granted(world.actions[0]))
    return world


def unlocked(world: World) -> list[Any]:
    return [
        action.message.target_instance_id
        for action in world.actions
        if isinstance(getattr(action, "message", None), EntityUnlockSent)
    ]


# -- a section's life ----------------------------------------------------------------------------


def test_the_request_names_every_entity_once_and_in_order() -> None:
    def orchestrator(context):
        yield context.lock_entities(iter([B, A, EntityId("Account", "b")]))

    (action,) = World(orchestrator).actions
    message = action.message
    assert UUID(message.critical_section_id).version == 5
    assert message == EntityLockRequested(
        1, NOON, message.critical_section_id, ("@account@a", "@account@b"), 0, INSTANCE.instance_id
    )


@pytest.mark.parametrize("warm", [True, False])
def test_a_section_from_the_request_to_the_unlocks(warm: bool) -> None:
    def orchestrator(context):
        with (yield context.lock_entities([A, B])):
            balance = yield context.call_entity(A, "get")
            context.call_entity(B, "add", balance)
        return (yield context.call_entity(C, "get"))

    world = World(orchestrator, warm=warm)
    (request,) = world.actions
    world.turn(granted(request))
    (call,) = world.actions
    world.turn(answered(call, 5))
    add, *unlocks, last = world.actions
    assert world.ids == [3, 4, 5, 6]
    assert [unlock.message for unlock in unlocks] == [
        EntityUnlockSent(
            number,
            world.now,
            request.message.critical_section_id,
            INSTANCE.instance_id,
            f"@account@{key}",
        )
        for number, key in ((4, "a"), (5, "b"))
    ]
    world.turn(answered(add), answered(last, "free"))
    assert world.output == "free"


def test_the_section_is_learnt_from_history() -> None:
    def orchestrator(context):
        with (yield context.lock_entities([A])):
            pass

    past = [at(), started(), EntityLockRequested(1, NOON, "theirs", ("@account@a",))]
    grant = EntityLockGranted(-1, NOON, "theirs")
    unlock, completion = replay(orchestrator, past, [at(1), grant], ReplayEnv()).actions
    assert unlock.message.critical_section_id == "theirs"
    assert completion.status is OrchestrationStatus.COMPLETED


def test_another_lock_set_is_another_program() -> None:
    def orchestrator(context):
        yield context.lock_entities([A, C])

    past = [at(), started(), EntityLockRequested(1, NOON, "s", ("@account@a", "@account@b"))]
    (completion,) = replay(orchestrator, past, [at(1)], ReplayEnv()).actions
    assert completion.failure.error_type == "NonDeterminismError"
    assert "to @account@a, @account@c" in completion.failure.error_message


def test_a_lock_can_be_raced_against_a_timer_and_released_later() -> None:
    def orchestrator(context):
        request = context.lock_entities([A])
        event = context.wait_for_external_event("give up")
        assert (yield context.task_any([request, event])) is event
        lock = yield request
        lock.release()
        return repr(lock)

    world = World(orchestrator)
    (request,) = world.actions
    world.turn(raised("give up"))
    world.turn(granted(request))
    assert unlocked(world) == ["@account@a"]
    assert world.output == "<EntityLock @account@a released>"


def test_a_lock_that_was_granted_without_a_yield_is_held() -> None:
    def orchestrator(context):
        request = context.lock_entities([A])
        yield context.wait_for_external_event("go")
        assert request.is_completed
        yield context.call_entity(A, "get")

    world = World(orchestrator)
    world.turn(granted(world.actions[0]), raised("go"))
    assert [action.message.operation for action in world.actions] == ["get"]


def test_releasing_twice_is_harmless_and_entering_again_is_not() -> None:
    def inside(context, lock):
        assert repr(lock) == "<EntityLock @account@a, @account@b held>"
        lock.release()
        lock.release()
        with pytest.raises(OrchestratorError, match="ask for a new one"), lock:
            pass
        yield context.call_entity(C, "get")

    world = held(inside)
    assert unlocked(world) == ["@account@a", "@account@b"]
    world.turn(answered(world.actions[2]))
    assert world.actions == ()


def test_sections_follow_each_other() -> None:
    def orchestrator(context):
        for entities in ([A], [B, C]):
            with (yield context.lock_entities(entities)):
                pass

    world = World(orchestrator)
    world.turn(granted(world.actions[0]))
    unlock, request = world.actions
    world.turn(granted(request))
    assert unlocked(world) == ["@account@b", "@account@c"]
    assert unlock.message.critical_section_id != request.message.critical_section_id


def test_releasing_an_old_lock_leaves_the_new_one_alone() -> None:
    def orchestrator(context):
        first = yield context.lock_entities([A])
        first.release()
        with (yield context.lock_entities([B])):
            first.release()
            yield context.call_entity(B, "get")

    world = World(orchestrator)
    world.turn(granted(world.actions[0]))
    world.turn(granted(world.actions[1]))
    assert [action.message.target_instance_id for action in world.actions] == ["@account@b"]


# -- leaving -------------------------------------------------------------------------------------


def test_an_exception_releases_before_the_execution_fails() -> None:
    def inside(context, lock):
        yield context.call_entity(A, "get")

    world = held(inside)
    world.turn(refused(world.actions[0]))
    assert unlocked(world) == ["@account@a", "@account@b"]
    assert world.failure.error_type == "TaskFailedError"


def test_return_releases_before_the_execution_completes() -> None:
    def orchestrator(context):
        with (yield context.lock_entities([A])):
            return "out"

    world = World(orchestrator)
    world.turn(granted(world.actions[0]))
    assert unlocked(world) == ["@account@a"]
    assert world.output == "out"


def test_continue_as_new_leaves_the_release_to_the_hub() -> None:
    def inside(context, lock):
        context.continue_as_new(1)
        yield from ()

    world = held(inside)
    (completion,) = world.actions
    assert completion.status is OrchestrationStatus.CONTINUED_AS_NEW


def test_termination_leaves_the_release_to_the_hub() -> None:
    world = held(lambda context, lock: [context.call_activity("a")])
    world.turn(ExecutionTerminated(-1, NOON))
    assert [action.status for action in world.actions] == [OrchestrationStatus.TERMINATED]


def test_a_history_that_does_not_fit_leaves_the_release_to_the_hub() -> None:
    def inside(context, lock):
        yield context.call_activity("a")

    world = held(inside)
    world.turn(EntityUnlockSent(7, NOON, "s", None, "@account@a"))
    assert world.failure.error_type == "NonDeterminismError"
    assert len(world.actions) == 1


def transfer(context):
    try:
        with (yield context.lock_entities([A, B])) as lock:
            locks.append(lock)
            yield context.call_entity(A, "take", 5)
            yield context.call_entity(B, "put", 5)
    finally:
        with suppress(BaseException):
            locks[-1].release()
    return "done"


locks: list[Any] = []


def test_an_execution_evicted_at_any_yield_unlocks_nothing() -> None:
    world = World(transfer)
    world.turn(granted(world.actions[0]))
    for _ in range(2):
        world.turn(answered(world.actions[0]))
    assert world.output == "done"
    for past, new in world.turns[:-1]:
        execution = Execution(transfer, ReplayEnv())
        execution.advance(world.history[:past], new)
        execution.close()
        assert execution._ledger.queued == 0
        assert execution._ledger.section is not None


# -- the rules -----------------------------------------------------------------------------------


def broken(rule: Any) -> str:
    """Return the text of the error that a forbidden call raises; it must ask for nothing."""
    texts: list[str] = []

    def inside(context, lock):
        with pytest.raises(OrchestratorError) as caught:
            rule(context)
        texts.append(str(caught.value))
        yield context.call_activity("next")

    world = held(inside)
    assert world.actions[-1].name == "next"
    return texts[0]


def test_sections_do_not_nest() -> None:
    text = broken(lambda context: context.lock_entities([C]))
    assert "already locks @account@a, @account@b" in text
    assert "lock all entities at once" in text


def test_a_second_request_is_refused_while_the_first_waits() -> None:
    def orchestrator(context):
        context.lock_entities([A])
        context.lock_entities([B])

    assert "do not nest" in World(orchestrator).failure.error_message


@pytest.mark.parametrize("api", ["call_sub_orchestrator", "call_sub_orchestrator_with_retry"])
def test_no_sub_orchestrations(api: str) -> None:
    from durable_app.replay.retry import RetryOptions

    options = (RetryOptions(1000, 2),) if api.endswith("retry") else ()
    text = broken(lambda context: getattr(context, api)("child", *options))
    assert text.startswith(f"{api}: not within a critical section")


def test_no_signals_to_locked_entities() -> None:
    text = broken(lambda context: context.signal_entity(A, "add"))
    assert text.startswith("signal_entity: @account@a is locked by this orchestration")


def test_signals_to_others_are_allowed() -> None:
    world = held(lambda context, lock: [context.signal_entity(C, "add")])
    assert world.actions[0].message.target_instance_id == "@account@c"


def test_only_locked_entities_can_be_called() -> None:
    text = broken(lambda context: context.call_entity(C, "get"))
    assert text.startswith("call_entity: @account@c is not locked")


def test_one_call_at_a_time_to_each_locked_entity() -> None:
    def twice(context):
        context.call_entity(A, "get")
        context.call_entity(B, "get")
        context.call_entity(A, "get")

    assert "an earlier call of @account@a is not answered yet" in broken(twice)


@pytest.mark.parametrize("answer", [answered, refused])
def test_an_answered_entity_can_be_called_again(answer: Any) -> None:
    def inside(context, lock):
        with suppress(Exception):
            yield context.call_entity(A, "get")
        yield context.call_entity(A, "again")

    world = held(inside)
    world.turn(answer(world.actions[0]))
    assert [action.message.operation for action in world.actions] == ["again"]


def test_calls_from_before_do_not_count() -> None:
    def orchestrator(context):
        early = context.call_entity(A, "early")
        with (yield context.lock_entities([A])):
            yield context.task_all([early, context.call_entity(A, "late")])

    world = World(orchestrator)
    early, request = world.actions
    world.turn(granted(request))
    (late,) = world.actions
    world.turn(answered(early), answered(late))
    assert unlocked(world) == ["@account@a"]


def test_nothing_is_called_while_the_lock_is_waited_for() -> None:
    def orchestrator(context):
        context.lock_entities([A])
        context.call_entity(A, "get")

    failure = World(orchestrator).failure
    assert failure.error_type == "OrchestratorError"
    assert "is not held yet" in failure.error_message


def test_activities_and_timers_are_allowed() -> None:
    def inside(context, lock):
        yield context.task_any(
            [context.call_activity("a"), context.create_timer(context.current_utc_datetime)]
        )

    world = held(inside)
    world.turn(done(2))
    assert unlocked(world) == ["@account@a", "@account@b"]


def test_a_forgotten_yield_is_named() -> None:
    def orchestrator(context):
        with context.lock_entities([A]):
            pass

    failure = World(orchestrator).failure
    assert failure.error_type == "OrchestratorError"
    assert "with (yield context.lock_entities([...])):" in failure.error_message


@pytest.mark.parametrize(
    ("entities", "kind", "text"),
    [
        (A, "TypeError", "takes a list of EntityId, not EntityId"),
        ("@account@a", "TypeError", "takes a list of EntityId, not str"),
        (5, "TypeError", "takes a list of EntityId, not int"),
        (["@account@a"], "TypeError", "lock_entities: an entity is given as EntityId"),
        ([], "ValueError", "at least one entity"),
    ],
)
def test_what_is_locked_is_a_list_of_entities(entities: Any, kind: str, text: str) -> None:
    failure = World(lambda context: context.lock_entities(entities)).failure
    assert failure.error_type == kind
    assert text in failure.error_message


def test_a_host_without_critical_sections_says_so() -> None:
    world = World(
        lambda context: context.lock_entities([A]), env=ReplayEnv(capabilities=frozenset())
    )
    assert world.failure.error_type == "UnsupportedOnHostError"
    assert "This host has no critical sections" in world.failure.error_message


# -- grants --------------------------------------------------------------------------------------


def test_a_grant_that_nothing_waits_for_is_ignored_with_a_warning() -> None:
    world = held(lambda context, lock: [context.call_activity("a")])
    (warning,) = world.turn(EntityLockGranted(-1, NOON, "other")).warnings
    assert warning.startswith("EntityLockGranted for #other was ignored")
    world.turn(done(2))
    request = world.results[0].actions[0]
    assert len(world.turn(granted(request)).warnings) == 1
