"""What moved apps stumble over, in lists that users can read: the context of an orchestrator.

That durable HTTP calls keep secrets with their origin is shown in
tests/unit/worker/test_http_hops.py.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration

HOUR = timedelta(hours=1)

# -- arguments of calls ---------------------------------------------------------------------------


def test_a_decorated_function_stands_for_its_name(app: df.DFApp):
    """`call_activity(double, 2)` and `call_sub_orchestrator(child, 2)` work without quotes."""

    @app.activity_trigger(input_name="number", activity="TwoTimes")
    def double(number: int) -> int:
        return 2 * number

    @app.orchestration_trigger(context_name="context")
    def child(context):
        return context.get_input() + 1

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        doubled = yield context.call_activity(double, 2)
        return [doubled, (yield context.call_sub_orchestrator(child, doubled))]

    assert run_orchestration(app, parent) == [4, 5]


def test_the_function_below_its_decorator_stands_for_its_name_too(app: df.DFApp):
    """A plain function that is registered elsewhere may be named by itself."""

    def triple(number: int) -> int:
        return 3 * number

    app.activity_trigger(input_name="number")(triple)

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        return (yield context.call_activity(triple, 2))

    assert run_orchestration(app, calls) == 6


def test_expected_type_and_version_are_taken_by_every_call(app: df.DFApp):
    """The arguments that 1.x has and 2.x has not are kept."""

    @app.entity_trigger(context_name="context")
    def moment(context):
        context.set_result("2030-01-02T00:00:00Z")

    @app.orchestration_trigger(context_name="context", version="2.0")
    def child(context):
        return context.version

    retry = df.RetryOptions(1000, 2)

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        day = {"input_": "2030-01-02T00:00:00Z", "expected_type": datetime}
        results = [
            (yield context.call_activity("echo", **day)),
            (yield context.call_activity_with_retry("echo", retry, **day)),
            (yield context.call_entity(df.EntityId("moment", "m"), "read", expected_type=datetime)),
            (yield context.call_sub_orchestrator("echoed", **day)),
            (yield context.call_sub_orchestrator_with_retry("echoed", retry, **day)),
        ]
        assert {each.year for each in results} == {2030}
        return (yield context.call_sub_orchestrator("child", version="2.0"))

    @app.orchestration_trigger(context_name="context")
    def echoed(context):
        return context.get_input()

    assert run_orchestration(app, parent) == "2.0"


def test_the_keywords_of_1x_for_entities_are_taken(app: df.DFApp):
    """`entityId=`, `operationName=`, `operationInput=`."""

    @app.entity_trigger(context_name="context")
    def basket(context):
        context.set_result([context.operation_name, context.get_input()])

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        basket = df.EntityId("basket", "b")
        context.signal_entity(entityId=basket, operationName="look", operationInput=0)
        return (yield context.call_entity(entityId=basket, operationName="put", operationInput=0))

    assert run_orchestration(app, calls) == ["put", 0]


def test_the_keywords_of_1x_and_of_durabletask_are_both_taken(app: df.DFApp, play):
    """Arguments may be named as either library names them."""

    @app.orchestration_trigger(context_name="context")
    def child(context):
        return context.get_input()

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        if context.get_input() == "again":
            return context.custom_status
        old = [
            context.call_activity(name="echo", input_=1),
            context.call_sub_orchestrator(name="child", input_=2),
        ]
        new = [
            context.call_activity(activity="echo", input=3),
            context.call_sub_orchestrator(orchestrator="child", input=4),
        ]
        winner = yield context.task_any(activities=old)
        results = yield context.task_all(activities=old + new)
        assert winner in old
        assert results == [1, 2, 3, 4]
        context.set_custom_status(status="old")
        context.set_custom_status(custom_status="new")
        context.continue_as_new(new_input="again", save_events=True)

    async def story(run: AppRunner):
        started = await run.start(parent)
        await run.result(started)
        return (await run.status(started)).input_

    assert play(story) == "again"


@pytest.mark.parametrize("given", [0, "", False, []], ids=repr)
def test_falsy_inputs_arrive(app: df.DFApp, given):
    """`0`, `""`, `False` and `[]` are inputs, of activities and of sub-orchestrations."""

    @app.orchestration_trigger(context_name="context")
    def child(context):
        return context.get_input()

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        own = context.get_input()
        activity = yield context.call_activity("echo", own)
        return [activity, (yield context.call_sub_orchestrator("child", own))]

    assert run_orchestration(app, parent, given) == [given, given]


# -- status ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, "", False, [], {}, None], ids=repr)
def test_a_falsy_custom_status_is_shown(app: df.DFApp, play, status):
    """`0`, `""`, `False` and `[]` replace the status that was set before."""

    @app.orchestration_trigger(context_name="context")
    def reports(context):
        context.set_custom_status("busy")
        yield context.call_activity("echo")
        context.set_custom_status(status)
        yield context.wait_for_external_event("go")

    async def story(run: AppRunner):
        return (await run.status(await run.start(reports))).custom_status

    assert play(story) == status


def test_an_orchestrator_can_read_the_status_that_it_has_set(app: df.DFApp):
    """`context.custom_status`, falsy ones included."""

    @app.orchestration_trigger(context_name="context")
    def reports(context):
        context.set_custom_status(0)
        yield context.call_activity("echo")
        return [context.custom_status]

    assert run_orchestration(app, reports) == [0]


# -- time -----------------------------------------------------------------------------------------


def test_the_orchestrations_time_is_aware_with_one_argument_and_with_two(app: df.DFApp):
    """It can be compared with aware times, and is the same time in both forms."""

    @app.orchestration_trigger(context_name="context")
    def one(context):
        return context.current_utc_datetime > datetime(2029, 1, 1, tzinfo=UTC)

    @app.orchestration_trigger(context_name="ctx")
    def two(ctx, given):
        return ctx.current_utc_datetime > datetime(2029, 1, 1, tzinfo=UTC)

    start = datetime(2030, 1, 1, tzinfo=UTC)
    assert run_orchestration(app, one, start_at=start) is True
    assert run_orchestration(app, two, 1, start_at=start) is True


@pytest.fixture
def far_from_utc(monkeypatch):
    """The machine's own time is that of Auckland."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
def test_a_naive_time_is_taken_as_utc(app: df.DFApp):
    """`create_timer(datetime(2030, 1, 2))` of apps that have no time zones, on any machine."""

    @app.orchestration_trigger(context_name="ctx")
    def waits(ctx, given):
        yield ctx.create_timer(datetime(2030, 1, 2))  # noqa: DTZ001  the naive time is the test
        return ctx.current_utc_datetime.isoformat()

    start = datetime(2030, 1, 1, tzinfo=UTC)
    assert run_orchestration(app, waits, 1, start_at=start) == "2030-01-02T00:00:00+00:00"


# -- ids ------------------------------------------------------------------------------------------


def test_ids_that_the_context_makes_differ_and_outlast_a_replay(app: df.DFApp):
    """Every turn is replayed here: an id that changed would fail the orchestration."""

    @app.orchestration_trigger(context_name="context")
    def makes(context):
        ids = [context.new_uuid(), str(context.new_guid()), context.new_uuid()]
        for each in ids:
            assert (yield context.call_activity("echo", each)) == each
        return ids

    ids = run_orchestration(app, makes)
    assert len(set(ids)) == 3
    assert [str(uuid.UUID(each)) for each in ids] == ids


def test_children_of_a_later_generation_have_new_ids(app: df.DFApp):
    """An eternal orchestrator does not meet the children of the generation before."""

    @app.orchestration_trigger(context_name="context")
    def child(context):
        return context.instance_id

    @app.orchestration_trigger(context_name="context")
    def eternal(context):
        seen = [*context.get_input(), (yield context.call_sub_orchestrator("child"))]
        if len(seen) == 3:
            return len(set(seen))
        context.continue_as_new(seen)

    assert run_orchestration(app, eternal, []) == 3


def test_a_child_knows_its_parent(app: df.DFApp, play):
    """`parent_instance_id` of a child is its parent's id, of a parent it is None."""

    @app.orchestration_trigger(context_name="context")
    def family(context):
        if context.get_input() == "child":
            return context.parent_instance_id
        child = yield context.call_sub_orchestrator("family", "child", "the-child")
        return [context.parent_instance_id, child]

    async def story(run: AppRunner):
        return await run.result(await run.start(family, instance_id="the-parent"))

    assert play(story) == [None, "the-parent"]


# -- continue_as_new ------------------------------------------------------------------------------


def test_what_comes_after_continue_as_new_does_not_happen(app: df.DFApp, play):
    """It need not be the last statement: calls after it are ignored."""

    @app.orchestration_trigger(context_name="context")
    def rounds(context):
        if context.get_input() == 2:
            return "done"
        context.continue_as_new(2)
        yield context.call_activity("echo", "too late")

    async def story(run: AppRunner):
        return await run.run(rounds, 1), run.calls

    assert play(story) == ("done", [])


def test_events_that_nobody_took_outlive_continue_as_new(app: df.DFApp, play):
    """They are delivered to the next generation, unless it says `save_events=False`."""

    @app.orchestration_trigger(context_name="context")
    def rounds(context):
        seen = [*context.get_input(), (yield context.wait_for_external_event("item"))]
        if len(seen) == 3:
            return seen
        context.continue_as_new(seen)

    async def story(run: AppRunner):
        instance = await run.start(rounds, [])
        await run.suspend(instance)
        for number in range(3):
            await run.raise_event(instance, "item", number)
        await run.resume(instance)
        return await run.result(instance)

    assert play(story) == [0, 1, 2]


@pytest.mark.parametrize("given", [0, False, "", []], ids=repr)
def test_a_generation_may_begin_with_a_falsy_input(app: df.DFApp, given):
    """`continue_as_new(0)` gives the next generation 0, not None."""

    @app.orchestration_trigger(context_name="context")
    def rounds(context):
        if context.get_input() != "first":
            return [context.get_input()]
        context.continue_as_new(given)
        return None

    assert run_orchestration(app, rounds, "first") == [given]


# -- the rest -------------------------------------------------------------------------------------


def test_an_orchestrator_without_input_gets_none(app: df.DFApp):
    """`get_input()` is None, it does not raise."""

    @app.orchestration_trigger(context_name="context")
    def asks(context):
        return [context.get_input()]

    assert run_orchestration(app, asks) == [None]


def test_the_history_can_be_read_by_the_orchestrator(app: df.DFApp):
    """`context.histories` is a list of events, in both forms."""

    @app.orchestration_trigger(context_name="ctx")
    def reads(ctx, given):
        yield ctx.call_activity("echo", input=1)
        return [type(event).__name__ for event in ctx.histories]

    names = run_orchestration(app, reads, 1)
    assert {"TaskScheduled", "TaskCompleted"} <= set(names)


def test_an_http_answer_is_read_as_an_object_and_as_a_dict(app: df.DFApp):
    """`response.status_code` of 2.x and `response["statusCode"]` of 1.x."""

    @app.orchestration_trigger(context_name="context")
    def asks(context):
        response = yield context.call_http("GET", "https://shop.example/stock")
        return [response.status_code, response["statusCode"], response.content, response["content"]]

    stubs = {"BuiltIn__HttpActivity": lambda _: df.DurableHttpResponse(200, content="7")}
    assert run_orchestration(app, asks, stubs=stubs) == [200, 200, "7", "7"]


def test_a_raw_text_of_an_http_call_is_a_text(app: df.DFApp):
    """`is_raw_str=True` with a dict is refused at the call."""

    @app.orchestration_trigger(context_name="context")
    def asks(context):
        yield context.call_http("POST", "https://shop.example", {"a": 1}, is_raw_str=True)

    with pytest.raises(df.OrchestrationFailedError, match="TypeError"):
        run_orchestration(app, asks)
