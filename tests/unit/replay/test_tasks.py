from __future__ import annotations

from typing import Any

import pytest

from durable_app.errors import OrchestratorError, TaskCancelledError, TaskFailedError
from durable_app.replay.engine import Emit, ReplayEnv
from durable_app.replay.tasks import Task, TaskState
from tests.unit.replay.world import World, at, done, failed, fired, raised, replay


def observed(fn, *turns):
    """Run an orchestrator that appends to a list which it gets as second argument."""
    seen: list[Any] = []
    world = World(lambda context: fn(context, seen))
    for events in turns:
        world.turn(*events)
    return world, seen


def vocabulary(task: Task[Any]) -> tuple[Any, ...]:
    return (task.state, task.is_completed, task.is_complete, task.is_failed, task.is_faulted)


def test_both_vocabularies_of_a_running_task() -> None:
    def orchestrator(context, seen):
        task = context.call_activity("a")
        seen += [vocabulary(task), task.result, task.get_exception(), task.id, repr(task)]
        with pytest.raises(OrchestratorError, match="yield it first"):
            task.get_result()
        yield task

    _, seen = observed(orchestrator)
    running = (TaskState.RUNNING, False, False, False, False)
    assert seen == [running, None, None, 1, "<ActivityTask #1 running>"]


def test_both_vocabularies_of_a_completed_task() -> None:
    def orchestrator(context, seen):
        task = context.call_activity("a")
        yield task
        seen += [vocabulary(task), task.result, task.get_result(), task.get_exception()]
        return (yield task)

    world, seen = observed(orchestrator, [done(1, 5)])
    assert seen == [(TaskState.SUCCEEDED, True, True, False, False), 5, 5, None]
    assert world.output == 5


def test_both_vocabularies_of_a_failed_task() -> None:
    def orchestrator(context, seen):
        task = context.call_activity("a")
        winner = yield context.task_any([task])
        assert winner is task
        seen += [vocabulary(task), task.result, task.get_exception()]
        task.get_result()

    world, seen = observed(orchestrator, [failed(1)])
    assert seen[0] == (TaskState.FAILED, True, True, True, True)
    assert isinstance(seen[1], TaskFailedError)
    assert seen[1] is seen[2]
    assert world.failure.error_type == "TaskFailedError"


def test_a_task_knows_whether_it_was_replayed() -> None:
    seen = []

    def orchestrator(context):
        first = context.call_activity("a")
        both = context.task_all([first])
        yield both
        second = context.call_activity("b")
        yield second
        seen.append((first.is_played, both.is_played, second.is_played))

    world = World(orchestrator, warm=False)
    world.turn(done(1))
    world.turn(done(2))
    assert seen == [(True, True, False)]


def test_task_all_gives_results_in_the_order_of_the_tasks() -> None:
    def orchestrator(context, seen):
        tasks = [context.call_activity("a") for _ in range(3)]
        whole = context.task_all(iter(tasks))
        seen += [whole.get_tasks() == tasks, whole.pending_tasks == set(tasks)]
        result = yield whole
        seen += [whole.completed_tasks, whole.get_completed_tasks(), whole.pending_tasks]
        assert whole.children == tasks
        return result

    world, seen = observed(orchestrator, [done(3, "c")], [done(1, "a")], [done(2, "b")])
    assert world.output == ["a", "b", "c"]
    assert seen[:2] == [True, True]
    assert [task.id for task in seen[2]] == [3, 1, 2]
    assert seen[3:] == [3, set()]


def test_task_all_fails_at_the_first_failure_and_ignores_the_rest() -> None:
    def orchestrator(context, seen):
        tasks = [context.call_activity("a") for _ in range(4)]
        whole = context.task_all(tasks)
        try:
            yield whole
        except TaskFailedError as error:
            seen.append(error.task_id)
        yield context.wait_for_external_event("go")
        seen.append([task.state.name for task in tasks])
        seen.append((whole.is_failed, whole.get_completed_tasks()))

    world, seen = observed(orchestrator, [done(1)], [failed(3)], [failed(2)], [raised("go")])
    assert seen == [3, ["SUCCEEDED", "FAILED", "FAILED", "RUNNING"], (True, 3)]
    assert world.output is None


def test_task_all_of_nothing_is_an_empty_list() -> None:
    def orchestrator(context):
        return (yield context.task_all([]))

    assert World(orchestrator).output == []


def test_task_any_gives_the_first_task_and_ignores_the_rest() -> None:
    def orchestrator(context):
        tasks = [context.call_activity("a") for _ in range(3)]
        whole = context.task_any(tasks)
        winner = yield whole
        yield context.wait_for_external_event("go")
        return [tasks.index(winner), winner.result, whole.get_completed_tasks()]

    world = World(orchestrator)
    for event in (done(2, "b"), done(1, "a"), raised("go")):
        world.turn(event)
    assert world.output == [1, "b", 2]


def test_task_any_of_nothing_is_refused() -> None:
    def orchestrator(context):
        yield context.task_any([])

    failure = World(orchestrator).failure
    assert failure.error_type == "ValueError"
    assert "at least one task" in failure.error_message


@pytest.mark.parametrize("api", ["task_all", "task_any"])
@pytest.mark.parametrize(
    ("items", "text"),
    [
        (lambda task: [task, 5], "item 1 is no task but int"),
        (lambda task: task, f"not {'ActivityTask'}"),
        (lambda task: 7, "not int"),
    ],
)
def test_only_tasks_can_be_combined(api: str, items, text: str) -> None:
    def orchestrator(context):
        yield getattr(context, api)(items(context.call_activity("a")))

    failure = World(orchestrator).failure
    assert failure.error_type == "TypeError"
    assert text in failure.error_message


def test_composites_of_composites() -> None:
    def orchestrator(context):
        a, b, c = (context.call_activity(name) for name in "abc")
        pair = context.task_all([a, b])
        winner = yield context.task_any([pair, c])
        return [winner is pair, winner.result]

    world = World(orchestrator)
    world.turn(done(2, 2))
    world.turn(done(1, 1))
    assert world.output == [True, [1, 2]]


def test_one_task_in_several_composites_and_twice_in_one() -> None:
    def orchestrator(context):
        a, b = context.call_activity("a"), context.call_activity("b")
        early = context.task_any([a, b])
        every = context.task_all([a, b, a])
        first = yield early
        return [first is b, (yield every)]

    world = World(orchestrator)
    world.turn(done(2, "b"))
    world.turn(done(1, "a"))
    assert world.output == [True, ["a", "b", "a"]]


def test_composites_of_completed_tasks_are_completed() -> None:
    def orchestrator(context):
        a = context.call_activity("a")
        yield a
        every = context.task_all([a, a])
        first = context.task_any([context.call_activity("b"), a, a])
        return [every.result, first.result is a, every.is_played]

    world = World(orchestrator)
    world.turn(done(1, 5))
    assert world.output == [[5, 5], True, False]


def test_a_thousand_nested_composites_need_no_stack() -> None:
    def orchestrator(context):
        task = context.call_activity("a")
        whole = context.task_all([task])
        for _ in range(5_000):
            whole = context.task_all([whole])
        yield whole
        return "done"

    world = World(orchestrator)
    world.turn(done(1))
    assert world.output == "done"


def test_a_composite_of_another_orchestration_is_refused() -> None:
    kept = []

    def lender(context):
        kept.append(context.call_activity("a"))
        yield kept[0]

    def borrower(context):
        yield context.task_any([kept[0]])

    World(lender)
    assert "another orchestration" in World(borrower).failure.error_message


def test_a_timer_can_be_cancelled_once() -> None:
    def orchestrator(context):
        timer = context.create_timer(context.current_utc_datetime)
        seen = [timer.is_cancelled, timer.cancel(), timer.is_cancelled, timer.cancel()]
        seen.append(timer.is_completed)
        try:
            yield timer
        except TaskCancelledError as error:
            seen.append(str(error))
        yield context.call_activity("a")
        return seen

    world = World(orchestrator)
    assert world.turn(fired(1)).warnings == ()
    world.turn(done(2))
    assert world.output == [False, True, True, False, True, "The timer was cancelled."]


def test_a_fired_timer_cannot_be_cancelled() -> None:
    def orchestrator(context):
        timer = context.create_timer(context.current_utc_datetime)
        yield timer
        return [timer.cancel(), timer.is_cancelled, timer.result, str(timer.fire_at)]

    world = World(orchestrator)
    world.turn(fired(1))
    assert world.output == [False, False, None, "2026-05-04 12:00:00+00:00"]


def test_a_cancelled_timer_is_marked_for_a_host_that_gets_all_actions() -> None:
    def orchestrator(context):
        timer = context.create_timer(context.current_utc_datetime)
        yield context.task_any([timer, context.wait_for_external_event("go")])
        timer.cancel()
        yield context.call_activity("a")

    world = World(orchestrator)
    result = replay(orchestrator, world.history, [at(1), raised("go")], ReplayEnv(emit=Emit.ALL))
    assert [getattr(action, "is_canceled", None) for action in result.actions] == [True, None]
    world.turn(raised("go"))
    assert world.ids == [2]


def test_a_cancelled_wait_takes_no_event() -> None:
    def orchestrator(context):
        first = context.wait_for_external_event("go")
        second = context.wait_for_external_event("go")
        seen = [first.cancel(), first.cancel(), first.is_cancelled, (yield second)]
        third = context.wait_for_external_event("Go")
        seen += [third.cancel(), second.cancel()]
        try:
            yield third
        except TaskCancelledError as error:
            seen.append(str(error))
        return seen

    world = World(orchestrator)
    world.turn(raised("GO", 1))
    assert world.output == [True, False, True, 1, True, False, "The wait for 'Go' was cancelled."]


def test_an_unscheduled_task_has_no_number_to_show() -> None:
    nobody: Any = None
    assert repr(Task(nobody)) == "<Task running>"
