"""No statement of the hot path walks through all rows of a hub."""

from __future__ import annotations

import sqlite3

import pytest

from durable_app.storage import sql
from durable_app.storage.migrations import MIGRATIONS

STATEMENTS = {
    name: text
    for name, text in vars(sql).items()
    if name.isupper()
    and isinstance(text, str)
    and text.startswith(("SELECT ", "UPDATE ", "DELETE "))
    and name != "HUB_NAMES"  # a file holds a few
}


@pytest.fixture(scope="module")
def database():
    connection = sqlite3.connect(":memory:")
    for script in MIGRATIONS:
        connection.executescript(script)
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", [1] * statement.count("?"))
    return [row[3] for row in rows]


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_searches_by_more_than_the_hub(database, name):
    steps = plan(database, STATEMENTS[name])
    searches = [step for step in steps if step.startswith(("SEARCH", "SCAN"))]
    assert len(searches) == 1
    is_narrow = "(hub=?)" not in searches[0] or "_tried" in searches[0]
    assert searches[0].startswith("SEARCH")
    assert is_narrow, searches


def test_there_are_statements_to_look_at():
    assert {"LOAD_MESSAGES", "COUNT_LOST_TURNS", "DUE_MESSAGES"} <= STATEMENTS.keys()
