"""Searching instances: filters and keyset paging."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from durable_app.ports import (
    EntityPage,
    EntityQuery,
    IdPage,
    IdQuery,
    InstanceQuery,
    Page,
    PurgeFilter,
)
from durable_app.protocol import TERMINAL
from durable_app.storage import records, sql
from durable_app.taskhub.entity_rows import ENTITY_MARK

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from durable_app.taskhub.instance import Instance


_MOMENT: Final = re.compile("-?[0-9]{1,18}")


def query_page(
    reader: sqlite3.Connection,
    hub: int,
    query: InstanceQuery,
    with_payloads: Callable[[Instance, Iterable[tuple[int, str]]], Instance],
) -> Page:
    """One page; the token names the last row of the page before.

    Raises:
        ValueError: the token is none of ours.
    """
    conditions, values = _conditions(
        "created_at", query.created_from, query.created_to, query.statuses
    )
    if query.instance_id_prefix:
        # substr, not LIKE: the prefix may hold wildcards.
        conditions.append("substr(instance_id, 1, ?) = ?")
        values += [len(query.instance_id_prefix), query.instance_id_prefix]
    if query.continuation_token:
        conditions.append("(created_at, instance_id) > (?, ?)")
        values += parse_token(query.continuation_token)
    where = " AND ".join(["hub = ?", "entity IS NULL", *conditions])
    statement = (
        f"SELECT {sql.INSTANCE_COLUMNS} FROM instances WHERE {where}"
        " ORDER BY created_at, instance_id LIMIT ?"
    )
    rows = reader.execute(statement, (hub, *values, query.page_size + 1)).fetchall()
    found = []
    for row in rows[: query.page_size]:
        instance, spilled = records.instance_of(row)
        if spilled and query.fetch_payloads:
            payloads = reader.execute(sql.LOAD_PAYLOADS, (hub, instance.instance_id))
            instance = with_payloads(instance, payloads)
        found.append(instance)
    token = make_token(found[-1]) if len(rows) > query.page_size else None
    states = tuple(i.state(fetch_payloads=query.fetch_payloads) for i in found)
    return Page(states, token)


def id_page(reader: sqlite3.Connection, hub: int, query: IdQuery) -> IdPage:
    """One page of ids of ended instances; the token names the last row of the page before.

    Raises:
        ValueError: the token is none of ours.
    """
    if query.statuses is not None and not query.statuses:
        return IdPage(())  # sqlite has no plan for an index and an empty list
    conditions, values = _conditions(
        "completed_at", query.completed_from, query.completed_to, query.statuses
    )
    if query.continuation_token:
        conditions.append("(completed_at, instance_id) > (?, ?)")
        values += parse_token(query.continuation_token)
    where = " AND ".join(["hub = ?", "entity IS NULL", "completed_at IS NOT NULL", *conditions])
    statement = (
        "SELECT completed_at, instance_id FROM instances INDEXED BY instances_by_end"
        f" WHERE {where} ORDER BY completed_at, instance_id LIMIT ?"
    )
    rows = reader.execute(statement, (hub, *values, query.page_size + 1)).fetchall()
    shown = rows[: query.page_size]
    token = "{}:{}".format(*shown[-1]) if len(rows) > len(shown) else None
    return IdPage(tuple(row[1] for row in shown), token)


def entity_page(reader: sqlite3.Connection, hub: int, query: EntityQuery) -> EntityPage:
    """One page of entities; the token is the id of the last row of the page before."""
    conditions = ["hub = ?", "entity IS NOT NULL", "instance_id > ?"]
    prefix = query.instance_id_prefix or ""
    # Where the ids of the prefix begin, or where the page before has ended.
    values: list[Any] = [hub, query.continuation_token or ENTITY_MARK]
    if prefix:
        conditions += ["instance_id >= ?", "substr(instance_id, 1, ?) = ?"]
        values += [prefix, len(prefix), prefix]
    times, moments = _conditions("updated_at", query.modified_from, query.modified_to)
    conditions += times
    values += moments
    if not query.include_transient:
        conditions.append("state IS NOT NULL")
    statement = (
        f"SELECT {sql.INSTANCE_COLUMNS} FROM instances WHERE {' AND '.join(conditions)}"
        " ORDER BY instance_id LIMIT ?"
    )
    rows = reader.execute(statement, (*values, query.page_size + 1)).fetchall()
    items = []
    for row in rows[: query.page_size]:
        instance = records.instance_of(row)[0]
        (backlog,) = reader.execute(sql.BACKLOG, (hub, instance.instance_id)).fetchone()
        items.append(instance.metadata(backlog, include_state=query.include_state))
    token = items[-1].instance_id if len(rows) > query.page_size else None
    return EntityPage(tuple(items), token)


def purgeable(
    connection: sqlite3.Connection, hub: int, which: PurgeFilter, limit: int
) -> list[str]:
    """Ids of terminal instances that match."""
    statuses = TERMINAL if which.statuses is None else which.statuses & TERMINAL
    conditions, values = _conditions("created_at", which.created_from, which.created_to, statuses)
    where = " AND ".join(["hub = ?", "entity IS NULL", *conditions])
    statement = (
        f"SELECT instance_id FROM instances WHERE {where} ORDER BY created_at, instance_id LIMIT ?"
    )
    return [row[0] for row in connection.execute(statement, (hub, *values, limit))]


def make_token(instance: Instance) -> str:
    """Where the next page goes on."""
    return f"{records.micros(instance.created_at)}:{instance.instance_id}"


def parse_token(token: str) -> list[Any]:
    """(created_at, instance id) from a token; ValueError where it is none."""
    moment, colon, instance_id = token.partition(":")
    if not colon or not _MOMENT.fullmatch(moment):
        raise ValueError(f"'{token[:80]}' is no continuation token of this task hub.")
    return [int(moment), instance_id]


def _conditions(
    column: str, begin: Any, end: Any, statuses: Any = None
) -> tuple[list[str], list[Any]]:
    """Conditions and their values: a time within ``begin`` (inclusive) and ``end``, a status."""
    conditions: list[str] = []
    values: list[Any] = []
    if begin is not None:
        conditions.append(f"{column} >= ?")
        values.append(records.micros(begin))
    if end is not None:
        conditions.append(f"{column} < ?")
        values.append(records.micros(end))
    if statuses is not None:
        conditions.append(f"status IN ({', '.join('?' * len(statuses))})")
        values += sorted(int(s) for s in statuses)
    return conditions, values
