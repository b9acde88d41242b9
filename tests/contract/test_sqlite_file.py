"""One SQLite file: who owns it, what is refused, what survives."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_app.errors import ConfigError, LeaseLostError, StoreCorruptError, StoreUnavailableError
from durable_app.ports import InstanceQuery, Mark
from durable_app.protocol import OrchestratorStarted
from durable_app.storage import sqlite_file
from durable_app.storage.migrations import MIGRATIONS
from durable_app.storage.sqlite import SqliteStore
from durable_app.taskhub.instance import Decision, RowChange, TaskKey
from tests.unit.taskhub.builders import NOW, a_message, a_pending_row, a_row, a_task

ROOT = Path(__file__).resolve().parents[2]
STARTED = OrchestratorStarted(timestamp=NOW)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hub.db"


@pytest.fixture
def opened(path):
    """Opens stores on the file and closes them when the test is over."""
    stores: list[SqliteStore] = []

    def open_store(where: Path = path) -> SqliteStore:
        stores.append(SqliteStore(where, "default"))
        stores[-1].open()
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def insert(instance_id: str, **changes) -> Decision:
    return Decision(
        instance_id, a_pending_row(instance_id=instance_id, **changes), RowChange.INSERT
    )


def run_sql(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [row for statement in statements for row in connection.execute(statement)]


def child(code: str, path: Path) -> subprocess.Popen[str]:
    """A process that runs ``code`` with an open ``store`` and says when it has."""
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from durable_app.storage.sqlite import SqliteStore
        from tests.contract.test_sqlite_file import *
        store = SqliteStore(Path(sys.argv[1]), "default")
    """) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def killed(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


OWNER = """
    store.open()
    store.commit([insert("a")])
    store.file.ownership.announce("http://localhost:7071")
    print("ready", flush=True)
    sys.stdin.read()
"""

# -- ownership ------------------------------------------------------------------------------------


def test_a_second_owner_is_told_who_has_it_until_that_one_is_killed(path, opened):
    owner = child(OWNER, path)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    with pytest.raises(ConfigError, match=rf"process {owner.pid} \(http://localhost:7071\)"):
        opened()
    killed(owner)
    store = opened()
    assert store.load("a") is not None


def test_the_owner_of_the_same_process_is_named_too(opened):
    opened()
    with pytest.raises(ConfigError, match=rf"hub\.db' is in use by process {os.getpid()}\."):
        opened()


def test_a_lock_file_without_a_name_is_no_mystery(path, opened):
    store = opened()
    for text in ("", "no json", "[]", '{"url": null}'):
        store.file.ownership.path.write_text(text)
        with pytest.raises(ConfigError, match="in use by another process"):
            opened()


def test_a_refused_owner_does_not_harm_the_other_one(path, opened):
    store = opened()
    with pytest.raises(ConfigError):
        opened()
    assert store.commit([insert("a")]) == [None]
    lock = json.loads(store.file.ownership.path.read_text())
    assert lock == {"pid": os.getpid(), "url": None}


def test_a_closed_store_gives_its_file_up(path, opened):
    opened().close()
    opened().close()
    assert path.with_name("hub.db.lock").read_text() == ""


def test_without_ownership_nothing_is_announced(path):
    ownership = SqliteStore(path, "default").file.ownership
    ownership.announce("http://localhost:7071")
    ownership.release()
    assert not ownership.path.exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.load("a"),
        lambda s: s.read_history("a", None),
        lambda s: s.query(InstanceQuery()),
        lambda s: s.commit([insert("a")]),
        lambda s: s.tasks(TaskKey(0), 1),
        lambda s: s.purge(["a"]),
        lambda s: s.mark(Mark.TASK, [1]),
    ],
)
def test_a_closed_store_says_so(opened, call):
    store = opened()
    store.close()
    with pytest.raises(StoreUnavailableError, match="is not open"):
        call(store)


# -- files that are refused -----------------------------------------------------------------------


def test_a_newer_schema_is_refused(path, opened):
    opened().close()
    run_sql(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreCorruptError, match=r"schema 99.*newer version.*Upgrade"):
        opened()
    run_sql(path, f"PRAGMA user_version = {len(MIGRATIONS)}")
    opened()


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE theirs (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"],
)
def test_a_database_of_another_program_is_left_as_it_is(path, opened, statement):
    run_sql(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError, match="database of another program"):
        opened()
    assert path.read_bytes() == before
    assert run_sql(path, "PRAGMA journal_mode") == [("delete",)]


def test_what_is_no_database_is_refused(path, opened):
    path.write_text("this is a diary, not a database\n" * 100)
    with pytest.raises(StoreCorruptError, match=r"damaged or is no database.*Restore"):
        opened()
    assert path.read_text().startswith("this is a diary")


def filled(opened) -> None:
    store = opened()
    decisions = [insert(f"order-{n}", input="x" * 1_500) for n in range(400)]
    assert not any(store.commit(decisions))
    store.close()


def read_all(store: SqliteStore) -> None:
    for n in range(400):
        store.load(f"order-{n}")
    store.query(InstanceQuery(page_size=1_000, fetch_payloads=True))


def test_a_damaged_page_is_named(path, opened):
    filled(opened)
    damaged = bytearray(path.read_bytes())
    for page in range(10, len(damaged) // 4_096):
        damaged[page * 4_096 : page * 4_096 + 512] = b"\xff" * 512
    path.write_bytes(damaged)
    with pytest.raises(StoreCorruptError, match=re.escape(str(path))):
        read_all(opened())


def test_a_truncated_file_is_named(path, opened):
    filled(opened)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreCorruptError, match="damaged"):
        read_all(opened())


@pytest.mark.parametrize(
    ("damage", "read"),
    [
        ("UPDATE history SET events = x'c1'", lambda s: s.read_history("a", None)),
        ("UPDATE instances SET details = x'93'", lambda s: s.load("a")),
        ("UPDATE instances SET details = x'93'", lambda s: s.query(InstanceQuery())),
        ("UPDATE tasks SET body = x''", lambda s: s.tasks(TaskKey(0), 1)),
    ],
)
def test_a_row_that_cannot_be_read_is_named(path, opened, damage, read):
    store = opened()
    store.commit([insert("a")])
    touched = a_row(instance_id="a", revision=1, history_count=1)
    store.commit([Decision("a", touched, RowChange.TOUCH, 0, (STARTED,), tasks=(a_task(),))])
    store.close()
    run_sql(path, damage)
    with pytest.raises(StoreCorruptError, match="a row that this version cannot read"):
        read(opened())


# -- places that cannot be written ----------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() == 0, reason="uid 0 may write into read-only folders")
def test_a_read_only_folder(tmp_path, opened):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreUnavailableError, match=r"cannot be written.*--store"):
        opened(folder / "hub.db")


def test_a_folder_that_is_a_file(tmp_path, opened):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match=r"cannot be (created|written).*--store"):
        opened(tmp_path / "file" / "hub.db")
    with pytest.raises(StoreUnavailableError, match=r"cannot be created.*--store"):
        opened(tmp_path / "file" / "deeper" / "hub.db")


def test_a_file_that_is_a_folder(path, opened):
    path.mkdir()
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        opened()


def test_folders_are_made(tmp_path, opened):
    store = opened(tmp_path / "a" / "b" / "hub.db")
    assert store.commit([insert("a")]) == [None]


# -- a full disk ----------------------------------------------------------------------------------


def limit_pages(store: SqliteStore, spare: int | None) -> None:
    assert store._writer is not None
    (used,) = store._writer.execute("PRAGMA page_count").fetchone()
    limit = 2**30 if spare is None else used + spare
    store._writer.execute(f"PRAGMA max_page_count = {limit}")


def test_a_full_disk_writes_nothing_by_halves_and_can_be_mended(opened):
    store = opened()
    store.commit([insert("a"), Decision("a", tasks=(a_task(),))])
    limit_pages(store, 3)
    group = [insert(f"order-{n}", input="x" * 1_900) for n in range(50)]
    touched = a_row(instance_id="a", revision=1, history_count=1)
    group.insert(0, Decision("a", touched, RowChange.TOUCH, 0, (STARTED,)))
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"full; free some space"):
            store.commit(group)
    assert [i.instance_id for i in store.query(InstanceQuery()).items] == ["a"]
    assert store.read_history("a", None) == []
    # What needs no room still works.
    store.mark(Mark.TASK, [10])
    limit_pages(store, None)
    assert store.commit(group) == [None] * 51
    assert store.read_history("a", None) == [STARTED]


def test_a_full_disk_hides_no_bad_decision(opened):
    store = opened()
    store.commit([insert("a")])
    limit_pages(store, 3)
    group = [insert("a"), *(insert(f"order-{n}", input="x" * 1_900) for n in range(50))]
    with pytest.raises(StoreUnavailableError):
        store.commit(group)
    limit_pages(store, None)
    outcomes = store.commit(group)
    assert outcomes[0] is not None
    assert outcomes[1:] == [None] * 50


def test_rows_that_somebody_else_has_written_are_refused(opened):
    store = opened()
    message = a_message(STARTED, instance_id="a")
    outcomes = store.commit([Decision("a", messages=(message,))] * 2)
    assert [type(error) for error in outcomes] == [type(None), LeaseLostError]


# -- crashes --------------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_a_kill(path, opened):
    writer = child(
        """
        store.open()
        for n in range(100_000):
            assert store.commit([insert(f"order-{n}"), insert(f"twin-{n}")]) == [None, None]
            print(n, flush=True)
        """,
        path,
    )
    assert writer.stdout is not None
    for _ in range(50):
        acknowledged = int(writer.stdout.readline())
    killed(writer)
    store = opened()
    found = {i.instance_id for i in store.query(InstanceQuery(page_size=1_000)).items}
    assert {f"order-{n}" for n in range(acknowledged + 1)} <= found
    # A group is there as a whole or not at all.
    assert {i.replace("twin", "order") for i in found if i.startswith("twin")} == {
        i for i in found if i.startswith("order")
    }


# -- migrations -----------------------------------------------------------------------------------

SECOND = "CREATE TABLE second (x)"


def schema_of(path: Path) -> tuple[int, set[str]]:
    [(version,)] = run_sql(path, "PRAGMA user_version")
    return version, {name for (name,) in run_sql(path, "SELECT name FROM sqlite_schema")}


def test_an_empty_file_gets_the_schema(path, opened):
    path.touch()
    assert opened().commit([insert("a")]) == [None]
    version, tables = schema_of(path)
    assert version == len(MIGRATIONS)
    assert {"hubs", "instances", "history", "messages", "tasks", "payloads"} <= tables


def test_an_older_schema_goes_forward_and_keeps_its_rows(path, opened, monkeypatch):
    store = opened()
    store.commit([insert("a")])
    store.close()
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*MIGRATIONS, SECOND))
    assert opened().load("a") is not None
    version, tables = schema_of(path)
    assert version == len(MIGRATIONS) + 1
    assert "second" in tables


def test_a_migration_that_fails_changes_nothing(path, opened, monkeypatch):
    opened().close()
    before = schema_of(path)
    with monkeypatch.context() as patched:
        broken = f"{SECOND}; CREATE TABLE second (x)"
        patched.setattr(sqlite_file, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(StoreUnavailableError, match="already exists"):
            opened()
    assert schema_of(path) == before
    assert opened().commit([insert("a")]) == [None]


class Deadly(tuple[Any, ...]):
    """Migrations whose process dies after the first."""

    def __getitem__(self, _key):
        yield MIGRATIONS[0]
        os.kill(os.getpid(), signal.SIGKILL)


def test_after_a_crash_between_two_migrations_the_rest_follows(path, opened, monkeypatch):
    dying = child("sqlite_file.MIGRATIONS = Deadly((1, 2)); store.open()", path)
    dying.communicate()
    assert dying.returncode == -signal.SIGKILL
    assert schema_of(path)[0] == 1
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*MIGRATIONS, SECOND))
    assert opened().commit([insert("a")]) == [None]
    assert schema_of(path)[0] == len(MIGRATIONS) + 1
