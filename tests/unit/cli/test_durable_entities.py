"""`func durable ...` for entities, on the database file, where no host runs."""

import asyncio
import json

import pytest

from durable_app.cli.main import main
from durable_app.clock import SystemClock
from durable_app.entity_id import EntityId
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.sqlite import SqliteStore
from tests.unit.cli.rig import make_hub, write_app
from tests.unit.client.entity_rig import Keeper, eventually, settled

COUNTER = ("--name", "Counter", "--key", "a/b")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("DURABLE_APP_STORE", "DURABLE_APP_HUB"):
        monkeypatch.delenv(name, raising=False)
    write_app(tmp_path)
    make_hub(tmp_path / ".durable" / "default.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def let_run(folder, *keys, settle=(), empty=()):
    """Give these their key as a state, and run what waits for the others until it is done."""

    async def run():
        store = SqliteStore(folder / ".durable" / "default.db", "default")
        hub = TaskHub(store, HubOptions(name="default"), SystemClock())
        hub.open()
        Keeper(hub)
        try:
            for key in keys:
                await hub.signal(f"@counter@{key}", "set", json.dumps(key))
            await settled(hub, *(EntityId("counter", key) for key in (*keys, *settle)))
            await eventually(lambda: are_empty(hub))
        finally:
            await hub.stop()

    async def are_empty(hub):
        return not any([await hub.get_entity(f"@counter@{key}") for key in empty])

    asyncio.run(run())


def test_a_signal_is_stored_and_runs_later(func, folder):
    told = func("signal-entity", *COUNTER, "--operation", "set", "--input", '{"n": 1}')
    assert told == "Signaled 'set' to entity '@Counter@a/b'.\n"
    let_run(folder, settle=["a/b"])
    assert func("read-entity", *COUNTER) == '{\n  "n": 1\n}\n'
    assert json.loads(func("read-entity", *COUNTER, "--json")) == {
        "entityId": {"name": "Counter", "key": "a/b"},
        "state": {"n": 1},
    }


def test_a_signal_without_a_host_says_that_it_goes_on_later(folder, capsys):
    arguments = ("--operation", "say", "--json")
    assert main(["durable", "signal-entity", *COUNTER, *arguments]) == 0
    told = capsys.readouterr()
    assert "No host runs: this is stored" in told.err
    assert json.loads(told.out) == {
        "entityId": {"name": "Counter", "key": "a/b"},
        "operation": "say",
    }


def test_an_entity_without_a_state_is_named(refused):
    assert refused("read-entity", *COUNTER) == ("Could not find an entity with id '@Counter@a/b'\n")


def test_a_key_that_no_entity_can_have_is_refused(refused):
    told = refused("signal-entity", "--name", "c", "--key", "$", "--operation", "x")
    assert told == "'$' cannot be the key of an entity.\n"


def test_a_name_that_no_entity_can_have_is_refused(refused):
    told = refused("signal-entity", "--name", "c@d", "--key", "k", "--operation", "x")
    assert "has no '@'" in told


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("read-entity", "--name", "c"), "--key"),
        (("read-entity", "--name", "", "--key", "k"), "it must not be empty"),
        (("signal-entity", "--name", "c", "--key", "k"), "--operation"),
        (("signal-entity", *COUNTER, "--operation", "x", "--input", "Ada"), "needs its quotes"),
        (("get-entities", "--modified-after", "yesterday"), "no time such as"),
    ],
)
def test_options_that_make_no_sense(refused, arguments, reason):
    assert reason in refused(*arguments, code=3)


def test_entities_are_listed_a_page_at_a_time(func, folder):
    let_run(folder, "a", "b", "c")
    first = json.loads(func("get-entities", "--top", "2", "--show-state", "--json"))
    assert [row["state"] for row in first["entities"]] == ["a", "b"]
    token = first["continuationToken"]
    assert f"Continuation token for next set of results: '{token}'" in func(
        "get-entities", "--top", "2"
    )
    rest = json.loads(func("get-entities", "--continuation-token", token, "--json"))
    assert [row["entityId"]["key"] for row in rest["entities"]] == ["c"]
    assert rest["continuationToken"] is None


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ((), 2),
        (("--name", "COUNTER"), 2),
        (("--name", "other"), 0),
        (("--modified-after", "2020-01-01"), 2),
        (("--modified-before", "2020-01-01"), 0),
    ],
)
def test_entities_are_filtered_by_name_and_time(func, folder, filters, count):
    let_run(folder, "a", "b")
    rows = json.loads(func("get-entities", *filters))
    assert len(rows) == count
    assert all(set(row) == {"entityId", "lastOperationTime"} for row in rows)


def test_what_is_left_of_empty_entities_is_cleaned_away(func, folder):
    let_run(folder, "a")
    func("signal-entity", "--name", "counter", "--key", "a", "--operation", "delete")
    let_run(folder, "b", empty=["a"])
    kept = json.loads(func("clean-entities", "--keep-empty", "--keep-locks", "--json"))
    assert kept == {"emptyEntitiesRemoved": 0, "orphanedLocksReleased": 0}
    told = func("clean-entities")
    assert told == "Empty entities removed: 1\nOrphaned locks released: 0\n"
