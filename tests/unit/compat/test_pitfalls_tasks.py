"""What moved apps stumble over, in lists that users can read: tasks and groups."""

from __future__ import annotations

from datetime import timedelta

import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration

HOUR = timedelta(hours=1)

# -- yield ----------------------------------------------------------------------------------------


def test_a_task_that_was_yielded_twice_gives_its_value_twice(app: df.DFApp):
    """A second yield of a task gives the same value, at once."""

    @app.orchestration_trigger(context_name="context")
    def twice(context):
        task = context.call_activity("echo", 7)
        first = yield task
        second = yield task
        return [first, second]

    assert run_orchestration(app, twice) == [7, 7]


def test_a_failed_task_that_was_yielded_twice_fails_twice(app: df.DFApp):
    """A second yield of a failed task raises its failure once more."""

    @app.orchestration_trigger(context_name="context")
    def twice(context):
        task, texts = context.call_activity("fail"), []
        for _ in range(2):
            try:
                yield task
            except ValueError as error:
                texts.append(str(error))
        return texts

    assert (
        run_orchestration(app, twice)
        == ["Activity function 'fail' failed: ValueError: sold out"] * 2
    )


def test_a_task_that_is_already_done_is_yielded_without_a_wait(app: df.DFApp):
    """The loser of a race that ended meanwhile gives its value when it is yielded later."""

    @app.orchestration_trigger(context_name="context")
    def late(context):
        slow, quick = context.create_timer(HOUR), context.call_activity("echo", "quick")
        yield slow
        before = context.current_utc_datetime
        value = yield quick
        return [value, context.current_utc_datetime == before]

    assert run_orchestration(app, late) == ["quick", True]


@pytest.mark.parametrize("given", [None, 5, "done", [], {}], ids=repr)
def test_what_is_no_task_fails_with_its_line_when_it_is_yielded(app: df.DFApp, given):
    """A bare `yield`, or one of a number or a list, fails with file and line; nothing hangs."""

    @app.orchestration_trigger(context_name="context")
    def forgetful(context):
        yield given

    with pytest.raises(df.OrchestrationFailedError, match=r"yielded .*test_pitfalls_tasks\.py:\d+"):
        run_orchestration(app, forgetful)


def test_a_list_of_tasks_is_refused_and_task_all_named(app: df.DFApp):
    """`yield [task, task]` fails, and the message says to write task_all."""

    @app.orchestration_trigger(context_name="context")
    def lists(context):
        yield [context.call_activity("echo", 1), context.call_activity("echo", 2)]

    with pytest.raises(df.OrchestrationFailedError, match="task_all"):
        run_orchestration(app, lists)


def test_a_call_that_is_never_yielded_happens(app: df.DFApp, play):
    """The call is the order: an activity runs although nobody waits for it."""

    @app.orchestration_trigger(context_name="context")
    def forgets(context):
        context.call_activity("echo", "unseen")
        yield context.create_timer(HOUR)

    async def story(run: AppRunner):
        await run.run(forgets)
        return [call.input for call in run.calls]

    assert play(story) == ["unseen"]


def test_what_a_signal_returns_can_be_yielded(app: df.DFApp):
    """`yield context.signal_entity(...)` goes on at once."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.set_state(1)

    @app.orchestration_trigger(context_name="context")
    def signals(context):
        sent = yield context.signal_entity(df.EntityId("counter", "c"), "add")
        return [sent]

    assert run_orchestration(app, signals) == [None]


def test_part_of_an_orchestrator_may_be_a_generator_of_its_own(app: df.DFApp):
    """`yield from` runs it, with its results and its failures."""

    def ask(context, name):
        try:
            return (yield context.call_activity(name, 7))
        except ValueError:
            return "failed"

    @app.orchestration_trigger(context_name="context")
    def asks(context):
        first = yield from ask(context, "echo")
        return [first, (yield from ask(context, "fail"))]

    assert run_orchestration(app, asks) == [7, "failed"]


# -- what a task tells ----------------------------------------------------------------------------


def test_a_task_answers_in_both_vocabularies(app: df.DFApp):
    """`is_completed` and `is_complete`, `state`, `is_failed`, `result` and `get_result()`."""

    @app.orchestration_trigger(context_name="context")
    def asks(context):
        task = context.call_activity("echo", 7)
        before = [task.is_completed, task.is_complete, task.state.name, task.result]
        yield task
        after = [task.is_completed, task.is_complete, task.state.name, task.result]
        return [before, after, [task.is_failed, task.get_result(), task.get_exception()]]

    assert run_orchestration(app, asks) == [
        [False, False, "RUNNING", None],
        [True, True, "SUCCEEDED", 7],
        [False, 7, None],
    ]


def test_the_result_of_a_failed_task_is_its_exception(app: df.DFApp):
    """`task.result` of a failed task is the exception itself, `get_result()` raises it."""

    @app.orchestration_trigger(context_name="context")
    def looks(context):
        task = context.call_activity("fail")
        yield context.task_any([task])
        with pytest.raises(ValueError, match="sold out"):
            task.get_result()
        return [
            task.is_failed,
            task.is_faulted,
            str(task.result),
            task.get_exception() is task.result,
        ]

    text = "Activity function 'fail' failed: ValueError: sold out"
    assert run_orchestration(app, looks) == [True, True, text, True]


# -- groups ---------------------------------------------------------------------------------------


def test_task_all_of_no_tasks_is_an_empty_list(app: df.DFApp):
    """`task_all([])` and `when_all([])` give [] at once: neither None nor a wait for ever."""

    @app.orchestration_trigger(context_name="context")
    def fans_out(context):
        return [(yield context.task_all([])), (yield df.when_all([]))]

    assert run_orchestration(app, fans_out) == [[], []]


def test_task_any_of_no_tasks_is_an_error(app: df.DFApp):
    """`task_any([])` and `when_any([])` raise ValueError: neither None nor a wait for ever."""

    @app.orchestration_trigger(context_name="context")
    def races(context):
        for race in (context.task_any, df.when_any):
            with pytest.raises(ValueError, match="at least one task"):
                race([])
        return "refused"

    assert run_orchestration(app, races) == "refused"


def test_task_all_gives_results_in_the_order_of_its_tasks(app: df.DFApp):
    """Not in the order in which they were completed."""

    @app.orchestration_trigger(context_name="context")
    def fans_out(context):
        event = context.wait_for_external_event("last", timeout=HOUR * 2)
        results = yield context.task_all(
            [context.create_timer(HOUR), context.call_activity("echo", 1)]
        )
        assert not event.is_completed
        return results

    assert run_orchestration(app, fans_out) == [None, 1]


def test_task_all_fails_at_the_first_failure(app: df.DFApp):
    """It does not wait for the others, which run on."""

    @app.orchestration_trigger(context_name="context")
    def fans_out(context):
        began, day = context.current_utc_datetime, context.create_timer(timedelta(days=1))
        try:
            yield context.task_all([day, context.call_activity("fail")])
        except df.TaskFailedError:
            return [(context.current_utc_datetime - began).days, day.is_completed]

    assert run_orchestration(app, fans_out) == [0, False]


def test_task_any_gives_the_winner_itself(app: df.DFApp):
    """`winner is task` and `winner == task` tell who was first."""

    @app.orchestration_trigger(context_name="context")
    def races(context):
        slow, quick = context.create_timer(HOUR), context.call_activity("echo", 7)
        winner = yield context.task_any([slow, quick])
        return [winner is quick, winner == quick, winner.result]

    assert run_orchestration(app, races) == [True, True, 7]


def test_task_any_does_not_raise_when_the_winner_has_failed(app: df.DFApp):
    """The winner is looked at, or yielded, to learn of its failure."""

    @app.orchestration_trigger(context_name="context")
    def races(context):
        winner = yield context.task_any([context.create_timer(HOUR), context.call_activity("fail")])
        try:
            yield winner
        except ValueError:
            return winner.is_failed

    assert run_orchestration(app, races) is True


def test_losers_of_a_race_run_on(app: df.DFApp, play):
    """task_any cancels nobody: the slow activity is run all the same."""

    @app.orchestration_trigger(context_name="context")
    def races(context):
        loser = context.call_activity("echo", "second")
        yield context.task_any([context.call_activity("echo", "first"), loser])
        return (yield loser)

    async def story(run: AppRunner):
        return await run.run(races), len(run.calls)

    assert play(story) == ("second", 2)


def test_a_task_may_stand_in_several_groups(app: df.DFApp):
    """Every group hears of it, not only the last one."""

    @app.orchestration_trigger(context_name="context")
    def shares(context):
        shared = context.call_activity("echo", 7)
        hour = context.create_timer(HOUR)
        groups = [
            context.task_any([shared, hour]),
            context.task_all([shared]),
            df.when_all([shared]),
        ]
        winner = yield groups[0]
        return [winner is shared, (yield groups[1]), (yield groups[2])]

    assert run_orchestration(app, shares) == [True, [7], [7]]


def test_groups_may_stand_in_groups(app: df.DFApp):
    """`task_all([task_any([...]), task_all([...])])`, to any depth."""

    @app.orchestration_trigger(context_name="context")
    def nests(context):
        one, two = context.call_activity("echo", 1), context.call_activity("echo", 2)
        groups = [context.task_any([one]), context.task_all([two])]
        winner, results = yield context.task_all(groups)
        return [winner.result, results]

    assert run_orchestration(app, nests) == [1, [2]]
