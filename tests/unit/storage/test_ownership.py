"""Who uses a database file."""

import os
import threading

import pytest

from durable_app.errors import ConfigError
from durable_app.storage.ownership import FileOwnership, HostMark, Owner, lock_path, owner_of


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


def test_a_host_without_a_file_is_found_and_leaves_no_trace(tmp_path):
    place = tmp_path / ".durable" / "hub.memory"
    mark = HostMark(place)
    mark.announce("http://localhost:7071")
    assert owner_of(place) == Owner(os.getpid(), "http://localhost:7071")
    mark.remove()
    mark.remove()
    assert owner_of(place) is None
    assert list(tmp_path.iterdir()) == []


def test_of_two_hosts_without_a_file_the_first_one_is_found(tmp_path):
    first, second = HostMark(tmp_path / "hub.memory"), HostMark(tmp_path / "hub.memory")
    first.announce("http://localhost:1")
    second.announce("http://localhost:2")
    second.remove()
    assert owner_of(tmp_path / "hub.memory") == Owner(os.getpid(), "http://localhost:1")
    first.remove()


def test_what_else_is_in_the_folder_of_a_mark_stays(tmp_path):
    (tmp_path / "hub.db").touch()
    mark = HostMark(tmp_path / "hub.memory")
    mark.announce("http://localhost:7071")
    mark.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["hub.db"]


def test_a_mark_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "file").touch()
    mark = HostMark(tmp_path / "file" / "hub.memory")
    mark.announce("http://localhost:7071")
    mark.remove()
    assert owner_of(tmp_path / "file" / "hub.memory") is None
