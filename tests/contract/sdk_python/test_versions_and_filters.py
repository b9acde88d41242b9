"""Which worker of the official SDK for Python gets which work."""

from __future__ import annotations

import pytest
from durabletask import worker as sdk
from durabletask.client import OrchestrationStatus
from durabletask.worker import VersionFailureStrategy as Failure
from durabletask.worker import VersioningOptions
from durabletask.worker import VersionMatchStrategy as Match

PENDING = OrchestrationStatus.PENDING


def versioned(context, _):
    return context.version


def other(context, _):
    return "other"


def calling(context, name):
    return (yield context.call_activity(name))


def options(match, failure=Failure.FAIL, version="2.0"):
    return VersioningOptions(version=version, match_strategy=match, failure_strategy=failure)


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        (Match.NONE, ["1.0", "2.0", "3.0"]),
        (Match.STRICT, ["2.0"]),
        (Match.CURRENT_OR_OLDER, ["1.0", "2.0"]),
    ],
)
def test_a_worker_fails_versions_that_it_does_not_match(hub, match, taken):
    hub.work(versioned, versioning=options(match))

    for version in ("1.0", "2.0", "3.0"):
        instance_id = hub.start(versioned, version=version)
        if version in taken:
            assert hub.output(instance_id) == version
        else:
            assert hub.failure(instance_id).error_type == "VersionMismatch"


@pytest.mark.parametrize("match", [Match.STRICT, Match.CURRENT_OR_OLDER])
def test_a_rejected_instance_waits_for_a_worker_that_takes_it(hub, match):
    hub.work(versioned, versioning=options(match, Failure.REJECT))
    rejected = hub.start(versioned, version="3.0")
    taken = hub.start(versioned, version="2.0")
    assert hub.output(taken) == "2.0"
    assert hub.state(rejected).runtime_status is PENDING

    hub.work(versioned, versioning=options(match, Failure.REJECT, version="3.0"))
    assert hub.output(rejected) == "3.0"


def test_an_instance_without_version_has_none(hub):
    hub.work(versioned)

    assert hub.run(versioned) is None


def test_the_default_version_of_a_worker_is_that_of_its_children(hub):
    def parent(context, _):
        return (yield context.call_sub_orchestrator(versioned))

    defaults = VersioningOptions(default_version="1.5", match_strategy=Match.NONE)
    hub.work(parent, versioned, versioning=defaults)

    assert hub.run(parent) == "1.5"


def test_a_new_life_can_have_a_new_version(hub):
    def moving(context, _):
        if context.version == "1.0":
            context.continue_as_new(None, new_version="2.0")
            return None
        return context.version

    hub.work(moving)

    assert hub.run(moving, version="1.0") == "2.0"


class TestFilters:
    def test_by_name_let_others_wait_and_harm_nobody(self, hub):
        hub.work(versioned, filters=only("versioned"))
        waiting = hub.start(other)

        assert hub.run(versioned) is None
        assert hub.state(waiting).runtime_status is PENDING
        hub.work(other, filters=only("other"))
        assert hub.output(waiting) == "other"

    def test_of_activities_send_each_to_its_worker(self, hub):
        def left(_, __):
            return "left"

        def right(_, __):
            return "right"

        hub.work(calling, filters=only("calling"))
        hub.work(left, filters=only(activities=["left"]))
        waiting = hub.start(calling, "right")

        assert hub.run(calling, "left") == "left"
        assert hub.state(waiting).runtime_status is OrchestrationStatus.RUNNING
        hub.work(right, filters=only(activities=["right"]))
        assert hub.output(waiting) == "right"

    def test_by_version_take_the_same_version_only(self, hub):
        hub.work(versioned, filters=only("versioned", versions=["2.0"]))
        waiting = [hub.start(versioned, version=version) for version in ("1.0", None)]

        assert hub.run(versioned, version="2.0") == "2.0"
        assert {hub.state(i).runtime_status for i in waiting} == {PENDING}
        hub.work(versioned)
        assert [hub.output(i) for i in waiting] == ["1.0", None]

    def test_made_by_the_sdk_let_its_own_activities_through(self, hub):
        def left(_, __):
            return "left"

        strict = options(Match.STRICT)
        hub.work(calling, left, versioning=strict, has_filters=True)

        # The SDK names a version for activities in its filter, and none when it schedules them.
        assert hub.run(calling, "left", version="2.0") == "left"

    def test_an_empty_category_takes_nothing(self, hub):
        def left(_, __):
            return "left"

        hub.work(calling, left, filters=only("calling"))
        waiting = hub.start(calling, "left")
        hub.started(waiting)

        assert hub.state(waiting).runtime_status is OrchestrationStatus.RUNNING
        hub.work(left)
        assert hub.output(waiting) == "left"

    def test_of_a_busy_worker_do_not_hold_up_the_others(self, hub):
        def slow(_, __):
            assert released.wait(20)
            return "slow"

        def quick(_, __):
            return "quick"

        released = hub.new_signal()
        one = sdk.ConcurrencyOptions(maximum_concurrent_activity_work_items=1)
        hub.work(calling, filters=only("calling"))
        hub.work(slow, filters=only(activities=["slow"]), slots=one)
        hub.work(quick, filters=only(activities=["quick"]))
        waiting = [hub.start(calling, "slow") for _ in range(3)]
        for instance_id in waiting:
            hub.started(instance_id)

        assert hub.run(calling, "quick") == "quick"
        released.set()
        assert [hub.output(i) for i in waiting] == ["slow"] * 3


def only(*orchestrations, activities=(), versions=()):
    return sdk.WorkItemFilters(
        orchestrations=[sdk.OrchestrationWorkItemFilter(n, list(versions)) for n in orchestrations],
        activities=[sdk.ActivityWorkItemFilter(name) for name in activities],
    )
