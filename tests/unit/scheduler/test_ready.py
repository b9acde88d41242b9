"""Instances that wait for a slot: order within a group, and among groups."""

from __future__ import annotations

import pytest

from durable_app.scheduler.ready import Group, ReadyQueue

ORDERS, BILLS = Group(False, "order", None), Group(False, "bill", None)


def anybody(_instance_id: str) -> bool:
    return True


def test_the_longest_waiting_comes_first_whatever_its_group():
    queue = ReadyQueue()
    for group, instance_id in ((ORDERS, "a"), (BILLS, "b"), (ORDERS, "c")):
        queue.append(group, instance_id)
    assert len(queue) == 3
    assert [queue.pop(anybody) for _ in range(4)] == ["a", "b", "c", None]
    assert len(queue) == 0


def test_one_that_cannot_go_holds_up_its_own_group_only():
    queue = ReadyQueue()
    for group, instance_id in ((ORDERS, "a"), (ORDERS, "c"), (BILLS, "b")):
        queue.append(group, instance_id)
    asked = []

    def can_go(instance_id: str) -> bool:
        asked.append(instance_id)
        return instance_id == "b"

    assert queue.pop(can_go) == "b"
    assert asked == ["a", "b"]
    assert queue.pop(can_go) is None
    assert len(queue) == 2


def test_a_question_that_fails_changes_nothing():
    queue = ReadyQueue()
    queue.append(ORDERS, "a")

    def fails(_instance_id: str) -> bool:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        queue.pop(fails)
    assert queue.pop(anybody) == "a"
