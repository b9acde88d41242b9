"""Rows of entities: kept apart from orchestrations, in the order of their ids."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from durable_app.errors import InstanceExistsError, LeaseLostError
from durable_app.ports import EntityQuery, InstanceQuery, PurgeFilter
from durable_app.protocol import EntityOperationSignaled
from durable_app.taskhub.entity_rows import new_entity
from durable_app.taskhub.instance import Decision, EntityRow, Instance, LockHolder, RowChange
from tests.unit.taskhub.builders import NOW, a_message, a_pending_row, later

LOCK = LockHolder("s1", "order-1")
BIG = '"' + "ü" * 5_000 + '"'


def an_entity(instance_id: str = "@counter@a", updated: float = 0, **row: Any) -> Instance:
    return msgspec.structs.replace(
        new_entity(instance_id, NOW), entity=EntityRow(**row), updated_at=later(updated)
    )


def fill(store, *rows):
    decisions = [Decision(row.instance_id, row, RowChange.INSERT) for row in rows]
    assert store.commit(decisions) == [None] * len(rows)


def signal(instance_id: str):
    event = EntityOperationSignaled(-1, NOW, "r", "add", None, "1", instance_id)
    return a_message(event, instance_id=instance_id)


@pytest.mark.parametrize(
    "row", [{}, {"state": "0"}, {"state": BIG, "lock": LOCK}, {"lock": LOCK}, {"state": '""'}]
)
def test_a_row_comes_back_as_it_was(store, row):
    entity = an_entity(**row)
    fill(store, entity)
    assert store.load("@counter@a").instance == entity


def test_a_touch_changes_state_and_lock(store):
    fill(store, an_entity())
    rows: list[dict[str, Any]] = [{"state": BIG}, {"state": "1", "lock": LOCK}, {}]
    for revision, row in enumerate(rows):
        changed = msgspec.structs.replace(an_entity(**row), revision=revision + 1, attempts=2)
        decision = Decision("@counter@a", changed, RowChange.TOUCH, revision)
        assert store.commit([decision]) == [None]
        assert store.load("@counter@a").instance == changed


def test_a_stale_touch_loses(store):
    fill(store, an_entity())
    changed = msgspec.structs.replace(an_entity(state="1"), revision=8)
    (outcome,) = store.commit([Decision("@counter@a", changed, RowChange.TOUCH, 7)])
    assert isinstance(outcome, LeaseLostError)
    assert store.load("@counter@a").instance.entity == EntityRow()


def test_a_birth_over_an_entity_changes_nothing(store):
    fill(store, an_entity(state="1"))
    born = Decision("order-1", births=(an_entity(),), messages=(signal("@counter@a"),))
    assert store.commit([born]) == [None]
    found = store.load("@counter@a")
    assert found.instance.entity == EntityRow("1")
    assert len(found.messages) == 1


def test_an_entity_that_somebody_else_bore_first_is_inserted(store):
    # Given a commit in which a sender bears the entity before it is inserted on its own.
    by_sender = Decision("order-1", births=(an_entity(),), messages=(signal("@counter@a"),))
    row = msgspec.structs.replace(an_entity(state="1"), revision=1)
    own = Decision("@counter@a", row, RowChange.INSERT, messages=(signal("@counter@a"),))
    assert store.commit([by_sender, own]) == [None, None]
    found = store.load("@counter@a")
    assert (found.instance, len(found.messages)) == (row, 2)
    # What has been used is not replaced.
    (outcome,) = store.commit([Decision("@counter@a", an_entity(), RowChange.INSERT)])
    assert isinstance(outcome, InstanceExistsError)


def test_an_entity_is_no_orchestration(store):
    fill(store, an_entity(state="1"), a_pending_row(instance_id="order-1"))
    assert [i.instance_id for i in store.query(InstanceQuery()).items] == ["order-1"]
    assert store.select_purgeable(PurgeFilter(), 10) == []
    assert [i.instance_id for i in store.entities("", 10)] == ["@counter@a"]


@pytest.fixture
def several(store):
    fill(
        store,
        an_entity("@counter@b", 20, state="2"),
        an_entity("@counter@a", 10, state="1", lock=LOCK),
        an_entity("@counter@empty", 30),
        an_entity("@other@a", 40, state='"x"'),
        an_entity("@counter@%", 50, state="5"),
        a_pending_row(instance_id="order-1"),
    )
    return store


def ids(store, **query: Any) -> list[str]:
    return [item.instance_id for item in store.query_entities(EntityQuery(**query)).items]


def test_entities_come_in_the_order_of_their_ids(several):
    assert ids(several) == ["@counter@%", "@counter@a", "@counter@b", "@other@a"]
    assert ids(several, include_transient=True) == [
        "@counter@%",
        "@counter@a",
        "@counter@b",
        "@counter@empty",
        "@other@a",
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"instance_id_prefix": "@counter@"}, ["@counter@%", "@counter@a", "@counter@b"]),
        ({"instance_id_prefix": "@counter@%"}, ["@counter@%"]),
        ({"instance_id_prefix": "@nobody@"}, []),
        ({"instance_id_prefix": "order"}, []),
        ({"instance_id_prefix": "@\ud800"}, []),
        ({"modified_from": later(20)}, ["@counter@%", "@counter@b", "@other@a"]),
        ({"modified_to": later(20)}, ["@counter@a"]),
    ],
)
def test_conditions(several, query, found):
    assert ids(several, **query) == found


def test_a_row_shows_what_clients_may_see(several):
    assert several.commit([Decision("order-1", messages=(signal("@counter@a"),))]) == [None]
    query = EntityQuery(instance_id_prefix="@counter@a")
    (item,) = several.query_entities(query).items
    assert (item.state, item.locked_by, item.backlog) == ("1", "order-1", 1)
    assert (item.last_modified, item.exists) == (later(10), True)
    (item,) = several.query_entities(msgspec.structs.replace(query, include_state=False)).items
    assert (item.state, item.exists) == (None, True)


def test_pages_follow_each_other(several):
    found, token = [], None
    while True:
        page = several.query_entities(EntityQuery(page_size=3, continuation_token=token))
        found.append([item.instance_id for item in page.items])
        token = page.continuation_token
        if token is None:
            break
    assert found == [["@counter@%", "@counter@a", "@counter@b"], ["@other@a"]]


def test_slices_follow_each_other(several):
    first = several.entities("", 2)
    assert [i.instance_id for i in first] == ["@counter@%", "@counter@a"]
    rest = several.entities("@counter@a", 10)
    assert [i.instance_id for i in rest] == ["@counter@b", "@counter@empty", "@other@a"]
