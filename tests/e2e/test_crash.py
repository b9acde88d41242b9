"""kill -9 of a real host at random moments: nothing is lost, done twice or left over.

A campaign kills one host again and again, on one database, with all patterns under way. What the
database has recorded as completed at a kill must never run again; whatever was started must end
with its exact result. DURABLE_APP_CRASH_SEED repeats one campaign.

Work that kills the process itself, whatever it is, is found amid what runs beside it and given up
alone; see :mod:`tests.e2e.poison`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import pytest

from durable_app.ports import InstanceQuery
from durable_app.protocol import HistoryEvent, TaskCompleted, TaskScheduled
from durable_app.storage.sqlite import SqliteStore
from tests.e2e.harness import ROOT, WEBHOOK, Host, copy_app, eventually

CRASH_APP = Path(__file__).parent / "crash_app"
FIRST_SEED = int(os.environ.get("DURABLE_APP_CRASH_SEED", "20260214"))
KILLS = 20
# Instances of each pattern per round: sending them takes a good part of the time to the kill, and
# the last of them go on for a quarter of a second.
BATCHES = 3
LATEST_KILL_S = 0.4
# Every so often the kill comes while the host starts or recovers.
KILLS_AT_START = 0.15
SETTLE_S = 45.0

DONE = [f"done {step}" for step in range(9)]
OUTPUTS: dict[str, Any] = {
    "chain": DONE[:5],
    "fan_out": sorted(DONE[:8] * 2),
    "monitor": "seen",
    "approval": {"by": "Grace"},
    "escalation": "escalated",
    "saga": ["out of order", "uncharge", "unreserve"],
    "pipeline": 9,
    "parent": [[f"done [{child}, 1]", f"done [{child}, 2]"] for child in range(3)],
    "eternal": 5,
    "collector": [1, 2, 3],
}
EVENTS: dict[str, list[tuple[str, Any]]] = {
    "approval": [("Approval", {"by": "Grace"})],
    "collector": [("Item", n) for n in (2, 1, 3)],
}


class Call(NamedTuple):
    """One activity call of one orchestration."""

    instance_id: str
    task: str
    step: str


class Campaign:
    """One database and its host, begun, killed and begun again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.effects = folder / "effects"
        self.effects.mkdir(parents=True)
        self.host = Host(copy_app(folder / "app", CRASH_APP), env={"EFFECTS": str(self.effects)})
        self.folder = folder
        self.pending: list[tuple[str, str]] = []  # requests that nobody has acknowledged
        self.started: list[str] = []
        self.completed: dict[Call, int] = {}  # recorded as completed -> runs at that time
        self.kills_in_flight = 0

    def round(self, number: int) -> None:
        """Start one instance of each pattern, kill the host at some moment."""
        for batch in range(BATCHES):
            for pattern in OUTPUTS:
                self._plan(pattern, f"{pattern}-{number}-{batch}")
        if self.random.random() < KILLS_AT_START:
            self.host.launch()
            time.sleep(self.random.uniform(0.05, 1.2))
        else:
            self.host.start()
            driver = threading.Thread(target=self.drive, name="driver")
            driver.start()
            time.sleep(self.random.uniform(0.0, LATEST_KILL_S))
            self.host.kill()
            driver.join()
        self.host.kill()
        self.look()

    def _plan(self, pattern: str, instance_id: str) -> None:
        self.started.append(instance_id)
        self.pending.append((f"/api/start/{pattern}/{instance_id}", "null"))
        for event, value in EVENTS.get(pattern, ()):
            url = f"{WEBHOOK}/instances/{instance_id}/raiseEvent/{event}"
            self.pending.append((url, json.dumps(value)))

    def drive(self) -> None:
        """Send what nobody has acknowledged, in order, until all is sent or the host is dead."""
        while self.pending:
            url, body = self.pending[0]
            try:
                if not (url.startswith("/api/start/") and self._exists(url)):
                    reply = self.host.request("POST", url, body)
                    # 410: the event arrived before the kill, only its answer did not.
                    assert reply.status in {202, 410}, (url, reply)
            except (URLError, HTTPException, OSError):
                return
            self.pending.pop(0)

    def _exists(self, url: str) -> bool:
        instance_id = url.rsplit("/", 1)[1]
        return self.host.get(f"{WEBHOOK}/instances/{instance_id}").status != 404

    def look(self) -> None:
        """Note what the dead host's database says; nothing completed may have run since."""
        runs = self.runs()
        self.check(runs)
        with reading(self.host.folder, self.folder / "copy") as store:
            recorded, unfinished = recorded_completions(store)
        self.kills_in_flight += unfinished > 0
        for call in recorded:
            self.completed.setdefault(call, runs[call])

    def check(self, runs: Counter[Call]) -> None:
        again = {call: runs[call] for call, times in self.completed.items() if runs[call] != times}
        assert not again, f"recorded as completed, and ran again: {again}"
        assert all(self.completed.values()), "completed without having run"

    def runs(self) -> Counter[Call]:
        """How many times each call was begun."""
        found: Counter[Call] = Counter()
        for path in self.effects.iterdir():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                found[Call(entry["id"], entry["task"], json.dumps(entry["step"]))] += 1
        return found

    def settle(self) -> None:
        """Let everything end; check the results, and that nothing is left over."""
        self.host.start()
        self.drive()
        assert not self.pending
        eventually(lambda: not self.unfinished(), "the end of all instances", SETTLE_S)
        outcomes = {row["instanceId"]: row for row in self.host.every_instance()}
        for instance_id in self.started:
            status = outcomes[instance_id]
            assert status["runtimeStatus"] == "Completed", status
            assert status["output"] == OUTPUTS[status["name"]], status
        assert self.host.stop() == 0
        self.check(self.runs())
        assert leftovers(self.host.folder) == {"messages": 0, "tasks": 0}

    def unfinished(self) -> list[Any]:
        url = f"{WEBHOOK}/instances/?runtimeStatus=Running,Pending,Suspended,ContinuedAsNew"
        rows: list[Any] = self.host.get(url).json
        return rows


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_kill_at_random_moments(
    tmp_path: Path, chaos_scale: int, campaigns: Callable[[Path, int], Campaign]
) -> None:
    for number in range(chaos_scale):
        seed = FIRST_SEED + number
        campaign = campaigns(tmp_path / str(seed), seed)
        try:
            for kill in range(KILLS):
                campaign.round(kill)
            campaign.settle()
        except Exception as error:
            error.add_note(f"Repeat with DURABLE_APP_CRASH_SEED={seed}")
            error.add_note(campaign.host.output()[-4000:])
            raise
        # Kills that found nothing under way would prove nothing.
        assert campaign.kills_in_flight > KILLS // 2
        assert len(campaign.completed) > KILLS


@pytest.mark.parametrize(
    "kinds",
    [["activity"], ["call"], ["signal"], ["turn"], ["turn", "activity", "signal", "call"]],
    ids="-".join,
)
def test_only_what_kills_the_process_is_given_up(tmp_path: Path, kinds: list[str]) -> None:
    command = [sys.executable, "-m", "tests.e2e.poison", str(tmp_path / "trial"), *kinds]

    # Forks need a process of their own: this one may have threads.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture
def campaigns() -> Iterator[Callable[[Path, int], Campaign]]:
    """Makes campaigns; none of their hosts outlives the test."""
    made: list[Campaign] = []

    def make(folder: Path, seed: int) -> Campaign:
        made.append(Campaign(folder, seed))
        return made[-1]

    yield make
    for campaign in made:
        campaign.host.kill()


# -- the database of a dead host ------------------------------------------------------------------


class reading:  # noqa: N801  used as a function
    """A store over a copy of the database: looking must not change what the next host finds."""

    def __init__(self, app: Path, copy: Path) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in ("default.db", "default.db-wal"):
            if (app / ".durable" / name).exists():
                shutil.copy(app / ".durable" / name, copy)
        self._store = SqliteStore(copy / "default.db", "default")

    def __enter__(self) -> SqliteStore:
        self._store.open()
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


def recorded_completions(store: SqliteStore) -> tuple[set[Call], int]:
    """Calls with a completion in history or inbox, and the number of unfinished instances."""
    found: set[Call] = set()
    unfinished = 0
    page = store.query(InstanceQuery(page_size=1000))
    while True:
        for state in page.items:
            unfinished += not state.status.is_terminal
            stored = store.load(state.instance_id)
            history = store.read_history(state.instance_id, None)
            inbox = [message.event for message in stored.messages] if stored else []
            found |= completions([*history, *inbox])
        if page.continuation_token is None:
            return found, unfinished
        page = store.query(
            InstanceQuery(page_size=1000, continuation_token=page.continuation_token)
        )


def completions(events: list[HistoryEvent]) -> set[Call]:
    calls = {event.event_id: call_of(event) for event in events if isinstance(event, TaskScheduled)}
    ended = [event for event in events if isinstance(event, TaskCompleted)]
    return {calls[event.task_scheduled_id] for event in ended}


def call_of(event: TaskScheduled) -> Call:
    call = json.loads(event.input or "null")
    return Call(call["id"], event.name, json.dumps(call["step"]))


def leftovers(app: Path) -> dict[str, int]:
    """Rows that are left in the queues of a host that was stopped."""
    connection = sqlite3.connect(app / ".durable" / "default.db")
    try:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("messages", "tasks")
        }
    finally:
        connection.close()
