"""Entities on a real host: signals from everywhere, and accidents that others must not feel."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import WEBHOOK, Host, HostDiedError, Reply, copy_app, eventually

ENTITY_APP = Path(__file__).parent / "entity_app"
LEDGERS = [f"l{number}" for number in range(50)]
SENDERS, SIGNALS_EACH = 100, 100
# The hub's own number; the last of these attempts is what the tests wait for.
ATTEMPTS = 10


@pytest.fixture
def entity_host(tmp_path: Path, new_host: Callable[..., Host]) -> Host:
    return new_host(copy_app(tmp_path / "app", ENTITY_APP)).start()


def ledger(host: Host, key: str) -> list[Any]:
    reply = host.get(f"{WEBHOOK}/entities/ledger/{key}")
    entries: list[Any] = reply.json if reply.status == 200 else []
    return entries


def signal(host: Host, key: str, operation: str, value: Any = None) -> None:
    url = f"{WEBHOOK}/entities/ledger/{key}?op={operation}"
    assert host.post(url, value).status == 202


def start(host: Host, name: str, instance_id: str, value: Any) -> None:
    assert host.post(f"/api/start/{name}/{instance_id}", value).status == 202


def orphaned_locks(host: Host) -> int:
    cleaned: dict[str, int] = host.post(f"{WEBHOOK}/entities?op=clean").json
    return cleaned["orphanedLocksReleased"]


def is_over(host: Host, instance_id: str, number: int) -> bool:
    """Start the host, use another entity, and see whether the orchestration has its end."""
    with contextlib.suppress(OSError, HTTPException, HostDiedError):
        host.start()
        signal(host, "good", "note", ["beside", number])
        return bool(host.finished(instance_id)["runtimeStatus"] == "Completed")
    host.wait()
    return False


def stays(host: Host) -> bool:
    """Start the host, and see whether the last signal to the bad ledger is applied."""
    with contextlib.suppress(OSError, HTTPException, HostDiedError):
        host.start()
        eventually(lambda: ["signal", 3] in ledger(host, "bad"), "the last signal")
        return True
    host.wait()
    return False


# -- signals --------------------------------------------------------------------------------------


def test_ten_thousand_signals_are_applied_once_and_in_order(entity_host: Host) -> None:
    # Given a hundred senders, every other one an orchestration and the rest clients.
    host = entity_host
    refused: list[Reply] = []

    def ask(sender: int) -> None:
        by_client = f"/api/send/{sender}/{SIGNALS_EACH}"
        by_orchestration = f"/api/start/send/sender{sender}"
        if sender % 2:
            reply = host.post(by_orchestration, [sender, SIGNALS_EACH])
        else:
            reply = host.post(by_client)
        if reply.status != 202:
            refused.append(reply)

    # When all of them send at once, a hundred signals each, to fifty entities.
    threads = [threading.Thread(target=ask, args=(sender,)) for sender in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == [], host.output()[-4000:]
    seen: dict[str, list[Any]] = {}

    def all_arrived() -> bool:
        seen.update((key, ledger(host, key)) for key in LEDGERS if len(seen.get(key, ())) < 200)
        return sum(map(len, seen.values())) >= SENDERS * SIGNALS_EACH

    eventually(all_arrived, "the last signal", 30.0)

    # Then each of them was applied once, and those of a sender in the order of their numbers.
    of_sender: dict[tuple[str, int], list[int]] = defaultdict(list)
    for key, entries in seen.items():
        for sender, number in entries:
            of_sender[key, sender].append(number)
    assert of_sender == {
        (f"l{sender % 5 * 10 + first}", sender): list(range(first, SIGNALS_EACH, 10))
        for sender in range(SENDERS)
        for first in range(10)
    }
    assert host.stop() == 0


# -- accidents ------------------------------------------------------------------------------------


def test_a_failure_in_a_critical_section_holds_up_nobody(entity_host: Host) -> None:
    start(entity_host, "fail_inside", "failing", ["ann", "bob"])
    assert entity_host.finished("failing")["runtimeStatus"] == "Failed"
    start(entity_host, "audit", "after", ["ann", "bob"])
    assert entity_host.finished("after")["output"] == 0
    assert orphaned_locks(entity_host) == 0


def test_termination_gives_back_what_is_held_and_what_is_waited_for(entity_host: Host) -> None:
    host = entity_host
    start(host, "linger_inside", "holder", ["ann", "bob"])
    eventually(lambda: host.status("holder")["customStatus"] == "inside", "the lock")
    # One waits for the second of its accounts with the first in its hand, one only waits.
    start(host, "linger_inside", "waiter", ["abe", "bob"])
    start(host, "transfer", "patient", ["ann", "bob", 0])
    start(host, "audit", "beside", ["abe"])
    with pytest.raises(AssertionError, match="end of beside"):
        host.finished("beside", 0.5)

    host.post(f"{WEBHOOK}/instances/waiter/terminate")
    assert host.finished("beside")["output"] == 0
    assert host.status("patient")["runtimeStatus"] == "Running"
    host.post(f"{WEBHOOK}/instances/holder/terminate")
    assert host.finished("patient")["output"] == "done"
    assert orphaned_locks(host) == 0


def test_an_operation_that_ends_the_process_is_the_one_that_is_given_up(entity_host: Host) -> None:
    # Given signals before and after it in one batch, which has to wait for the first.
    host = entity_host
    signal(host, "bad", "rest", 0.5)
    for number, operation in enumerate(("note", "note", "leave", "note")):
        signal(host, "bad", operation, ["signal", number] if operation == "note" else None)
    host.wait()

    # When the host comes again until it stays, then only this operation has been lost.
    deaths = 1
    while not stays(host):
        deaths += 1
        assert deaths < 2 * ATTEMPTS
    assert ledger(host, "bad") == [["signal", number] for number in (0, 1, 3)]
    assert "Operation 'leave' of entity @ledger@bad was given up" in host.output()


def test_an_operation_that_ends_the_process_fails_alone(entity_host: Host) -> None:
    # Given an operation that the process does not survive, amid others, and one that waits for it.
    host = entity_host
    signal(host, "bad", "rest", 0.5)
    for each in (["a", 1], ["b", 2]):
        signal(host, "bad", "note", each)
    start(host, "leave_inside", "leaver", ["bad", "held"])
    signal(host, "bad", "note", ["c", 3])
    start(host, "audit", "blocked", ["held", "free"])
    host.wait()

    # When the host comes again and again, then others are served,
    deaths = 1
    while not is_over(host, "leaver", deaths):
        deaths += 1
        assert deaths < 2 * ATTEMPTS
    assert deaths > ATTEMPTS

    # and only this operation fails in the end, the lock is given back, and nothing is lost.
    assert host.finished("leaver")["output"] == "PoisonedOperation"
    assert host.finished("blocked")["output"] == 0
    assert ledger(host, "bad") == [["a", 1], ["b", 2], ["c", 3]]
    assert [["beside", deaths]] == ledger(host, "good")[-1:]
    assert orphaned_locks(host) == 0
