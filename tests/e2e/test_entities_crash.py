"""kill -9 amid transfers between entities: no money appears, vanishes or moves twice.

Most kills are of forked children, which are cheap; see :mod:`tests.e2e.transfers`. A few are of
whole hosts: a campaign kills one host again and again, with audits under a lock on all accounts
among the transfers, which have to find the sum that was paid in. At the end each account must have
exactly the changes of the transfers that say that they are done. DURABLE_APP_CRASH_SEED repeats one
campaign.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from tests.e2e.harness import ROOT, WEBHOOK, Host, copy_app, eventually
from tests.e2e.test_crash import leftovers, reading

ENTITY_APP = Path(__file__).parent / "entity_app"
FIRST_SEED = int(os.environ.get("DURABLE_APP_CRASH_SEED", "20260315"))
OWNERS = [f"owner{number}" for number in range(6)]
PAID_IN = 100
KILLS = 4
KILLS_OF_CHILDREN = 100
ORDERS = 6
EARLIEST_KILL_S, LATEST_KILL_S = 0.03, 0.35
# Every so often the kill comes while the host starts or recovers.
KILLS_AT_START = 0.15
SETTLE_S = 45.0

Order = tuple[str, str, Any]


class Campaign:
    """One database and its host, begun, killed and begun again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.host = Host(copy_app(folder / "app", ENTITY_APP))
        self.pending: list[list[Order]] = []  # that nobody has acknowledged
        self.transfers: dict[str, tuple[str, str, int]] = {}
        self.audits: list[str] = []
        self.kills_amid_transfers = 0

    def open_accounts(self) -> None:
        self.host.start()
        for owner in OWNERS:
            url = f"{WEBHOOK}/entities/account/{owner}?op=change"
            assert self.host.post(url, ["paid in", PAID_IN]).status == 202
        eventually(lambda: len(self.accounts()) == len(OWNERS), "the first payments")

    def round(self, number: int) -> None:
        """Order transfers and an audit amid them, kill the host at some moment."""
        if self.random.random() < KILLS_AT_START:
            self.host.kill()
            self.host.launch()
            time.sleep(self.random.uniform(0.05, 1.2))
            self.host.kill()
        if not self.host.is_running:
            self.host.start()
        for batch in range(ORDERS):
            self.pending.append([self._transfer(f"t{number}-{batch}-{n}") for n in range(5)])
        self.pending.insert(0, [self._audit(f"audit{number}")])
        driver = threading.Thread(target=self.drive, name="driver")
        driver.start()
        time.sleep(self.random.uniform(EARLIEST_KILL_S, LATEST_KILL_S))
        self.host.kill()
        driver.join()
        with reading(self.host.folder, self.folder / "copy") as store:
            rows = store.entities("", len(OWNERS))
        self.kills_amid_transfers += any(row.entity and row.entity.lock for row in rows)

    def _transfer(self, instance_id: str) -> Order:
        payer, payee = self.random.sample(OWNERS, 2)
        # Now and then an account has less than that.
        self.transfers[instance_id] = (payer, payee, self.random.randint(1, 120))
        return instance_id, "transfer", self.transfers[instance_id]

    def _audit(self, instance_id: str) -> Order:
        self.audits.append(instance_id)
        return instance_id, "audit", OWNERS

    def drive(self) -> None:
        """Send what nobody has acknowledged, in order, until all is sent or the host is dead."""
        while self.pending:
            try:
                reply = self.host.post("/api/orders", self.pending[0])
            except (URLError, HTTPException, OSError):
                return
            assert reply.status == 202, reply
            self.pending.pop(0)

    def accounts(self) -> dict[str, Any]:
        rows = self.host.get(f"{WEBHOOK}/entities/account?fetchState=true").json
        return {row["entityId"]["key"]: row["state"] for row in rows}

    def unfinished(self) -> list[Any]:
        url = f"{WEBHOOK}/instances/?runtimeStatus=Running,Pending"
        rows: list[Any] = self.host.get(url).json
        return rows

    def settle(self) -> None:
        """Let everything end; each account has what the transfers say, and no lock is left."""
        self.host.start()
        self.drive()
        assert not self.pending
        eventually(lambda: not self.unfinished(), "the end of all instances", SETTLE_S)
        outcomes = {row["instanceId"]: row for row in self.host.every_instance()}
        assert outcomes.keys() == {*self.transfers, *self.audits}
        assert {row["runtimeStatus"] for row in outcomes.values()} == {"Completed"}
        assert {outcomes[audit]["output"] for audit in self.audits} == {PAID_IN * len(OWNERS)}
        expected = {owner: Counter({("paid in", PAID_IN): 1}) for owner in OWNERS}
        for instance_id, (payer, payee, amount) in self.transfers.items():
            assert outcomes[instance_id]["output"] in {"done", "refused"}
            if outcomes[instance_id]["output"] == "done":
                expected[payer][instance_id, -amount] += 1
                expected[payee][instance_id, amount] += 1
        accounts = self.accounts()
        found = {owner: Counter(map(tuple, accounts[owner]["changes"])) for owner in OWNERS}
        assert found == expected
        assert sum(account["balance"] for account in accounts.values()) == PAID_IN * len(OWNERS)
        assert min(account["balance"] for account in accounts.values()) >= 0
        cleaned = self.host.post(f"{WEBHOOK}/entities?op=clean").json
        assert cleaned == {"emptyEntitiesRemoved": 0, "orphanedLocksReleased": 0}
        assert self.host.stop() == 0
        assert leftovers(self.host.folder) == {"messages": 0, "tasks": 0}


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_transfers_and_kills_of_children(
    tmp_path: Path, chaos_scale: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + chaos_scale):
        command = [sys.executable, "-m", "tests.e2e.transfers", str(tmp_path / str(seed))]
        options = ["--kills", str(KILLS_OF_CHILDREN), "--seed", str(seed)]
        # Forks need a process of their own: this one may have threads.
        done = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nRepeat: {command} {options}"
        if chaos_scale > 1:
            with capfd.disabled():
                print(done.stdout.splitlines()[-1], flush=True)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_transfers_and_kills(
    tmp_path: Path, chaos_scale: int, campaigns: Callable[[Path, int], Campaign]
) -> None:
    amid_transfers = 0
    for number in range(chaos_scale):
        seed = FIRST_SEED + number
        campaign = campaigns(tmp_path / str(seed), seed)
        try:
            campaign.open_accounts()
            for kill in range(KILLS):
                campaign.round(kill)
            campaign.settle()
        except Exception as error:
            error.add_note(f"Repeat with DURABLE_APP_CRASH_SEED={seed}")
            error.add_note(campaign.host.output()[-4000:])
            raise
        amid_transfers += campaign.kills_amid_transfers
    # Kills that found no lock held would prove nothing.
    assert amid_transfers >= KILLS * chaos_scale // 4


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
