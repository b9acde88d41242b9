"""Who uses a database file."""

import os
import threading

import pytest

from durable_app.errors import ConfigError
from durable_app.storage.ownership import FileOwnership, Owner, lock_path, owner_of


@pytest.fixture
def database(tmp_path):
    return tmp_path / "hub.db"


@pytest.fixture
def owned(database):
    ownership = FileOwnership(database)
    ownership.take()
    yield ownership
    ownership.release()


def test_nobody_uses_a_file_that_was_never_used(database):
    assert owner_of(database) is None


def test_the_owner_tells_who_and_where_it_is(database, owned):
    owned.announce("http://localhost:7071")
    assert owner_of(database) == Owner(os.getpid(), "http://localhost:7071")


def test_asking_takes_nothing(database, owned):
    owner_of(database)
    owned.release()
    assert owner_of(database) is None
    owned.take()
    assert owner_of(database) == Owner(os.getpid(), None)


def test_what_a_dead_process_has_told_means_nothing(database):
    lock_path(database).write_text('{"pid": 1, "url": "http://localhost:1"}')
    assert owner_of(database) is None


@pytest.mark.parametrize("text", ["?", "[]", "{}"])
def test_an_owner_that_tells_nothing_is_one_all_the_same(database, owned, text):
    lock_path(database).write_text(text)
    assert owner_of(database) == Owner(None, None)
    with pytest.raises(ConfigError, match="in use by another process"):
        FileOwnership(database).take()


def test_a_refusal_names_the_owner(database, owned):
    owned.announce("http://localhost:7071")
    with pytest.raises(ConfigError, match=rf"process {os.getpid()} \(http://localhost:7071\)"):
        FileOwnership(database).take()


def test_a_command_that_holds_the_file_for_a_moment_is_waited_for(database, owned):
    timer = threading.Timer(0.1, owned.release)
    timer.start()
    ownership = FileOwnership(database)
    ownership.take()
    timer.join()
    assert owner_of(database) == Owner(os.getpid(), None)
    ownership.release()
