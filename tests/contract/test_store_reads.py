"""What a store finds: queues, timers, queries, marks, purges."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import msgspec
import pytest

from durable_app.ports import InstanceQuery, Mark, PurgeFilter
from durable_app.protocol import EPOCH, EventRaised, OrchestrationStatus, OrchestratorStarted
from durable_app.taskhub.instance import Decision, MessageId, RowChange, TaskKey
from tests.contract.backends import FAR, snapshot
from tests.unit.taskhub.builders import (
    NOW,
    a_message,
    a_parent,
    a_pending_row,
    a_row,
    a_task,
    later,
)

Status = OrchestrationStatus
RAISED = EventRaised(-1, NOW, "go", '"1"')
STARTED = OrchestratorStarted(timestamp=NOW)


def fill(store, *rows):
    decisions = [Decision(row.instance_id, row, RowChange.INSERT) for row in rows]
    assert store.commit(decisions) == [None] * len(rows)


def post(store, *messages):
    assert store.commit([Decision("order-1", messages=messages)]) == [None]


def row(instance_id, **changes: Any):
    return a_pending_row(instance_id=instance_id, **changes)


# -- timers ---------------------------------------------------------------------------------------


@pytest.fixture
def timed(store):
    """Messages 1 to 5, due at 10, 20, 20, 30 and 40 seconds."""
    due = {1: 10, 2: 20, 3: 20, 4: 30, 5: 40}
    fill(store, row("order-1"))
    post(store, *(a_message(RAISED, id=MessageId(i), visible_at=later(s)) for i, s in due.items()))
    return store


@pytest.mark.parametrize(
    ("after", "until", "limit", "found"),
    [
        ((EPOCH, 0), 25, 10, [1, 2, 3]),
        ((EPOCH, 0), 30, 10, [1, 2, 3, 4]),
        ((EPOCH, 0), 100, 2, [1, 2]),
        ((later(20), 2), 100, 10, [3, 4, 5]),
        ((later(20), 3), 100, 1, [4]),
        ((later(20), 2**63 - 1), 29, 10, []),
        ((later(40), 5), 100, 10, []),
    ],
)
def test_due_messages_come_in_order_each_once(timed, after, until, limit, found):
    rows = timed.due(after, later(until), limit)
    assert [i for _, i, _ in rows] == found
    assert all(instance_id == "order-1" for _, _, instance_id in rows)


@pytest.mark.parametrize(("after", "found"), [(0, 10), (10, 20), (20, 30), (39, 40), (40, None)])
def test_the_next_moment_is_later(timed, after, found):
    assert timed.next_due(later(after)) == (later(found) if found else None)


def test_consumed_messages_are_not_due(timed):
    timed.commit([Decision("order-1", consumed=(MessageId(1), MessageId(3)))])
    assert [i for _, i, _ in timed.due((EPOCH, 0), FAR, 10)] == [2, 4, 5]


def test_messages_of_nobody_can_be_removed(store):
    message = a_message(RAISED, instance_id="nobody")
    post(store, message)
    assert store.due((EPOCH, 0), FAR, 10) == [(NOW, message.id, "nobody")]
    store.orphans([message.id, 999_999])
    assert store.due((EPOCH, 0), FAR, 10) == []
    assert store.next_due(EPOCH) is None


# -- the queue of activities ----------------------------------------------------------------------


def test_tasks_are_read_in_windows(store):
    tasks = tuple(a_task(key=TaskKey(key)) for key in (5, 3, 9, 7))
    store.commit([Decision("order-1", tasks=tasks)])
    assert [t.key for t in store.tasks(TaskKey(0), 3)] == [3, 5, 7]
    assert [t.key for t in store.tasks(TaskKey(7), 3)] == [9]
    assert store.tasks(TaskKey(9), 3) == []


def test_a_task_that_was_given_back_waits_for_its_time(store):
    store.commit([Decision("order-1", tasks=(a_task(),))])
    postponed = a_task(attempts=2, not_before=later(2))
    store.postpone(postponed)
    assert store.tasks(TaskKey(0), 10) == [postponed]


def test_a_task_that_is_gone_is_not_given_back(store):
    store.postpone(a_task(attempts=2))
    assert store.tasks(TaskKey(0), 10) == []


# -- recovery -------------------------------------------------------------------------------------


def mark_two(store):
    fill(store, row("order-1"), row("order-2"))
    tasks = (a_task(key=TaskKey(1)), a_task(key=TaskKey(2), attempts=4))
    store.commit([Decision("order-1", tasks=tasks)])
    store.mark(Mark.TASK, [2])
    store.mark(Mark.INSTANCE, ["order-2"])


def attempts(store):
    tasks = [task.attempts for task in store.tasks(TaskKey(0), 10)]
    return tasks, [store.load(i).instance.attempts for i in ("order-1", "order-2")]


def test_after_a_crash_what_was_tried_has_one_more_attempt(backend):
    mark_two(backend.open())
    backend.crash()
    assert attempts(backend.open()) == ([0, 5], [0, 1])
    assert backend.recovery.unclean
    # Once only.
    backend.crash()
    assert attempts(backend.open()) == ([0, 5], [0, 1])


def test_after_a_clean_end_nothing_is_blamed(backend):
    store = backend.open()
    assert not backend.recovery.unclean
    mark_two(store)
    store.close()
    store.close()
    assert attempts(backend.open()) == ([0, 4], [0, 0])
    assert not backend.recovery.unclean
    # Marks do not outlive a clean end.
    backend.crash()
    assert attempts(backend.open()) == ([0, 4], [0, 0])


def test_what_has_a_result_is_not_blamed(backend):
    store = backend.open()
    mark_two(store)
    touched = a_row(instance_id="order-2", revision=1, history_count=0)
    store.commit([Decision("order-2", touched, RowChange.TOUCH)])
    store.postpone(a_task(key=TaskKey(2), attempts=5))
    backend.crash()
    assert attempts(backend.open()) == ([0, 5], [0, 0])


def test_marks_go_with_what_is_purged_or_finished(backend):
    store = backend.open()
    mark_two(store)
    store.mark(Mark.INSTANCE, ["nobody"])
    store.mark(Mark.TASK, [77])
    store.purge(["order-2"])
    store.commit([Decision("order-1", finished=(TaskKey(2),))])
    child = row("order-2")
    store.commit([Decision("order-1", births=(child,), tasks=(a_task(key=TaskKey(2)),))])
    backend.crash()
    assert attempts(backend.open()) == ([0, 0], [0, 0])


def test_what_is_born_after_a_mark_of_its_id_is_not_blamed(backend):
    store = backend.open()
    fill(store, row("order-1"))
    store.mark(Mark.INSTANCE, ["order-2"])
    store.mark(Mark.TASK, [7])
    store.commit([Decision("order-1", births=(row("order-2"),), tasks=(a_task(key=TaskKey(7)),))])
    backend.crash()
    assert attempts(backend.open()) == ([0], [0, 0])


def test_numbers_of_an_earlier_run_are_never_used_again(backend):
    seen = []
    for ending in ("close", "crash", "close"):
        store = backend.open()
        seen.append(backend.recovery.last_key)
        if ending == "close":
            store.close()
        else:
            backend.crash()
    assert seen == sorted(set(seen))
    assert all(after - before >= 1 << 40 for before, after in itertools.pairwise(seen))


def test_everything_is_there_after_a_restart(backend):
    store = backend.open()
    mark_two(store)
    messages = (a_message(RAISED), a_message(RAISED, visible_at=later(60)))
    touched = a_row(instance_id="order-1", revision=1, history_count=1)
    store.commit([Decision("order-1", touched, history=(STARTED,), messages=messages)])
    before = snapshot(store, ["order-1", "order-2"])
    store.close()
    assert snapshot(backend.open(), ["order-1", "order-2"]) == before


def test_hubs_do_not_see_each_other(backend):
    first = backend.open("first")
    fill(first, row("order-1", name="first", parent=a_parent()))
    message, task = a_message(RAISED, id=MessageId(1)), a_task()
    first.commit([Decision("order-1", messages=(message,), tasks=(task,))])
    before = snapshot(first, ["order-1"])
    first.close()
    second = backend.open("second")
    assert snapshot(second, ["order-1"])["instances"] == {"order-1": None}
    assert second.tasks(TaskKey(0), 10) == second.due((EPOCH, 0), FAR, 10) == []
    assert second.children("parent-1") == []
    # The same ids and numbers, and a purge, in the other hub.
    fill(second, row("order-1", name="second"))
    second.commit([Decision("order-1", messages=(message,), tasks=(task,))])
    assert second.purge(["order-1"]) == 1
    second.close()
    assert snapshot(backend.open("first"), ["order-1"]) == before


# -- queries --------------------------------------------------------------------------------------


def ids(page):
    return [item.instance_id for item in page.items]


@pytest.fixture
def filled(store):
    fill(
        store,
        row("b", created_at=later(1), status=Status.COMPLETED),
        row("a", created_at=later(1), status=Status.FAILED),
        row("a_1", created_at=later(2), status=Status.RUNNING),
        row("a%1", created_at=later(3), status=Status.COMPLETED),
        row("ä'1", created_at=later(4), status=Status.TERMINATED, input='"i"', output="x" * 3_000),
    )
    return store


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, ["a", "b", "a_1", "a%1", "ä'1"]),
        ({"statuses": frozenset({Status.COMPLETED})}, ["b", "a%1"]),
        ({"statuses": frozenset({Status.FAILED, Status.RUNNING})}, ["a", "a_1"]),
        ({"statuses": frozenset()}, []),
        ({"created_from": later(2)}, ["a_1", "a%1", "ä'1"]),
        ({"created_to": later(2)}, ["a", "b"]),
        ({"created_from": later(2), "created_to": later(4)}, ["a_1", "a%1"]),
        ({"instance_id_prefix": "a"}, ["a", "a_1", "a%1"]),
        ({"instance_id_prefix": "a%"}, ["a%1"]),
        ({"instance_id_prefix": "a_"}, ["a_1"]),
        ({"instance_id_prefix": "ä'"}, ["ä'1"]),
        ({"instance_id_prefix": "A"}, []),
        ({"instance_id_prefix": "'; DROP TABLE instances; --"}, []),
        ({"instance_id_prefix": "\ud800"}, []),
        ({"instance_id_prefix": ""}, ["a", "b", "a_1", "a%1", "ä'1"]),
        (
            {"instance_id_prefix": "a", "statuses": frozenset({Status.COMPLETED})},
            ["a%1"],
        ),
    ],
)
def test_all_conditions_hold(filled, conditions, found):
    page = filled.query(InstanceQuery(**conditions))
    assert ids(page) == found
    assert page.continuation_token is None


@pytest.mark.parametrize(("fetch", "found"), [(True, ('"i"', "x" * 3_000)), (False, (None, None))])
def test_payloads_come_when_they_are_asked_for(filled, fetch, found):
    [item] = filled.query(InstanceQuery(instance_id_prefix="ä", fetch_payloads=fetch)).items
    assert (item.input, item.output) == found
    assert item.status is Status.TERMINATED


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6])
def test_pages_hold_every_row_once(filled, size):
    found, token, pages = [], None, 0
    while pages == 0 or token:
        page = filled.query(InstanceQuery(page_size=size, continuation_token=token))
        assert len(page.items) <= size
        found += ids(page)
        token, pages = page.continuation_token, pages + 1
    assert found == ["a", "b", "a_1", "a%1", "ä'1"]
    assert pages == -(-5 // size)


def test_pages_have_no_gaps_while_rows_come_and_go(filled):
    first = filled.query(InstanceQuery(page_size=2))
    fill(filled, row("0", created_at=NOW), row("a_0", created_at=later(2)), row("z"))
    filled.purge(["b"])
    second = filled.query(InstanceQuery(page_size=9, continuation_token=first.continuation_token))
    assert ids(first) == ["a", "b"]
    assert ids(second) == ["a_0", "a_1", "a%1", "ä'1"]


@pytest.mark.parametrize(
    "token", ["x", "x:a", ":a", "5", "--5:a", "²:a", "9" * 30 + ":a", "9" * 5_000 + ":a"]
)
def test_a_token_of_somebody_else_is_refused(filled, token):
    with pytest.raises(ValueError, match="no continuation token"):
        filled.query(InstanceQuery(continuation_token=token))


def test_children_are_found_by_their_parent(store):
    other = a_parent(instance=msgspec.structs.replace(a_parent().instance, instance_id="other"))
    fill(
        store,
        row("c2", parent=a_parent()),
        row("c1", parent=a_parent()),
        row("c3", parent=other),
        row("c4"),
    )
    assert store.children("parent-1") == ["c1", "c2"]
    assert store.children("nobody") == []


# -- purge ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "limit", "found"),
    [
        (PurgeFilter(), 10, ["a", "b", "a%1", "ä'1"]),
        (PurgeFilter(), 2, ["a", "b"]),
        (PurgeFilter(statuses=frozenset({Status.COMPLETED, Status.RUNNING})), 9, ["b", "a%1"]),
        (PurgeFilter(statuses=frozenset({Status.RUNNING})), 9, []),
        (PurgeFilter(created_from=later(2)), 9, ["a%1", "ä'1"]),
        (PurgeFilter(created_to=later(2)), 9, ["a", "b"]),
    ],
)
def test_only_what_has_ended_can_be_purged(filled, which, limit, found):
    assert filled.select_purgeable(which, limit) == found


def test_a_purge_leaves_nothing_behind(store):
    message = a_message(RAISED)
    fill(store, row("order-1", input="x" * 3_000), row("order-2"))
    post(store, message)
    touched = a_row(revision=1, history_count=1)
    store.commit([Decision("order-1", touched, history=(STARTED,))])
    assert store.purge(["order-1", "nobody", "order-1"]) == 1
    assert store.load("order-1") is None
    assert store.read_history("order-1", None) == []
    assert store.due((EPOCH, 0), FAR, 9) == []
    assert ids(store.query(InstanceQuery())) == ["order-2"]
    # The id can be used again, and nothing of the old one shows.
    fill(store, row("order-1"))
    assert store.load("order-1").messages == ()
    assert store.load("order-1").instance.input == '"in"'


def test_a_purge_of_nothing(store):
    assert store.purge([]) == 0


# -- other threads --------------------------------------------------------------------------------


def test_other_threads_read_whole_commits_only(store):
    fill(store, row("a"), row("b"))
    torn: list[Any] = []
    done = threading.Event()

    def read():
        while not done.is_set():
            page = store.query(InstanceQuery())
            statuses = {item.custom_status for item in page.items}
            lengths = len(store.read_history("a", None))
            if len(statuses) != 1 or lengths % 3:
                torn.append((statuses, lengths))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        rows = [
            a_row(
                instance_id=i,
                revision=turn + 1,
                history_count=3 * (turn + 1),
                custom_status=str(turn),
            )
            for i in ("a", "b")
        ]
        history = (STARTED, RAISED, RAISED)
        group = [Decision(r.instance_id, r, RowChange.TOUCH, turn, history) for r in rows]
        assert store.commit(group) == [None, None]
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert len(store.read_history("a", None)) == 180
