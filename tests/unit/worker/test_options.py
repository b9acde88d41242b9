"""What users may tune about a worker."""

from __future__ import annotations

import pytest

from durable_app.errors import ConfigError
from durable_app.functions.registry import Registry
from durable_app.worker.options import (
    ActivityWorkItemFilter,
    ConcurrencyOptions,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
    filters_of,
)


def test_slots_grow_with_the_machine(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert ConcurrencyOptions().maximum_concurrent_activity_work_items == 300


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5])
def test_slots_are_whole_numbers(wrong):
    with pytest.raises(ConfigError, match="must be a whole number from 1"):
        ConcurrencyOptions(maximum_concurrent_entity_work_items=wrong)


def test_versions_become_the_workers_rule():
    assert VersioningOptions(version="2").match().takes("3")
    strict = VersioningOptions(
        version="2",
        match_strategy=VersionMatchStrategy.STRICT,
        failure_strategy=VersionFailureStrategy.FAIL,
    ).match()
    assert (strict.takes("2"), strict.takes("1"), strict.fails) == (True, False, True)
    older = VersioningOptions(version="2", match_strategy=VersionMatchStrategy.CURRENT_OR_OLDER)
    assert (older.match().takes("1"), older.match().takes("3")) == (True, False)


def test_filters_become_the_hubs():
    only = WorkItemFilters(
        [OrchestrationWorkItemFilter("chain", ["1"])],
        [ActivityWorkItemFilter("double")],
        [EntityWorkItemFilter("Counter")],
    ).work_filter()
    assert only.takes_orchestration("chain", "1")
    assert not only.takes_orchestration("chain", "2")
    assert only.takes_activity("double", "9")
    assert only.takes_entity("counter")
    assert not only.takes_entity("other")


def test_filters_follow_from_what_was_added():
    def double(number: int) -> int:
        return number

    registry = Registry()
    registry.add_activity(double)
    only = filters_of(registry.index()).work_filter()
    assert only.takes_activity("double", None)
    assert not only.takes_orchestration("any", None)
