"""Threads that read an SQLite store at the same time."""

from __future__ import annotations

import threading

from durable_app.ports import InstanceQuery
from durable_app.storage import sqlite_query, sqlite_readers
from durable_app.storage.sqlite import SqliteStore
from durable_app.taskhub.instance import Decision, RowChange
from tests.unit.taskhub.builders import a_pending_row

TIMEOUT_S = 10


def test_a_long_query_holds_up_nobody_who_reads_a_history(tmp_path, monkeypatch):
    """The owner of the hub reads histories: a page of a million rows must not stop it."""
    began, may_end, done = threading.Event(), threading.Event(), threading.Event()
    original = sqlite_query.query_page

    def long_query(*arguments):
        began.set()
        assert may_end.wait(TIMEOUT_S)
        page = original(*arguments)
        done.set()
        return page

    monkeypatch.setattr(sqlite_readers, "query_page", long_query)
    store = SqliteStore(tmp_path / "hub.db", "default")
    store.open()
    row = a_pending_row()
    store.commit([Decision(row.instance_id, row, RowChange.INSERT)])
    reader = threading.Thread(target=store.query, args=(InstanceQuery(),))
    reader.start()
    assert began.wait(TIMEOUT_S)
    history = threading.Thread(target=store.read_history, args=(row.instance_id, None))
    history.start()
    history.join(TIMEOUT_S / 5)
    assert not history.is_alive()
    assert not done.is_set()
    may_end.set()
    reader.join(TIMEOUT_S)
    assert done.is_set()
    store.close()
