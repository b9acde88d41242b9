"""What is done to a database file while no hub runs on it."""

import pytest

from durable_app.errors import ConfigError, StoreUnavailableError
from durable_app.storage.ownership import FileOwnership
from durable_app.storage.sqlite_file import SqliteFile
from durable_app.storage.upkeep import delete_hub, hub_names
from tests.unit.cli.rig import make_hub


@pytest.fixture
def database(tmp_path):
    make_hub(tmp_path / "hub.db", "b")
    return make_hub(tmp_path / "hub.db", "a")


def test_the_hubs_of_a_file_are_listed(database):
    assert hub_names(database) == ["a", "b"]


def test_a_hub_goes_and_its_neighbour_stays(database):
    assert delete_hub(database, "a")
    assert hub_names(database) == ["b"]


def test_the_last_hub_takes_the_file_with_it(database):
    delete_hub(database, "a")
    delete_hub(database, "b")
    assert list(database.parent.iterdir()) == []


def test_a_hub_that_is_not_there_is_not_deleted(database):
    assert not delete_hub(database, "c")
    assert database.exists()


def test_a_file_in_use_is_left_alone(database):
    owner = FileOwnership(database)
    owner.take()
    with pytest.raises(ConfigError, match="in use"):
        delete_hub(database, "a")
    owner.release()
    assert hub_names(database) == ["a", "b"]


def test_rows_that_cannot_be_deleted_all_stay(database):
    file = SqliteFile(database)
    file.open().execute(
        "CREATE TRIGGER refuse BEFORE DELETE ON hubs BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    file.close()
    with pytest.raises(StoreUnavailableError):
        delete_hub(database, "a")
    assert hub_names(database) == ["a", "b"]
