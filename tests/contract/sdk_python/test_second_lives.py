"""Rewind, restart and purge, as clients of the official SDK for Python ask for them."""

from __future__ import annotations

from datetime import timedelta

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask import task
from durabletask.client import OrchestrationStatus

from tests.contract.sdk_python.test_lives import gate, nested, refused, running

COMPLETED = OrchestrationStatus.COMPLETED
FAILED = OrchestrationStatus.FAILED


class Repairable:
    """An orchestration that fails until what it calls is mended; it counts its calls."""

    def __init__(self) -> None:
        self.is_mended = False
        self.calls: list[str] = []

    def functions(self):
        def fine(_, value):
            self.calls.append("fine")
            return value

        def fragile(_, value):
            self.calls.append("fragile")
            if not self.is_mended:
                raise ValueError("not mended")
            return value

        def repairable(context, value):
            first = yield context.call_activity(fine, input=value)
            return [first, (yield context.call_activity(fragile, input=value))]

        def parent(context, value):
            kept = yield context.call_activity(fine, input="parent")
            tasks = [
                context.call_sub_orchestrator(repairable, input=value, instance_id="child"),
                context.call_sub_orchestrator(steady, input=value, instance_id="steady"),
            ]
            return [kept, *(yield task.when_all(tasks))]

        def steady(context, value):
            return (yield context.call_activity(fine, input=value))

        return repairable, parent, steady, fine, fragile


class TestRewind:
    def test_repeats_only_what_has_failed(self, hub):
        case = Repairable()
        hub.work(*case.functions())
        hub.start("repairable", 1, instance_id="one")
        hub.failure("one")
        case.is_mended = True
        hub.client.rewind_orchestration("one", reason="mended")

        assert hub.output("one") == [1, 1]
        assert case.calls == ["fine", "fragile", "fragile"]
        assert hub.state("one").failure_details is None

    def test_reaches_the_children_that_failed(self, hub):
        case = Repairable()
        hub.work(*case.functions())
        hub.start("parent", 1, instance_id="root")
        hub.failure("root")
        hub.finished("steady")
        case.is_mended = True
        hub.client.rewind_orchestration("root")

        assert hub.output("root") == ["parent", [1, 1], 1]
        assert hub.state("child").runtime_status is COMPLETED
        assert case.calls.count("fine") == 3

    def test_starts_a_child_that_was_purged_again(self, hub):
        case = Repairable()
        hub.work(*case.functions())
        hub.start("parent", 1, instance_id="root")
        hub.failure("root")
        hub.finished("steady")
        hub.client.purge_orchestration("child")
        case.is_mended = True
        hub.client.rewind_orchestration("root")

        assert hub.output("root") == ["parent", [1, 1], 1]

    def test_can_be_done_again(self, hub):
        case = Repairable()
        hub.work(*case.functions())
        hub.start("repairable", 1, instance_id="one")
        hub.failure("one")
        hub.client.rewind_orchestration("one")
        hub.failure("one")
        case.is_mended = True
        hub.client.rewind_orchestration("one")

        assert hub.output("one") == [1, 1]
        assert case.calls == ["fine", "fragile", "fragile", "fragile"]

    def test_is_for_failed_instances_only(self, hub):
        hub.work(gate)
        running(hub)

        assert refused(hub.client.rewind_orchestration, "nobody").code() is (
            grpc.StatusCode.NOT_FOUND
        )
        error = refused(hub.client.rewind_orchestration, "one")
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "running" in error.details().lower()
        hub.client.raise_orchestration_event("one", "go")
        hub.output("one")
        error = refused(hub.client.rewind_orchestration, "one")
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


class TestRestart:
    def test_under_the_same_id_replaces_the_old_life(self, hub):
        def echo(context, value):
            return [value, context.version]

        hub.work(echo)
        hub.start(echo, 1, instance_id="one", version="2.0")
        before = hub.finished("one")
        again = hub.client.restart_orchestration("one")

        assert again == "one"
        assert hub.output("one") == [1, "2.0"]
        assert hub.state("one").created_at > before.created_at

    def test_under_a_new_id_leaves_the_old_one(self, hub):
        hub.work(gate)
        running(hub)
        again = hub.client.restart_orchestration("one", restart_with_new_instance_id=True)
        hub.client.raise_orchestration_event(again, "go", data=2)

        assert again != "one"
        assert hub.output(again) == 2
        assert hub.state("one").runtime_status is OrchestrationStatus.RUNNING

    def test_of_what_still_runs_or_never_was_is_refused(self, hub):
        hub.work(gate)
        running(hub)

        for instance_id, code in (
            ("one", grpc.StatusCode.FAILED_PRECONDITION),
            ("nobody", grpc.StatusCode.NOT_FOUND),
        ):
            assert refused(hub.client.restart_orchestration, instance_id).code() is code
        hub.client.suspend_orchestration("one")
        hub.until(lambda: hub.state("one").runtime_status is OrchestrationStatus.SUSPENDED)
        error = refused(hub.client.restart_orchestration, "one")
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


class TestPurge:
    def test_forgets_a_finished_instance(self, hub):
        hub.work(gate)
        hub.client.raise_orchestration_event(running(hub), "go")
        hub.output("one")
        purged = hub.client.purge_orchestration("one")

        assert (purged.deleted_instance_count, purged.is_complete) == (1, True)
        assert hub.client.get_orchestration_state("one") is None
        assert hub.client.get_orchestration_history("one") == []
        hub.client.raise_orchestration_event(running(hub), "go", data="again")
        assert hub.output("one") == "again"

    def test_leaves_what_runs_and_counts_nothing_for_nobody(self, hub):
        hub.work(gate)
        running(hub)

        for instance_id in ("one", "nobody"):
            assert hub.client.purge_orchestration(instance_id).deleted_instance_count == 0
        assert hub.state("one").runtime_status is OrchestrationStatus.RUNNING

    def test_takes_children_along_when_asked(self, hub):
        hub.work(nested)
        for root, is_recursive in (("a", True), ("b", False)):
            hub.start(nested, 1, instance_id=root)
            hub.started(root)
            hub.client.terminate_orchestration(root)
            hub.finished(root)
            children = [s.instance_id for s in _all(hub) if s.instance_id != root]
            hub.finished(children[0])
            count = hub.client.purge_orchestration(root, is_recursive).deleted_instance_count
            assert count == (2 if is_recursive else 1)

        assert len(_all(hub)) == 1

    def test_by_filter(self, hub):
        case = Repairable()
        hub.work(gate, *case.functions())
        running(hub)
        for number in range(3):
            hub.failure(hub.start("repairable", number))
        middle = hub.now()
        hub.failure(hub.start("repairable", 4))
        purge = hub.client.purge_orchestrations_by

        assert purge(runtime_status=[COMPLETED]).deleted_instance_count == 0
        assert purge(created_time_from=middle, runtime_status=[FAILED]).deleted_instance_count == 1
        purged = purge(created_time_to=hub.now(), runtime_status=[FAILED])
        assert (purged.deleted_instance_count, purged.is_complete) == (3, True)
        assert [state.instance_id for state in _all(hub)] == ["one"]

    def test_with_a_limit_of_time(self, hub):
        hub.work(*Repairable().functions())
        hub.failure(hub.start("repairable", 1))
        purged = hub.client.purge_orchestrations_by(timeout=timedelta(seconds=10))

        assert (purged.deleted_instance_count, purged.is_complete) == (1, True)

    def test_in_a_batch(self, hub):
        case = Repairable()
        hub.work(*case.functions())
        ids = [hub.start("repairable", number) for number in range(5)]
        for instance_id in ids:
            hub.failure(instance_id)
        batch = pb.InstanceBatch(instanceIds=[*ids[:3], "nobody"])
        request = pb.PurgeInstancesRequest(instanceBatch=batch)
        purged = hub.client._stub.PurgeInstances(request)

        assert purged.deletedInstanceCount == 3
        assert {state.instance_id for state in _all(hub)} == set(ids[3:])

    def test_of_too_many_at_once_is_refused(self, hub):
        batch = pb.InstanceBatch(instanceIds=[f"{i}" for i in range(501)])
        request = pb.PurgeInstancesRequest(instanceBatch=batch)

        error = refused(hub.client._stub.PurgeInstances, request)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def _all(hub):
    return hub.client.get_all_orchestration_states()
