"""What a store finds of instances that have ended, and the end of a hub's rows."""

from __future__ import annotations

import pytest

from durable_app.ports import IdQuery, InstanceQuery, StoredInstance
from durable_app.protocol import EventRaised, OrchestrationStatus
from durable_app.taskhub.instance import Decision, MessageId, RowChange, TaskKey
from tests.unit.taskhub.builders import NOW, a_message, a_pending_row, a_task, later

Status = OrchestrationStatus


def row(instance_id, end=None, status=Status.COMPLETED):
    ended = None if end is None else later(end)
    return a_pending_row(instance_id=instance_id, completed_at=ended, status=status)


def fill(store, *rows):
    decisions = [Decision(row.instance_id, row, RowChange.INSERT) for row in rows]
    assert store.commit(decisions) == [None] * len(rows)


@pytest.fixture
def filled(store):
    """Ids in the order of their ends: late ids end early."""
    fill(
        store,
        row("c", 10),
        row("a", 20, Status.FAILED),
        row("b", 20, Status.TERMINATED),
        row("d", 30),
        row("runs", None, Status.RUNNING),
    )
    return store


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, "cabd"),
        ({"statuses": frozenset({Status.COMPLETED})}, "cd"),
        ({"statuses": frozenset({Status.FAILED, Status.TERMINATED})}, "ab"),
        ({"statuses": frozenset()}, ""),
        ({"completed_from": later(20)}, "abd"),
        ({"completed_to": later(20)}, "c"),
        ({"completed_from": later(20), "completed_to": later(30)}, "ab"),
        ({"statuses": frozenset({Status.RUNNING})}, ""),
    ],
)
def test_all_conditions_hold(filled, conditions, found):
    page = filled.list_ids(IdQuery(**conditions))
    assert (page.items, page.continuation_token) == (tuple(found), None)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_hold_every_id_once_and_tokens_name_the_last_one(filled, size):
    found, token, pages = [], None, 0
    while pages == 0 or token:
        page = filled.list_ids(IdQuery(page_size=size, continuation_token=token))
        found += page.items
        token, pages = page.continuation_token, pages + 1
        if token is not None:
            assert page.items[-1] in token
    assert (found, pages) == (list("cabd"), -(-4 // size))


@pytest.mark.parametrize("token", ["x", "1", "a:b"])
def test_a_token_of_somebody_else_is_refused(filled, token):
    with pytest.raises(ValueError, match="no continuation token"):
        filled.list_ids(IdQuery(continuation_token=token))


def test_a_hub_that_is_dropped_leaves_nothing_and_its_numbers_are_not_used_again(backend):
    store = backend.open("gone")
    fill(store, row("order-1", 10))
    event = EventRaised(-1, NOW, "go", '"1"')
    message, task = a_message(event, id=MessageId(1)), a_task(key=TaskKey(1))
    assert store.commit([Decision("order-1", messages=(message,), tasks=(task,))]) == [None]
    before = backend.recovery.last_key

    store.drop()
    store.close()

    again = backend.open("gone")
    assert again.load("order-1") is None
    assert again.read_history("order-1", None) == []
    assert again.query(InstanceQuery()).items == ()
    assert again.list_ids(IdQuery()).items == ()
    assert again.tasks(TaskKey(0), 10) == []
    assert backend.recovery.last_key > before


def test_other_hubs_do_not_notice_that_one_is_dropped(backend):
    first = backend.open("stays")
    fill(first, row("order-1", 10))
    first.close()
    gone = backend.open("gone")
    fill(gone, row("order-1", 10))
    gone.drop()
    gone.close()

    assert isinstance(backend.open("stays").load("order-1"), StoredInstance)
