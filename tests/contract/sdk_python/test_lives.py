"""What clients of the official SDK for Python do to instances: events, ends, second lives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus


def gate(context, _):
    return (yield context.wait_for_external_event("go"))


def nested(context, depth):
    if depth:
        return (yield context.call_sub_orchestrator(nested, input=depth - 1))
    return (yield context.wait_for_external_event("go"))


def parent_of_gate(context, child_id):
    return (yield context.call_sub_orchestrator(gate, instance_id=child_id))


def same(_, value):
    return value


def refused(call, *args, **more):
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **more)
    return caught.value


def running(hub, instance_id="one", orchestrator=gate):
    hub.start(orchestrator, instance_id=instance_id)
    hub.started(instance_id)
    return instance_id


class TestEvents:
    def test_that_come_before_the_first_turn_are_kept_in_order(self, hub):
        def three(context, _):
            first = yield context.wait_for_external_event("item")
            second = yield context.wait_for_external_event("item")
            return [first, second, (yield context.wait_for_external_event("item"))]

        instance_id = hub.start(three)
        for number in range(3):
            hub.client.raise_orchestration_event(instance_id, "item", data=number)
        hub.work(three)

        assert hub.output(instance_id) == [0, 1, 2]

    def test_find_who_waits_whatever_the_case_of_their_names(self, hub):
        hub.work(gate)
        instance_id = running(hub)
        hub.client.raise_orchestration_event(instance_id, "GO", data={"a": 1})

        assert hub.output(instance_id) == {"a": 1}
        raised = [
            event.name
            for event in hub.client.get_orchestration_history(instance_id)
            if type(event).__name__ == "EventRaisedEvent"
        ]
        assert raised == ["GO"]

    def test_without_data_are_events_too(self, hub):
        hub.work(gate)
        hub.client.raise_orchestration_event(running(hub), "go")

        assert hub.output("one") is None

    def test_win_against_a_timer(self, hub):
        def approval(context, _):
            approved = context.wait_for_external_event("approve")
            winner = yield task.when_any([approved, context.create_timer(timedelta(days=3))])
            return "approved" if winner is approved else "timed out"

        hub.work(approval)
        hub.client.raise_orchestration_event(running(hub, orchestrator=approval), "approve")

        assert hub.output("one") == "approved"

    def test_pass_between_instances(self, hub):
        def sender(context, target):
            context.send_event(target, "go", data="from a peer")
            return "sent"

        hub.work(gate, sender)
        running(hub)

        assert hub.run(sender, "one") == "sent"
        assert hub.output("one") == "from a peer"

    def test_to_nobody_are_dropped_when_an_instance_sends_them(self, hub):
        def sender(context, target):
            context.send_event(target, "go")
            return "sent"

        hub.work(sender)

        assert hub.run(sender, "nobody") == "sent"

    def test_to_an_unknown_instance_are_refused(self, hub):
        error = refused(hub.client.raise_orchestration_event, "nobody", "go")

        assert error.code() is grpc.StatusCode.NOT_FOUND

    def test_to_a_finished_instance_are_dropped(self, hub):
        hub.work(gate)
        hub.client.raise_orchestration_event(running(hub), "go", data=1)
        hub.output("one")
        hub.client.raise_orchestration_event("one", "go", data=2)

        assert hub.output("one") == 1


class TestContinueAsNew:
    def test_begins_again_with_a_new_input_and_an_empty_history(self, hub):
        def counting(context, count):
            count = yield context.call_activity(same, input=count + 1)
            if count < 5:
                context.continue_as_new(count)
                return None
            return count

        hub.work(counting, same)
        instance_id = hub.start(counting, 0)

        assert hub.output(instance_id) == 5
        assert len(hub.client.get_orchestration_history(instance_id)) == 6
        assert hub.state(instance_id).get_input() == 4

    def test_carries_events_over(self, hub):
        def collecting(context, got):
            got.append((yield context.wait_for_external_event("item")))
            if len(got) < 4:
                context.continue_as_new(got, save_events=True)
                return None
            return got

        instance_id = hub.start(collecting, [])
        for number in range(4):
            hub.client.raise_orchestration_event(instance_id, "item", data=number)
        hub.work(collecting)

        assert hub.output(instance_id) == [0, 1, 2, 3]

    def test_leaves_timers_and_activities_of_the_old_life_behind(self, hub):
        def restless(context, life):
            timer = context.create_timer(timedelta(milliseconds=50))
            context.call_activity(same, input=life)
            if life < 3:
                context.continue_as_new(life + 1)
                return None
            yield timer
            return life

        hub.work(restless, same)

        assert hub.run(restless, 0) == 3


class TestSuspension:
    def test_holds_an_instance_until_it_is_resumed(self, hub):
        hub.work(gate)
        running(hub)
        hub.client.suspend_orchestration("one", reason="lunch")
        hub.until(lambda: hub.state("one").runtime_status is OrchestrationStatus.SUSPENDED)
        hub.client.suspend_orchestration("one")
        hub.client.raise_orchestration_event("one", "go", data=1)
        with pytest.raises(TimeoutError):
            hub.client.wait_for_orchestration_completion("one", timeout=0.2)

        hub.client.resume_orchestration("one", reason="back")
        assert hub.output("one") == 1

    def test_of_an_unknown_instance_is_refused(self, hub):
        for call in (hub.client.suspend_orchestration, hub.client.resume_orchestration):
            assert refused(call, "nobody").code() is grpc.StatusCode.NOT_FOUND

    def test_where_it_changes_nothing_is_accepted(self, hub):
        hub.work(gate)
        hub.client.resume_orchestration(running(hub))
        hub.client.raise_orchestration_event("one", "go", data=1)
        hub.output("one")

        hub.client.suspend_orchestration("one")
        assert hub.output("one") == 1


class TestTermination:
    def test_ends_an_instance_with_an_output(self, hub):
        hub.work(gate)
        hub.client.terminate_orchestration(running(hub), output={"why": "enough"})
        state = hub.finished("one")

        assert state.runtime_status is OrchestrationStatus.TERMINATED
        assert state.get_output() == {"why": "enough"}
        assert state.failure_details is None

    def test_reaches_children_and_theirs(self, hub):
        hub.work(nested)
        hub.start(nested, 2, instance_id="root")
        hub.until(lambda: len(hub.client.get_all_orchestration_states()) == 3)
        hub.client.terminate_orchestration("root", recursive=True)

        def are_terminated():
            states = hub.client.get_all_orchestration_states()
            return {s.runtime_status for s in states} == {OrchestrationStatus.TERMINATED}

        hub.until(are_terminated)

    def test_leaves_children_alone_unless_told(self, hub):
        hub.work(parent_of_gate, gate)
        hub.start(parent_of_gate, "child", instance_id="root")
        hub.started("child")
        hub.client.terminate_orchestration("root", recursive=False)
        hub.finished("root")

        hub.client.raise_orchestration_event("child", "go", data=1)
        assert hub.output("child") == 1

    def test_of_a_suspended_or_an_unstarted_instance_works_too(self, hub):
        hub.start(gate, instance_id="unstarted")
        hub.client.terminate_orchestration("unstarted")
        hub.work(gate)
        hub.client.suspend_orchestration(running(hub))
        hub.client.terminate_orchestration("one")

        for instance_id in ("unstarted", "one"):
            status = hub.finished(instance_id).runtime_status
            assert status is OrchestrationStatus.TERMINATED

    def test_of_nobody_is_no_error(self, hub):
        hub.client.terminate_orchestration("nobody")

        assert hub.client.get_orchestration_state("nobody") is None

    def test_of_a_child_fails_its_parent(self, hub):
        hub.work(parent_of_gate, gate)
        hub.start(parent_of_gate, "child", instance_id="root")
        hub.started("child")
        hub.client.terminate_orchestration("child")

        assert hub.finished("root").runtime_status is OrchestrationStatus.FAILED


class TestIds:
    def test_a_running_instance_keeps_its_id(self, hub):
        hub.work(gate)
        error = refused(hub.start, gate, instance_id=running(hub))

        assert error.code() is grpc.StatusCode.ALREADY_EXISTS

    def test_a_finished_one_gives_it_away(self, hub):
        hub.work(gate)
        hub.client.raise_orchestration_event(running(hub), "go", data=1)
        hub.output("one")
        running(hub)
        hub.client.raise_orchestration_event("one", "go", data=2)

        assert hub.output("one") == 2

    def test_unless_the_policy_says_otherwise(self, hub):
        hub.work(gate)
        hub.client.raise_orchestration_event(running(hub), "go")
        hub.output("one")
        policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_FAILED])
        error = refused(hub.start, gate, instance_id="one", reuse_id_policy=policy)

        assert error.code() is grpc.StatusCode.ALREADY_EXISTS

    def test_a_policy_can_replace_a_running_one(self, hub):
        hub.work(gate)
        running(hub)
        policy = pb.OrchestrationIdReusePolicy(
            replaceableStatus=[
                pb.ORCHESTRATION_STATUS_RUNNING,
                pb.ORCHESTRATION_STATUS_TERMINATED,
            ]
        )
        before = hub.state("one").created_at
        hub.start(gate, instance_id="one", reuse_id_policy=policy)
        hub.started("one")
        hub.client.raise_orchestration_event("one", "go", data=2)

        assert hub.output("one") == 2
        assert hub.state("one").created_at > before

    def test_a_policy_that_contradicts_itself_is_refused(self, hub):
        policy = pb.OrchestrationIdReusePolicy(replaceableStatus=[pb.ORCHESTRATION_STATUS_RUNNING])
        error = refused(hub.start, gate, instance_id="one", reuse_id_policy=policy)

        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "cannot exclude 'Terminated'" in error.details()

    def test_more_than_a_hundred_characters_are_refused(self, hub):
        error = refused(hub.start, gate, instance_id="x" * 101)

        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "length" in error.details()
        assert hub.start(gate, instance_id="x" * 100) == "x" * 100


def test_waiting_for_an_instance_that_comes_later(hub):
    hub.work(gate)
    waiting = hub.in_background(hub.finished, "later")
    hub.start(gate, instance_id="later")
    hub.client.raise_orchestration_event("later", "go", data=1)

    assert waiting.result(20).get_output() == 1


def test_any_number_of_calls_wait_on_one_connection(hub):
    hub.work(gate)
    with ThreadPoolExecutor(150) as threads:
        waiting = [threads.submit(hub.finished, "one") for _ in range(150)]
        hub.client.raise_orchestration_event(running(hub), "go", data=1)

        assert {each.result(20).get_output() for each in waiting} == {1}


def test_waiting_in_vain_ends_with_the_callers_deadline(hub):
    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_start("nobody", timeout=0.2)
