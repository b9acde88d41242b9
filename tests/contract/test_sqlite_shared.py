"""Several task hubs in one SQLite file, at the same time."""

from __future__ import annotations

import threading

import pytest

from durable_app.errors import ConfigError
from durable_app.ports import InstanceQuery
from durable_app.storage.sqlite import SqliteStore
from durable_app.storage.sqlite_file import SqliteFile
from durable_app.taskhub.instance import Decision, RowChange
from tests.unit.taskhub.builders import a_pending_row


@pytest.fixture
def file(tmp_path):
    shared = SqliteFile(tmp_path / "hub.db")
    yield shared
    shared.close()


def opened(file, name):
    store = SqliteStore(file, name)
    store.open()
    return store


def insert(store, instance_id):
    row = a_pending_row(instance_id=instance_id)
    assert store.commit([Decision(instance_id, row, RowChange.INSERT)]) == [None]


def test_hubs_of_one_file_work_side_by_side_and_see_their_own_rows(file):
    first, second = opened(file, "first"), opened(file, "second")
    insert(first, "order-1")
    insert(second, "order-2")

    assert (first.load("order-2"), second.load("order-1")) == (None, None)
    assert file.hub_names() == ["first", "second"]


def test_the_file_is_given_up_with_the_last_store(file):
    first, second = opened(file, "first"), opened(file, "second")
    first.close()
    insert(second, "order-2")
    with pytest.raises(ConfigError, match="is in use"):
        SqliteFile(file.path).open()

    second.close()
    second.close()

    other = SqliteFile(file.path)
    other.open()
    other.close()


def test_a_store_that_was_closed_can_be_opened_again_beside_others(file):
    first, _second = opened(file, "first"), opened(file, "second")
    insert(first, "order-1")
    first.close()

    assert opened(file, "first").load("order-1") is not None


def test_writers_on_many_threads_take_turns_and_nobody_is_turned_away(file):
    stores = [opened(file, f"hub{number}") for number in range(4)]
    failures: list[BaseException] = []

    def write(store):
        try:
            for number in range(50):
                insert(store, f"i{number}")
        except BaseException as error:  # noqa: BLE001  shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=write, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [len(s.query(InstanceQuery(page_size=100)).items) for s in stores] == [50] * 4


def test_a_hub_that_was_dropped_is_no_longer_named(file):
    gone = opened(file, "gone")
    opened(file, "stays")
    gone.drop()
    gone.close()

    assert file.hub_names() == ["stays"]
