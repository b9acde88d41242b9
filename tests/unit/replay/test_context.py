from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_OID, NAMESPACE_URL, UUID, uuid5

import pytest

from durable_app.errors import DefinitionError, TaskFailedError
from durable_app.protocol import (
    CreateSubOrchestration,
    CreateTimer,
    OrchestrationInstance,
    ParentInstance,
    ScheduleTask,
    TaskScheduled,
)
from durable_app.replay.engine import Execution, ReplayEnv
from tests.unit.replay.world import (
    NOON,
    World,
    at,
    child_done,
    child_failed,
    done,
    fired,
    raised,
    replay,
    started,
)


@dataclass
class Order:
    number: int


def charge(order: Order) -> Order:
    return order


def asked(ask, **options):
    """Return the actions of an orchestrator's first turn."""

    def orchestrator(context):
        ask(context)
        yield context.wait_for_external_event("never")

    return World(orchestrator, **options).actions


def failure_of_asking(ask, **options):
    return World(ask, **options).failure


def test_facts_about_the_instance() -> None:
    seen = []

    def orchestrator(context):
        seen.append([context.instance_id, context.parent_instance_id, context.version])
        seen.append([context.will_continue_as_new, context.custom_status])
        assert context.function_context is not None

    parent = ParentInstance(3, OrchestrationInstance("mother", "f" * 32))
    replay(orchestrator, (), [at(), started(None, "1.2", parent)], ReplayEnv())
    replay(orchestrator, (), [at(), started()], ReplayEnv())
    assert seen == [
        ["order-1", "mother", "1.2"],
        [False, None],
        ["order-1", None, None],
        [False, None],
    ]


def test_the_input_is_plain_or_of_the_type_asked_for() -> None:
    def orchestrator(context):
        return [context.get_input(), context.get_input(Order).number, context.get_input(dict)]

    assert World(orchestrator, {"number": 4}).output == [{"number": 4}, 4, {"number": 4}]


def test_the_input_is_of_the_registered_type() -> None:
    def orchestrator(context):
        return context.get_input().number

    assert World(orchestrator, {"number": 4}, input_type=Order).output == 4


def test_no_input_is_none() -> None:
    assert World(lambda context: [context.get_input()]).output == [None]


def test_an_input_that_does_not_fit_fails_the_instance() -> None:
    failure = failure_of_asking(lambda context: context.get_input(int), input_="four")
    assert failure.error_type == "PayloadError"


def test_an_activity_with_all_that_can_be_said() -> None:
    actions = asked(lambda context: context.call_activity("a", [0], tags={"team": "x"}))
    assert actions == (ScheduleTask(1, "a", None, "[0]", {"team": "x"}),)


@pytest.mark.parametrize("value", [0, "", False, [], {}])
def test_falsy_inputs_are_inputs(value: object) -> None:
    (action,) = asked(lambda context: context.call_activity("a", value))
    assert action.input is not None


def test_an_input_without_json_form_fails_at_the_call() -> None:
    failure = failure_of_asking(lambda context: context.call_activity("a", {"x": [object()]}))
    assert failure.error_type == "PayloadError"
    assert "x[0]" in failure.error_message
    assert "test_context.py" in (failure.stack_trace or "")


def test_a_result_is_decoded_as_asked_for_or_as_the_function_says() -> None:
    def orchestrator(context):
        plain = yield context.call_activity("charge")
        typed = yield context.call_activity("charge", expected_type=Order)
        known = yield context.call_activity(charge)
        chosen = yield context.call_activity(charge, expected_type=dict)
        return [plain, typed.number, known.number, chosen]

    world = World(orchestrator)
    for number in range(1, 5):
        world.turn(done(number, {"number": number}))
    assert world.output == [{"number": 1}, 2, 3, {"number": 4}]


def test_a_result_that_does_not_fit_raises_at_the_yield() -> None:
    def orchestrator(context):
        yield context.call_activity("charge", expected_type=Order)

    world = World(orchestrator)
    world.turn(done(1, "no order"))
    assert world.failure.error_type == "PayloadError"


def test_a_wrong_function_fails_at_the_call() -> None:
    failure = failure_of_asking(lambda context: context.call_activity(5))
    assert failure.error_type == "TypeError"
    failure = failure_of_asking(lambda context: context.call_activity(""))
    assert failure.error_type == "DefinitionError"


def test_tags_need_a_host_that_keeps_them() -> None:
    env = ReplayEnv(capabilities=frozenset())
    failure = failure_of_asking(lambda context: context.call_activity("a", tags={}), env=env)
    assert failure.error_type == "UnsupportedOnHostError"
    assert "Leave `tags` out" in failure.error_message


def test_a_child_gets_an_id_that_no_other_execution_gives() -> None:
    actions = asked(
        lambda context: (
            context.call_activity("a"),
            context.call_sub_orchestrator("child", 1),
        )
    )
    assert actions[1] == CreateSubOrchestration(2, "e" * 32 + ":0002", "child", None, "1")


def test_a_child_with_all_that_can_be_said() -> None:
    actions = asked(
        lambda context: context.call_sub_orchestrator(
            "child", None, "mine", "2.0", dict, tags={"a": "b"}
        )
    )
    assert actions == (CreateSubOrchestration(1, "mine", "child", "2.0", None, None, {"a": "b"}),)


@pytest.mark.parametrize(("given", "expected"), [(None, "1.0"), ("2.0", "2.0")])
def test_a_child_without_a_version_gets_the_default(given, expected) -> None:
    (action,) = asked(
        lambda context: context.call_sub_orchestrator("child", version=given),
        env=ReplayEnv(default_version="1.0"),
    )
    assert action.version == expected


def test_a_host_may_name_the_children() -> None:
    (action,) = asked(
        lambda context: context.call_sub_orchestrator("child"), env=ReplayEnv(name_children=False)
    )
    assert action.instance_id is None


def test_a_child_of_an_execution_without_id_is_named_after_the_instance() -> None:
    def orchestrator(context):
        yield context.call_sub_orchestrator("child")

    import msgspec

    event = msgspec.structs.replace(started(), instance=OrchestrationInstance("plain"))
    result = replay(orchestrator, (), [at(), event], ReplayEnv())
    assert result.actions[0].instance_id == "plain:0001"
    event = msgspec.structs.replace(started(), instance=None)
    result = replay(orchestrator, (), [at(), event], ReplayEnv())
    assert result.actions[0].instance_id is None


def test_a_child_completes_and_fails() -> None:
    def orchestrator(context):
        value = yield context.call_sub_orchestrator("child")
        try:
            yield context.call_sub_orchestrator("child")
        except TaskFailedError as error:
            return [value, str(error)]

    world = World(orchestrator)
    world.turn(child_done(1, 5))
    world.turn(child_failed(2))
    assert world.output == [5, "Sub orchestrator function 'child' failed: ValueError: boom"]


def test_answers_of_the_wrong_kind_are_strays() -> None:
    def orchestrator(context):
        yield context.task_all([context.call_activity("a"), context.call_sub_orchestrator("child")])

    from tests.unit.replay.world import failed

    world = World(orchestrator)
    result = world.turn(child_done(1), child_failed(1), done(2), failed(2), fired(1))
    assert len(result.warnings) == 5
    assert result.actions == ()


@pytest.mark.parametrize(
    ("moment", "fire_at"),
    [
        (timedelta(hours=1), NOON + timedelta(hours=1)),
        (timedelta(days=40_000), NOON + timedelta(days=40_000)),
        (timedelta(seconds=-5), NOON - timedelta(seconds=5)),
        (datetime(2030, 1, 1), datetime(2030, 1, 1, tzinfo=UTC)),  # noqa: DTZ001  naive on purpose
        (
            datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2030, 1, 1, tzinfo=UTC),
        ),
    ],
)
def test_timers_of_any_length(moment, fire_at: datetime) -> None:
    (action,) = asked(lambda context: context.create_timer(moment))
    assert action == CreateTimer(1, fire_at)
    assert action.fire_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("moment", "error"),
    [
        (5, "TypeError"),
        (None, "TypeError"),
        (timedelta.max, "ValueError"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=9))), "ValueError"),
    ],
)
def test_what_is_no_moment(moment, error: str) -> None:
    assert failure_of_asking(lambda context: context.create_timer(moment)).error_type == error


@pytest.mark.parametrize("name", ["", None, 5])
def test_what_is_no_name_of_an_event(name) -> None:
    failure = failure_of_asking(lambda context: context.wait_for_external_event(name))
    assert failure.error_type == "DefinitionError"


def test_names_may_come_from_an_enum() -> None:
    class Name(StrEnum):
        PAY = "pay"

    (action,) = asked(lambda context: context.call_activity(Name.PAY))
    assert type(action.name) is str

    def orchestrator(context):
        return (yield context.wait_for_external_event(Name.PAY))

    world = World(orchestrator)
    world.turn(raised("Pay", 3))
    assert world.output == 3


def test_time_is_aware_and_never_goes_back() -> None:
    seen = []

    def orchestrator(context):
        for _ in range(3):
            seen.append(context.current_utc_datetime)
            yield context.wait_for_external_event("tick")

    world = World(orchestrator)
    world.turn(raised("tick"), after=10)
    world.turn(raised("tick"), after=-5)
    assert seen == [NOON, NOON + timedelta(seconds=10), NOON + timedelta(seconds=10)]


def test_replaying_ends_where_history_ends() -> None:
    seen = []

    def orchestrator(context):
        seen.append(context.is_replaying)
        yield context.call_activity("a")
        seen.append(context.is_replaying)
        yield context.call_activity("b")
        seen.append(context.is_replaying)

    world = World(orchestrator, warm=False)
    world.turn(done(1))
    seen.clear()
    world.turn(done(2))
    assert seen == [True, True, False]


@pytest.mark.parametrize(
    ("status", "text"), [(0, "0"), ("", '""'), (None, "null"), ([], "[]"), ({"a": 1}, '{"a":1}')]
)
def test_any_custom_status_is_kept(status, text: str) -> None:
    def orchestrator(context):
        context.set_custom_status("first")
        context.set_custom_status(status)
        assert context.custom_status == status
        yield context.call_activity("a")

    world = World(orchestrator)
    assert world.results[0].custom_status == text
    assert world.turn(done(1)).custom_status is None


def test_an_old_custom_status_is_not_sent_again() -> None:
    def orchestrator(context):
        context.set_custom_status("first")
        yield context.call_activity("a")
        if context.custom_status == "first":
            context.set_custom_status("second")
        yield context.call_activity("b")

    world = World(orchestrator, warm=False)
    assert world.turn(done(1)).custom_status == '"second"'
    assert world.turn(done(2)).custom_status is None


def test_a_status_without_json_form_fails_at_the_call() -> None:
    failure = failure_of_asking(lambda context: context.set_custom_status(object()))
    assert failure.error_type == "PayloadError"


def test_uuids_are_the_same_in_every_replay_and_never_twice() -> None:
    def orchestrator(context):
        first = [context.new_uuid(), str(context.new_guid()), context.new_uuid()]
        yield context.call_activity("a")
        return [*first, context.new_uuid()]

    warm, cold = World(orchestrator), World(orchestrator, warm=False)
    warm.turn(done(1))
    cold.turn(done(1))
    assert warm.output == cold.output
    assert len({UUID(text) for text in warm.output}) == 4


def test_uuids_are_those_of_other_durable_functions_libraries() -> None:
    output = World(lambda context: [context.new_uuid(), str(context.new_guid())]).output
    namespace = uuid5(NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")
    assert output == [
        str(uuid5(namespace, "order-1_2026-05-04T12:00:00.000000Z_0")),
        str(uuid5(NAMESPACE_URL, "order-1_2026-05-04 12:00:00+00:00_1")),
    ]


def test_histories_are_the_same_warm_and_cold() -> None:
    seen: list[Any] = []

    def orchestrator(context):
        seen.append(context.histories)
        tasks = [context.call_activity("a", 1), context.call_sub_orchestrator("c")]
        timer = context.create_timer(timedelta(1))
        yield context.task_any([*tasks, timer])
        seen.append(context.histories)
        yield tasks[1]
        seen.append(context.histories)

    warm = World(orchestrator)
    warm.turn(done(1), raised("unread"))
    warm.turn(child_done(2))
    from_warm = list(seen)
    seen.clear()
    replay(orchestrator, warm.history, (), warm.env)
    assert seen == from_warm
    assert seen[0] == warm.history[:2]
    assert isinstance(seen[1][2], TaskScheduled)
    assert len(seen[1]) == 7


def test_histories_read_between_turns() -> None:
    contexts = []

    def orchestrator(context):
        contexts.append(context)
        yield context.wait_for_external_event("go")

    execution = Execution(orchestrator, ReplayEnv())
    assert execution.location is None
    execution.advance((), [at(), started()])
    assert contexts[0].histories == [at(), started()]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Orchestrator", "not in this version of durable_app; decorate the function"),
        ("call_activty", "'call_activty'"),
    ],
)
def test_a_method_that_the_context_lacks_is_named(name, advice) -> None:
    def orchestrator(context):
        assert not hasattr(context, name)
        return getattr(context, name)

    failure = World(orchestrator).failure
    assert failure.error_type == "AttributeError"
    assert "The context has no attribute" in failure.error_message
    assert advice in failure.error_message


def test_a_task_in_an_input_is_a_forgotten_yield() -> None:
    def orchestrator(context):
        yield context.call_activity("second", {"first": context.call_activity("first")})

    failure = World(orchestrator).failure
    assert failure.error_type == "PayloadError"
    assert failure.error_message.startswith("first: ActivityTask cannot be sent as JSON")
    assert "yield it" in failure.error_message


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda c: c.call_sub_orchestrator("child", instance_id=5), "instance_id is a text"),
        (lambda c: c.call_sub_orchestrator("child", instance_id=""), "instance_id is a text"),
        (lambda c: c.call_sub_orchestrator("child", version=2), "version is a text"),
        (lambda c: c.call_activity("charge", tags={1: "a"}), "A tag is a text"),
        (lambda c: c.call_activity("charge\udce9"), "half of a surrogate pair"),
        (lambda c: c.call_activity("charge\udce9", expected_type=int), "half of a surrogate pair"),
        (lambda c: c.call_activity("charge", tags={"a": 1}), "Tag 'a' is a text"),
    ],
)
def test_what_the_hub_takes_for_a_text_is_one(ask, complaint) -> None:
    failure = failure_of_asking(ask)
    assert failure.error_type == "DefinitionError"
    assert complaint in failure.error_message


def test_an_execution_can_start_over_as_another_version() -> None:
    def orchestrator(context):
        context.continue_as_new(1, save_events=False, new_version="2.0")

    completion = World(orchestrator).completion
    assert (completion.result, completion.new_version, completion.carryover_events) == (
        "1",
        "2.0",
        (),
    )


def test_a_new_version_is_a_text_and_needs_a_host_that_has_it() -> None:
    def orchestrator(context):
        with pytest.raises(DefinitionError, match="new_version"):
            context.continue_as_new(1, new_version=2)
        context.continue_as_new(1, new_version="2")

    world = World(orchestrator, env=ReplayEnv(capabilities=frozenset()))
    assert world.failure.error_type == "UnsupportedOnHostError"
