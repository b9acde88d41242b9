"""Orchestrations of the official SDK for Python: activities, children, timers, failures."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus

HALF_S = timedelta(seconds=0.5)


def hello(_, name):
    return f"Hello {name}"


def double(_, number):
    return number * 2


def test_results_flow_from_one_activity_to_the_next(hub):
    def chain(context, name):
        first = yield context.call_activity(hello, input=name)
        return (yield context.call_activity(hello, input=first))

    hub.work(chain, hello)

    assert hub.run(chain, "Oslo") == "Hello Hello Oslo"


def test_a_fan_out_keeps_its_order(hub):
    def wide(context, count):
        tasks = [context.call_activity(double, input=i) for i in range(count)]
        return (yield task.when_all(tasks))

    hub.work(wide, double)

    assert hub.run(wide, 200) == [2 * i for i in range(200)]


@pytest.mark.parametrize("value", [None, "", 0, False, [], {}, "æøå 🙂", {"a": [1, None]}])
def test_values_come_back_as_they_went(hub, value):
    def echo(context, given):
        return (yield context.call_activity(same, input=given))

    def same(_, given):
        return given

    hub.work(echo, same)

    assert hub.run(echo, value) == value


def test_many_instances_run_side_by_side(hub):
    def one(context, number):
        return (yield context.call_activity(double, input=number))

    hub.work(one, double)
    ids = [hub.start(one, i) for i in range(50)]

    assert [hub.output(i) for i in ids] == [2 * i for i in range(50)]


class TestTimers:
    def test_never_fire_early_and_not_late(self, hub):
        def waiting(context, _):
            due = context.current_utc_datetime + HALF_S
            yield context.create_timer(due)
            return [due.isoformat(), context.current_utc_datetime.isoformat()]

        hub.work(waiting)
        due, fired = map(datetime.fromisoformat, hub.run(waiting))

        assert due <= fired < due + 2 * HALF_S

    def test_one_that_is_due_already_fires_at_once(self, hub):
        def past(context, _):
            yield context.create_timer(context.current_utc_datetime - timedelta(days=1))
            return "fired"

        hub.work(past)

        assert hub.run(past) == "fired"

    def test_one_that_lost_a_race_does_not_hold_the_instance(self, hub):
        def race(context, _):
            timer = context.create_timer(timedelta(days=400))
            activity = context.call_activity(double, input=4)
            winner = yield task.when_any([timer, activity])
            return winner.get_result()

        hub.work(race, double)

        assert hub.run(race) == 8


class TestRetries:
    def test_back_offs_of_500_and_1000_ms_can_be_told_apart(self, hub):
        starts = []

        def flaky(_, __):
            starts.append(time.perf_counter())
            if len(starts) < 3:
                raise ValueError("not yet")
            return len(starts)

        def patient(context, _):
            policy = task.RetryPolicy(
                first_retry_interval=HALF_S, max_number_of_attempts=3, backoff_coefficient=2
            )
            return (yield context.call_activity(flaky, retry_policy=policy))

        hub.work(patient, flaky)

        assert hub.run(patient) == 3
        first, second = starts[1] - starts[0], starts[2] - starts[1]
        assert 0.5 <= first < 1.0 <= second < 2.0

    def test_the_last_failure_is_the_one_that_counts(self, hub):
        attempts = []

        def broken(_, __):
            attempts.append(1)
            raise ValueError(f"attempt {len(attempts)}")

        def stubborn(context, _):
            policy = task.RetryPolicy(
                first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3
            )
            yield context.call_activity(broken, retry_policy=policy)

        hub.work(stubborn, broken)
        failure = hub.failure(hub.start(stubborn))

        assert failure.error_type.endswith("TaskFailedError")
        assert "attempt 3" in failure.message
        assert len(attempts) == 3

    def test_a_child_is_retried_under_its_id(self, hub):
        ids = []

        def child(context, _):
            ids.append(context.instance_id)
            if len(ids) < 3:
                raise ValueError("not yet")
            return "at last"

        def parent(context, _):
            policy = task.RetryPolicy(
                first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3
            )
            return (yield context.call_sub_orchestrator(child, retry_policy=policy))

        hub.work(parent, child)

        assert hub.run(parent) == "at last"
        assert len(ids) == 3
        assert len(set(ids)) == 1


class TestChildren:
    def test_return_to_their_parent_and_know_it(self, hub):
        def child(context, number):
            doubled = yield context.call_activity(double, input=number)
            return [doubled, context.parent_instance_id]

        def parent(context, numbers):
            tasks = [context.call_sub_orchestrator(child, input=n) for n in numbers]
            return (yield task.when_all(tasks))

        hub.work(parent, child, double)
        instance_id = hub.start(parent, [1, 2, 3])

        assert hub.output(instance_id) == [[2 * n, instance_id] for n in (1, 2, 3)]

    def test_run_under_the_id_that_was_asked_for(self, hub):
        def child(context, _):
            return context.instance_id

        def parent(context, child_id):
            return (yield context.call_sub_orchestrator(child, instance_id=child_id))

        hub.work(parent, child)

        assert hub.run(parent, "the-child") == "the-child"
        assert hub.state("the-child").runtime_status is OrchestrationStatus.COMPLETED

    def test_fail_with_their_own_words(self, hub):
        def child(context, _):
            yield context.call_activity(broken)

        def broken(_, __):
            raise KeyError("what was lost")

        def parent(context, _):
            try:
                yield context.call_sub_orchestrator(child, instance_id="failing")
            except task.TaskFailedError as error:
                return [error.details.error_type, error.details.message]

        hub.work(parent, child, broken)
        told = hub.run(parent)
        known = hub.failure("failing")

        assert told == [known.error_type, known.message]
        assert "what was lost" in known.message

    def test_one_whose_id_is_taken_fails_its_parent_and_harms_nobody(self, hub):
        def running(context, _):
            return (yield context.wait_for_external_event("go"))

        def parent(context, _):
            try:
                yield context.call_sub_orchestrator(running, instance_id="taken")
            except task.TaskFailedError as error:
                return error.details.message

        hub.work(running, parent)
        hub.start(running, instance_id="taken")
        hub.started("taken")

        assert "taken" in hub.run(parent)
        hub.client.raise_orchestration_event("taken", "go", data=1)
        assert hub.output("taken") == 1


class TestFailures:
    def test_an_orchestrator_that_raises_fails_its_instance(self, hub):
        def broken(context, _):
            raise RuntimeError("in the first turn")

        hub.work(broken)
        failure = hub.failure(hub.start(broken))

        assert failure.error_type.endswith("RuntimeError")
        assert failure.message == "in the first turn"
        assert failure.stack_trace

    def test_an_activity_that_nobody_has_fails_its_call(self, hub):
        def calling(context, _):
            yield context.call_activity("nobody-has-it")

        hub.work(calling)

        assert "nobody-has-it" in hub.failure(hub.start(calling)).message

    def test_an_orchestrator_that_nobody_has_fails(self, hub):
        hub.work(double)

        assert "nobody-has-it" in hub.failure(hub.start("nobody-has-it")).message


def test_the_custom_status_shows_while_the_instance_runs(hub):
    def stages(context, _):
        context.set_custom_status({"stage": 1})
        yield context.wait_for_external_event("on")
        context.set_custom_status({"stage": 2})
        return "done"

    hub.work(stages)
    instance_id = hub.start(stages)
    hub.started(instance_id)
    assert hub.state(instance_id).get_custom_status() == {"stage": 1}

    hub.client.raise_orchestration_event(instance_id, "on")
    assert hub.finished(instance_id).get_custom_status() == {"stage": 2}


def test_tags_go_with_the_instance(hub):
    def tagged(context, _):
        return (yield context.call_activity(double, input=1, tags={"of": "the activity"}))

    hub.work(tagged, double)
    instance_id = hub.start(tagged, tags={"team": "blue", "": "æ"})

    hub.output(instance_id)
    events = hub.client.get_orchestration_history(instance_id)
    started = next(e for e in events if type(e).__name__ == "ExecutionStartedEvent")
    scheduled = next(e for e in events if type(e).__name__ == "TaskScheduledEvent")
    assert started.tags == {"team": "blue", "": "æ"}
    assert scheduled.tags == {"of": "the activity"}


def test_a_start_in_the_future_waits_for_its_time(hub):
    def when(context, _):
        return context.current_utc_datetime.replace(tzinfo=UTC).isoformat()

    hub.work(when)
    due = hub.now() + HALF_S
    instance_id = hub.start(when, start_at=due)

    assert hub.state(instance_id).runtime_status is OrchestrationStatus.PENDING
    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_start(instance_id, timeout=0.1)
    assert datetime.fromisoformat(hub.output(instance_id)) >= due


def test_a_start_in_the_past_is_a_start_now(hub):
    def waiting(context, _):
        yield context.create_timer(HALF_S)
        return context.current_utc_datetime.year

    hub.work(waiting)

    assert hub.run(waiting, start_at=datetime(1970, 1, 1, tzinfo=UTC)) == hub.now().year


class TestHistory:
    def test_activity_timer_child_make_twelve_events(self, hub):
        def child(context, _):
            return "child"

        def mixed(context, _):
            yield context.call_activity(double, input=1)
            yield context.create_timer(timedelta(milliseconds=20))
            yield context.call_sub_orchestrator(child)

        hub.work(mixed, child, double)
        instance_id = hub.start(mixed)
        hub.output(instance_id)
        events = hub.client.get_orchestration_history(instance_id)

        assert [type(event).__name__.removesuffix("Event") for event in events] == [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled",
            "OrchestratorStarted",
            "TaskCompleted",
            "TimerCreated",
            "OrchestratorStarted",
            "TimerFired",
            "SubOrchestrationInstanceCreated",
            "OrchestratorStarted",
            "SubOrchestrationInstanceCompleted",
            "ExecutionCompleted",
        ]
        assert all(event.timestamp for event in events)

    def test_ids_of_events_are_those_of_their_actions(self, hub):
        def one(context, _):
            return (yield context.call_activity(double, input=1))

        hub.work(one, double)
        instance_id = hub.start(one)
        hub.output(instance_id)

        events = hub.client.get_orchestration_history(instance_id)
        assert [event.event_id for event in events] == [-1, 0, 1, -1, -1, 2]

    def test_of_an_unknown_instance_is_empty(self, hub):
        assert hub.client.get_orchestration_history("nobody") == []

    def test_one_of_many_megabytes_comes_in_parts(self, hub):
        def large(context, _):
            for _ in range(3):
                yield context.call_activity(megabyte)
            return "y" * 2**21

        def megabyte(_, __):
            return "x" * 2**20

        hub.work(large, megabyte)
        instance_id = hub.start(large)
        hub.output(instance_id)

        assert len(hub.client.get_orchestration_history(instance_id)) == 12

    def test_one_that_no_worker_can_receive_fails_its_instance_alone(self, hub):
        def huge(context, _):
            for _ in range(5):
                yield context.call_activity(megabyte)

        def megabyte(_, __):
            return "x" * 2**20

        def small(context, _):
            return (yield context.call_activity(double, input=1))

        hub.work(huge, megabyte, small, double)
        failure = hub.failure(hub.start(huge))

        assert failure.error_type == "MessageTooLargeError"
        assert "this worker receives" in failure.message
        assert hub.run(small) == 2
