"""Calls and signals of entities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from durable_app.entity_id import EntityId
from durable_app.errors import DefinitionError, TaskFailedError
from durable_app.protocol import (
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    FailureDetails,
    OrchestrationInstance,
    OrchestrationStatus,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
)
from durable_app.replay.engine import Emit, Execution, ReplayEnv, ScheduleAt
from tests.unit.replay.world import (
    INSTANCE,
    NOON,
    World,
    answered,
    at,
    done,
    recorded,
    refused,
    replay,
    started,
)

COUNTER = EntityId("Counter", "A b")
NAIVE = datetime(2026, 5, 4, 13)  # noqa: DTZ001  naive on purpose
CLASSIC = ReplayEnv(
    schedule_at=ScheduleAt.YIELD,
    first_id=0,
    emit=Emit.ALL,
    strict_ids=False,
    capabilities=frozenset(),
)


@dataclass
class Balance:
    euros: int


def asked(ask, **options):
    """Return the actions of an orchestrator's first turn."""

    def orchestrator(context):
        ask(context)
        yield context.wait_for_external_event("never")

    return World(orchestrator, **options).actions


def messages(ask, **options):
    return [action.message for action in asked(ask, **options)]


def anonymous(message):
    """Return a message without the id that the engine has given its request."""
    assert UUID(message.request_id).version == 5
    return msgspec.structs.replace(message, request_id="r")


# -- calls ---------------------------------------------------------------------------------------


def test_a_call_with_all_that_it_tells() -> None:
    (message,) = messages(lambda context: context.call_entity(COUNTER, "add", [0]))
    assert anonymous(message) == EntityOperationCalled(
        1,
        NOON,
        "r",
        "add",
        None,
        "[0]",
        INSTANCE.instance_id,
        INSTANCE.execution_id,
        "@counter@A b",
    )


def test_both_vocabularies_say_the_same() -> None:
    calls = messages(
        lambda context: [
            context.call_entity(entityId=COUNTER, operationName="add", operationInput=5),
            context.call_entity(entity=COUNTER, operation="add", input=5),
            context.call_entity(COUNTER, "add", input=5),
            context.call_entity(COUNTER, "add", 5),
        ]
    )
    same = [msgspec.structs.replace(anonymous(call), event_id=1) for call in calls]
    assert same == [same[0]] * 4
    signals = messages(
        lambda context: [
            context.signal_entity(entityId=COUNTER, operationName="add", operationInput=5),
            context.signal_entity(entity_id=COUNTER, operation_name="add", input=5),
            context.signal_entity(COUNTER, "add", 5),
        ]
    )
    same = [msgspec.structs.replace(anonymous(signal), event_id=1) for signal in signals]
    assert same == [same[0]] * 3


@pytest.mark.parametrize("value", [0, "", False, [], {}])
def test_falsy_inputs_and_results_survive(value: object) -> None:
    def orchestrator(context):
        context.signal_entity(COUNTER, "set", value)
        return [(yield context.call_entity(COUNTER, "set", value))]

    world = World(orchestrator)
    assert [action.message.input is not None for action in world.actions] == [True, True]
    world.turn(answered(world.actions[1], value))
    assert world.output == [value]


def test_no_input_is_no_payload() -> None:
    called, signaled = messages(
        lambda context: [context.call_entity(COUNTER, "a"), context.signal_entity(COUNTER, "a")]
    )
    assert (called.input, signaled.input) == (None, None)


@pytest.mark.parametrize("keyword", ["expected_type", "return_type"])
def test_a_result_is_decoded_as_asked_for(keyword: str) -> None:
    def orchestrator(context):
        balance = yield context.call_entity(COUNTER, "get", **{keyword: Balance})
        return balance.euros

    world = World(orchestrator)
    world.turn(answered(world.actions[0], {"euros": 7}))
    assert world.output == 7


def test_a_result_that_does_not_fit_raises_at_the_yield() -> None:
    def orchestrator(context):
        yield context.call_entity(COUNTER, "get", expected_type=Balance)

    world = World(orchestrator)
    world.turn(answered(world.actions[0], {"euros": "many"}))
    assert world.failure.error_type == "PayloadError"


def test_no_result_is_none() -> None:
    def orchestrator(context):
        return [(yield context.call_entity(COUNTER, "reset", expected_type=Balance))]

    world = World(orchestrator)
    request = world.actions[0].message.request_id
    world.turn(EntityOperationCompleted(-1, NOON, request, None))
    assert world.output == [None]


@pytest.mark.parametrize("warm", [True, False])
def test_answers_find_their_calls_by_request(warm: bool) -> None:
    def orchestrator(context):
        calls = [context.call_entity(EntityId("counter", key), "get") for key in "abc"]
        first = yield context.task_any(calls)
        return [calls.index(first), (yield context.task_all(calls))]

    world = World(orchestrator, warm=warm)
    a, b, c = world.actions
    world.turn(answered(b, "b"))
    world.turn(answered(c, "c"), answered(a, "a"))
    assert world.output == [1, ["a", "b", "c"]]


def test_a_failed_operation_tells_what_the_operation_told() -> None:
    def orchestrator(context):
        with pytest.raises(TaskFailedError, match="boom") as caught:
            yield context.call_entity(COUNTER, "add", 5)
        return [str(caught.value), caught.value.task_id, caught.value.details.error_type]

    world = World(orchestrator)
    world.turn(refused(world.actions[0], FailureDetails("app.BrokeError", "boom")))
    text = "Operation 'add' of entity '@counter@A b' failed: app.BrokeError: boom"
    assert world.output == [text, 1, "app.BrokeError"]


def test_a_failure_that_nobody_catches_fails_the_instance() -> None:
    def orchestrator(context):
        yield context.call_entity(COUNTER, "add", 5)

    world = World(orchestrator)
    world.turn(refused(world.actions[0], None))
    assert world.failure.error_type == "TaskFailedError"
    assert world.failure.inner_failure is not None
    assert world.failure.inner_failure.error_type == "Unknown"


def test_a_stray_answer_is_ignored_with_a_warning() -> None:
    def orchestrator(context):
        yield context.call_entity(COUNTER, "add", 5)

    world = World(orchestrator)
    stray = EntityOperationCompleted(-1, NOON, "other", "1")
    failure = EntityOperationFailed(-1, NOON, "another")
    first, second = world.turn(stray, failure).warnings
    assert first.startswith("EntityOperationCompleted for #other was ignored")
    assert second.startswith("EntityOperationFailed for #another was ignored")
    world.turn(answered(world.results[0].actions[0], 1), refused(world.results[0].actions[0]))
    assert world.output is None


@pytest.mark.parametrize("entity", ["@counter@a", None, ("counter", "a")])
def test_an_entity_is_given_as_an_entity_id(entity: object) -> None:
    for ask in ("call_entity", "signal_entity"):
        failure = World(lambda context, ask=ask: getattr(context, ask)(entity, "add")).failure
        assert failure.error_type == "TypeError"
        assert f"{ask}: an entity is given as EntityId('name', 'key')" in failure.error_message


def test_an_operation_has_a_name() -> None:
    failure = World(lambda context: context.call_entity(COUNTER, "")).failure
    assert failure.error_type == "DefinitionError"
    assert "call_entity: the name of an operation" in failure.error_message


# -- signals -------------------------------------------------------------------------------------


def test_a_signal_with_all_that_it_tells() -> None:
    later = NOON + timedelta(hours=1)
    (message,) = messages(lambda context: context.signal_entity(COUNTER, "add", 5, later))
    assert anonymous(message) == EntityOperationSignaled(
        1, NOON, "r", "add", later, "5", "@counter@A b"
    )


@pytest.mark.parametrize("when", [NAIVE, timedelta(hours=1)])
def test_the_time_of_a_signal_is_a_moment_in_utc(when: object) -> None:
    (message,) = messages(lambda context: context.signal_entity(COUNTER, "add", signal_time=when))
    assert message.scheduled_time == NOON + timedelta(hours=1)


def test_a_signal_at_no_time_is_refused() -> None:
    failure = World(lambda context: context.signal_entity(COUNTER, "add", 5, "noon")).failure
    assert failure.error_message == "signal_entity takes a datetime or a timedelta, not str."


def test_a_signal_may_be_yielded_and_need_not() -> None:
    def orchestrator(context):
        context.signal_entity(COUNTER, "add")
        signal = context.signal_entity(COUNTER, "add")
        assert signal.is_completed
        nothing = yield signal
        return [nothing, (yield context.task_all([signal, signal]))]

    world = World(orchestrator)
    assert world.output == [None, [None, None]]
    assert world.ids == [1, 2, 3]


def test_signals_of_the_last_turn_go_out() -> None:
    def orchestrator(context):
        context.signal_entity(COUNTER, "add")
        raise ValueError("too late")

    signal, completion = World(orchestrator).actions
    assert signal.message.operation == "add"
    assert completion.status is OrchestrationStatus.FAILED


def test_nothing_goes_out_after_continue_as_new() -> None:
    def orchestrator(context):
        context.continue_as_new(1)
        context.signal_entity(COUNTER, "add")
        yield context.call_entity(COUNTER, "add")

    assert len(World(orchestrator).actions) == 1


# -- ids and histories ---------------------------------------------------------------------------


def mixed(context):
    context.signal_entity(COUNTER, "add", 1)
    first = yield context.call_activity("a")
    context.signal_entity(COUNTER, "add", 2)
    return [first, (yield context.call_entity(COUNTER, "get"))]


def test_ids_are_shared_with_all_other_actions() -> None:
    world = World(mixed)
    assert world.ids == [1, 2]
    world.turn(done(2, "x"))
    assert world.ids == [3, 4]
    assert [action.message.event_id for action in world.actions] == [3, 4]


def test_requests_of_one_execution_differ_and_are_the_same_in_every_replay() -> None:
    def orchestrator(context):
        for _ in range(3):
            context.signal_entity(COUNTER, "add")
        yield context.call_entity(COUNTER, "add")

    events = [at(), started()]
    first, second = (replay(orchestrator, (), events, ReplayEnv()).actions for _ in range(2))
    assert first == second
    assert len({action.message.request_id for action in first}) == 4


def test_the_request_is_learnt_from_history() -> None:
    recorded_call = EntityOperationCalled(
        1, NOON, "theirs", "add", target_instance_id="@counter@A b"
    )

    def orchestrator(context):
        return (yield context.call_entity(COUNTER, "add"))

    past = [at(), started(), recorded_call]
    answer = EntityOperationCompleted(-1, NOON, "theirs", "5")
    result = replay(orchestrator, past, [at(1), answer], ReplayEnv())
    assert [action.result for action in result.actions] == ["5"]


def test_another_target_or_operation_is_another_program() -> None:
    past = [at(), started(), EntityOperationCalled(1, NOON, "r", "add", None, "5")]
    past[-1] = msgspec.structs.replace(past[-1], target_instance_id="@counter@b")

    def orchestrator(context):
        yield context.call_entity(COUNTER, "add", 5)

    (completion,) = replay(orchestrator, past, [at(1)], ReplayEnv()).actions
    assert completion.failure.error_type == "NonDeterminismError"
    text = completion.failure.error_message
    assert "EntityOperationCalled #1 'add' to @counter@b" in text
    assert "EntityOperationCalled #1 'add' to @counter@A b" in text


def test_a_terminated_instance_may_have_recorded_anything() -> None:
    from durable_app.protocol import ExecutionTerminated

    def orchestrator(context):
        yield context.wait_for_external_event("never")

    past = [at(), started(), at(1), ExecutionTerminated(-1, NOON)]
    past += recorded(asked(lambda context: context.signal_entity(COUNTER, "add")))
    assert replay(orchestrator, past, [at(2)], ReplayEnv()).is_complete


def test_warm_and_cold_see_the_same_events() -> None:
    seen = []

    def orchestrator(context):
        yield context.call_entity(COUNTER, "get")
        seen.append(context.histories)

    world = World(orchestrator)
    world.turn(answered(world.actions[0]))
    past, new = world.history[: world.turns[1][0]], world.turns[1][1]
    replay(orchestrator, past, new, world.env)
    assert seen[0] == seen[1]


def test_a_closed_execution_sends_nothing() -> None:
    def orchestrator(context):
        try:
            yield context.wait_for_external_event("never")
        finally:
            for ask in (context.signal_entity, context.call_entity):
                with pytest.raises(GeneratorExit):
                    ask(COUNTER, "add")
            cleaned.append(True)

    cleaned: list[bool] = []
    execution = Execution(orchestrator, ReplayEnv())
    execution.advance((), [at(), started()])
    execution.close()
    assert cleaned == [True]
    assert execution._ledger.queued == 0


# -- the classic host ----------------------------------------------------------------------------


def test_on_the_classic_host_a_signal_has_its_id_at_the_call_and_a_call_at_the_yield() -> None:
    def orchestrator(context):
        call = context.call_entity(COUNTER, "get")
        context.signal_entity(COUNTER, "add")
        yield context.call_activity("a")
        yield call

    actions = asked_of_classic(orchestrator, [])
    assert [(action.id, kind(action)) for action in actions] == [(0, "add"), (1, "a")]
    actions = asked_of_classic(orchestrator, [*recorded(actions), at(1), done(1)])
    assert [(action.id, kind(action)) for action in actions] == [(0, "add"), (1, "a"), (2, "get")]


def test_the_classic_host_gets_the_requests_of_history_again() -> None:
    def orchestrator(context):
        yield context.call_entity(COUNTER, "get")

    (action,) = asked_of_classic(orchestrator, [])
    theirs = msgspec.structs.replace(action.message, event_id=4, request_id="theirs")
    (again,) = asked_of_classic(orchestrator, [theirs])
    assert again == SendEntityMessage(4, theirs)


def asked_of_classic(orchestrator, past):
    result = replay(orchestrator, [at(), started(), *past], [], CLASSIC)
    return result.actions


def kind(action):
    return action.name if isinstance(action, ScheduleTask) else action.message.operation


def test_a_foreign_history_may_move_ids() -> None:
    """Predicted before a higher recorded id is learnt, a request gets its name with its id."""

    def orchestrator(context):
        first = context.call_entity(COUNTER, "one")
        context.call_entity(COUNTER, "two")
        yield first

    past = [
        at(),
        started(),
        EntityOperationCalled(7, NOON, "theirs", "one", target_instance_id="@counter@A b"),
    ]
    (action,) = replay(orchestrator, past, [at(1)], ReplayEnv(strict_ids=False)).actions
    assert action.id == action.message.event_id == 8


# -- events of other instances ----------------------------------------------------------------


def test_an_event_for_another_instance_with_all_that_it_tells() -> None:
    def orchestrator(context):
        assert (yield context.send_event("order-2", event_name="go", data={"n": 0})) is None
        context.send_event("order-3", "stop")

    world = World(orchestrator)
    first, second, _ = world.actions
    assert first == SendEvent(1, OrchestrationInstance("order-2"), "go", '{"n":0}')
    assert second == SendEvent(2, OrchestrationInstance("order-3"), "stop", None)


@pytest.mark.parametrize("warm", [True, False])
def test_nothing_is_kept_for_events_that_were_sent(warm: bool) -> None:
    def orchestrator(context):
        context.send_event("order-2", "go")
        return (yield context.call_activity("a"))

    world = World(orchestrator, warm=warm)
    execution = Execution(orchestrator, world.env)
    execution.advance(world.history, [])
    assert set(execution._ledger.open) == {2}
    assert set(world.execution._ledger.open) == ({2} if warm else set())
    world.turn(done(2, 3))
    assert world.output == 3


@pytest.mark.parametrize(
    ("instance_id", "name", "text"),
    [
        ("", "go", "the id of an instance"),
        ("@counter@a", "go", "use context.signal_entity"),
        ("order-2", "", "the name of an event"),
    ],
)
def test_whom_no_event_can_be_sent_to(instance_id: str, name: str, text: str) -> None:
    def orchestrator(context):
        with pytest.raises(DefinitionError, match=text):
            context.send_event(instance_id, name)
        return 1

    assert World(orchestrator).output == 1


def test_a_host_that_sends_no_events_says_what_to_do() -> None:
    def orchestrator(context):
        context.send_event("order-2", "go")

    world = World(orchestrator, env=ReplayEnv(capabilities=frozenset()))
    assert world.failure.error_type == "UnsupportedOnHostError"
    assert "Call an activity" in world.failure.error_message
