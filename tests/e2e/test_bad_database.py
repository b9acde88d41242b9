"""What machines do to a database: full disk, wrong folder, damage. A clear error, nothing lost."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import WEBHOOK, Host, eventually


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit exists on Linux alone")
def test_a_full_disk_loses_nothing(app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app).start()
    host.begin("approve_expense", {"employee": "Ada", "amount": 1}, "before")
    limit_files(host, 256 * 1024)

    refusals = [start_big(host, number) for number in range(40)]

    assert 503 in refusals
    assert set(refusals) <= {202, 503}
    assert host.post("/api/orchestrators/hello_cities").status == 503
    assert host.status("before")["name"] == "approve_expense"
    limit_files(host, resource.RLIM_INFINITY)
    for number, status in enumerate(refusals):
        if status == 202:
            assert host.finished(f"big-{number}")["output"]["total"] == 1
        else:
            assert host.get(f"{WEBHOOK}/instances/big-{number}").status == 404
    approve = f"{WEBHOOK}/instances/before/raiseEvent/Approval"
    decision = {"approved": True, "by": "Grace"}
    eventually(lambda: host.post(approve, decision).status == 202, "a database that works again")
    assert host.finished("before")["output"] == {"outcome": "Approved", "by": "Grace"}
    assert host.stop() == 0
    output = host.output()
    database = host.folder / ".durable" / "default.db"
    assert f"The database '{database}' cannot be used: the disk" in output
    assert "The database of the task hub works again" in output
    assert "Traceback" not in output


def limit_files(host: Host, size: int) -> None:
    """No file of the host may grow beyond this, as if the disk were full."""
    hard = resource.prlimit(host.pid, resource.RLIMIT_FSIZE)[1]  # type: ignore[attr-defined, unused-ignore]  # Linux only
    resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (size, hard))  # type: ignore[attr-defined, unused-ignore]  # Linux only


def start_big(host: Host, number: int) -> int:
    value = ["x" * 50_000]
    return host.post(f"{WEBHOOK}/orchestrators/count_words/big-{number}", value).status


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(app: Path, new_host: Callable[..., Host]) -> None:
    app.chmod(0o555)
    try:
        output = new_host(app).refusal()
    finally:
        app.chmod(0o755)

    assert ".durable" in output
    assert "--store" in output


def test_a_folder_for_the_database_that_is_none(app: Path, new_host: Callable[..., Host]) -> None:
    (app / ".durable").write_text("a file")

    output = new_host(app).refusal()

    assert str(app / ".durable") in output
    assert "--store" in output


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc exists on Linux alone")
def test_a_folder_that_nobody_can_write(app: Path, new_host: Callable[..., Host]) -> None:
    output = new_host(app, "--store", "sqlite:/proc/hub.db").refusal()

    assert "The database folder '/proc' cannot be written" in output
    assert "--store" in output


@pytest.mark.parametrize("damage", ["header", "pages"])
def test_a_corrupted_database(damage: str, app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app).start()
    host.run("hello_cities")
    assert host.stop() == 0
    database = app / ".durable" / "default.db"
    damaged = bytearray(database.read_bytes())
    first, end = (0, 100) if damage == "header" else (100, len(damaged))
    damaged[first:end] = b"\xa5" * (end - first)
    database.write_bytes(damaged)

    output = new_host(app).refusal()

    assert str(database) in output
    assert database.read_bytes() == bytes(damaged)


def test_a_database_that_is_damaged_while_it_is_in_use(app_host: Host) -> None:
    # Enough rows that a host does not have all pages in memory.
    for _ in range(60):
        app_host.begin("count_words", ["x " * 20_000])
    app_host.run("hello_cities")
    assert app_host.stop() == 0
    app_host.start()
    database = app_host.folder / ".durable" / "default.db"
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))

    reply = app_host.post("/api/orchestrators/hello_cities")

    assert reply.status in {500, 503}
    assert app_host.wait() == 1
    output = app_host.output()
    assert f"The database '{database}' is damaged" in output
    assert "durable_app/" not in output


def test_a_file_that_is_no_database(app: Path, new_host: Callable[..., Host]) -> None:
    database = app / ".durable" / "default.db"
    database.parent.mkdir()
    database.write_text("dear diary, " * 1000)

    assert str(database) in new_host(app).refusal()
    assert database.read_text() == "dear diary, " * 1000
