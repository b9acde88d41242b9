"""What moved apps stumble over, in lists that users can read: failures, retries, changed code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration

# -- what a failure tells -------------------------------------------------------------------------


def test_a_failure_keeps_its_type(app: df.DFApp):
    """`except ValueError` catches the ValueError of an activity."""

    @app.orchestration_trigger(context_name="context")
    def catches(context):
        try:
            yield context.call_activity("fail")
        except ValueError as error:
            return isinstance(error, df.TaskFailedError)

    assert run_orchestration(app, catches) is True


def test_the_text_of_a_failure_is_never_empty(app: df.DFApp):
    """It names the activity, the type and the message."""

    @app.activity_trigger(input_name="value")
    def mute(value):
        raise RuntimeError

    @app.orchestration_trigger(context_name="context")
    def catches(context):
        texts = []
        for name in ("fail", "mute"):
            try:
                yield context.call_activity(name)
            except Exception as error:  # noqa: BLE001  as moved apps have it
                texts.append(str(error))
        return texts

    sold_out, mute_text = run_orchestration(app, catches)
    assert sold_out == "Activity function 'fail' failed: ValueError: sold out"
    assert mute_text.startswith("Activity function 'mute' failed: RuntimeError")


def test_the_stack_is_beside_the_text_not_in_it(app: df.DFApp):
    """`details.stack_trace` holds it, so that a text can be compared."""

    @app.orchestration_trigger(context_name="context")
    def catches(context):
        try:
            yield context.call_activity("fail")
        except df.TaskFailedError as failure:
            return ["Traceback" in str(failure), "sold out" in str(failure.details.stack_trace)]

    assert run_orchestration(app, catches) == [False, True]


def test_the_failure_of_a_child_and_of_an_entity_keep_their_types_too(app: df.DFApp):
    """Not only those of activities."""

    @app.orchestration_trigger(context_name="context")
    def child(context):
        raise KeyError("id")

    @app.entity_trigger(context_name="context")
    def basket(context):
        raise ZeroDivisionError("no basket")

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        try:
            yield context.call_sub_orchestrator("child")
        except KeyError as error:
            texts = [str(error)]
        try:
            yield context.call_entity(df.EntityId("basket", "b"), "put")
        except ZeroDivisionError as error:
            return [*texts, str(error)]

    child_text, entity_text = run_orchestration(app, parent)
    assert "KeyError" in child_text
    assert "no basket" in entity_text


def test_the_output_of_a_failed_instance_is_a_text_for_people(app: df.DFApp, play):
    """No state of the engine is glued to it."""

    @app.orchestration_trigger(context_name="context")
    def fails(context):
        yield context.call_activity("echo", 1)
        raise ValueError("sold out")

    async def story(run: AppRunner):
        instance = await run.start(fails)
        return (await run.status(instance)).output

    assert play(story) == "Orchestrator function 'fails' failed: ValueError: sold out"


def test_a_result_that_has_no_json_form_fails_with_the_field(app: df.DFApp):
    """The message says where in the result it is."""

    @app.orchestration_trigger(context_name="context")
    def returns(context):
        return {"lines": [1, object()]}

    with pytest.raises(df.OrchestrationFailedError, match=r"lines\[1\]"):
        run_orchestration(app, returns)


def test_a_forgotten_yield_in_a_result_fails(app: df.DFApp):
    """A task that is returned instead of its value is told apart from other objects."""

    @app.orchestration_trigger(context_name="context")
    def forgets(context):
        yield context.call_activity("echo", 1)
        return context.call_activity("echo", 2)

    with pytest.raises(df.OrchestrationFailedError, match="result = yield task"):
        run_orchestration(app, forgets)


def test_an_activity_that_does_not_exist_is_named(app: df.DFApp):
    """The call fails with the names that there are; it does not hang."""

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        yield context.call_activity("ecco")

    with pytest.raises(df.OrchestrationFailedError, match=r"'ecco'.*'echo'"):
        run_orchestration(app, calls)


def test_failed_and_waiting_code_runs_its_cleanup(app: df.DFApp):
    """`finally` around a `yield` runs once, and its calls happen."""

    @app.orchestration_trigger(context_name="context")
    def cleans_up(context):
        cleaned = []
        try:
            try:
                yield context.call_activity("fail")
            finally:
                cleaned.append((yield context.call_activity("echo", "undone")))
        except ValueError:
            return cleaned

    assert run_orchestration(app, cleans_up) == ["undone"]


# -- retries --------------------------------------------------------------------------------------


def retrying(app: df.DFApp, options):
    @app.orchestration_trigger(context_name="context")
    def tries(context):
        began = context.current_utc_datetime
        try:
            yield context.call_activity_with_retry("fail", options)
        except ValueError:
            return (context.current_utc_datetime - began).total_seconds()

    return tries


def test_attempts_include_the_first_one(app: df.DFApp, play):
    """3 attempts are 3 calls with 2 pauses: there is none after the last one."""
    tries = retrying(app, df.RetryOptions(5000, 3))

    async def story(run: AppRunner):
        return await run.run(tries), len(run.calls)

    assert play(story) == (10, 3)


def test_a_time_limit_of_retries_is_the_orchestrations_own(app: df.DFApp):
    """`retry_timeout` counts from its first attempt, whatever the machine's clock says."""
    policy = df.RetryPolicy(
        first_retry_interval=timedelta(hours=1),
        max_number_of_attempts=100,
        retry_timeout=timedelta(hours=3),
    )
    tries = retrying(app, policy)
    waited = [
        run_orchestration(app, tries, start_at=datetime(year, 1, 1, tzinfo=UTC))
        for year in (2001, 2099)
    ]

    assert waited[0] == waited[1]
    assert 2 * 3600 <= waited[0] <= 3 * 3600


def test_pauses_grow_up_to_their_limit(app: df.DFApp):
    """`RetryOptions` has the backoff that only `RetryPolicy` had."""
    options = df.RetryOptions(
        1000, 5, backoff_coefficient=10, max_retry_interval_in_milliseconds=20_000
    )

    assert run_orchestration(app, retrying(app, options)) == 1 + 10 + 20 + 20


def test_a_failure_that_is_final_is_not_tried_again(app: df.DFApp, play):
    """`NonRetriableError` ends retries at once."""

    @app.activity_trigger(input_name="value")
    def refuse(value):
        raise df.NonRetriableError("no such card")

    @app.orchestration_trigger(context_name="context")
    def tries(context):
        yield context.call_activity_with_retry("refuse", df.RetryOptions(1000, 5))

    async def story(run: AppRunner):
        with pytest.raises(df.OrchestrationFailedError, match="no such card"):
            await run.run(tries)
        return len(run.calls)

    assert play(story) == 1


def test_a_child_that_is_tried_again_may_have_a_fixed_id(app: df.DFApp):
    """The second attempt takes the place of the failed instance of that id."""
    tried = []

    @app.orchestration_trigger(context_name="context")
    def child(context):
        yield context.call_activity("note")
        return context.instance_id

    @app.activity_trigger(input_name="value")
    def note(value):
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("not yet")

    @app.orchestration_trigger(context_name="context")
    def parent(context):
        retry = df.RetryOptions(1000, 3)
        return (yield context.call_sub_orchestrator_with_retry("child", retry, None, "the-child"))

    assert run_orchestration(app, parent) == "the-child"


# -- changed code ---------------------------------------------------------------------------------


def test_an_activity_that_was_renamed_meanwhile_is_found_out(app: df.DFApp, play):
    """Code that contradicts its history does not go on with wrong results."""
    names = {"first": "echo"}

    @app.orchestration_trigger(context_name="context")
    def changes(context):
        first = yield context.call_activity(names["first"], 1)
        yield context.wait_for_external_event("go")
        return first

    async def story(run: AppRunner):
        waiting = await run.start(changes)
        names["first"] = "fail"
        await run.raise_event(waiting, "go")
        return (await run.status(waiting)).output

    output = play(story)
    assert "NonDeterminismError" in output
    assert "'echo'" in output
    assert "'fail'" in output


def test_what_failed_by_changed_code_goes_on_after_a_fix(app: df.DFApp, play):
    """It is not lost for ever: mend the code, and rewind."""
    names = {"first": "echo"}

    @app.orchestration_trigger(context_name="context")
    def changes(context):
        first = yield context.call_activity(names["first"], 7)
        yield context.wait_for_external_event("go")
        return first

    async def story(run: AppRunner):
        waiting = await run.start(changes)
        names["first"] = "fail"
        await run.raise_event(waiting, "go")
        names["first"] = "echo"
        await run.client.rewind(waiting, "mended")
        return await run.result(waiting)

    assert play(story) == 7
