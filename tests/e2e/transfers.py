"""Transfers between accounts under locks, in children that are killed with SIGKILL.

    python -m tests.e2e.transfers FOLDER --kills 100 --seed 7

After every kill the database of the dead child is audited: nothing that was acknowledged is
missing, every change of an account belongs to one step of one transfer, what has left one account
has arrived at the other or is on its way, a lock is held only by somebody who will release it, no
row belongs to nobody, and histories resolve what they have scheduled, once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from random import Random
from typing import Any

from durable_app.ports import InstanceQuery, StartRequest
from durable_app.protocol import TERMINAL, OrchestrationStatus
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from tests.e2e.entity_app.function_app import app
from tests.e2e.forked import Child, Tell, reading
from tests.e2e.transfer_audit import Audit, Seen, check

OWNERS = [f"owner{number}" for number in range(8)]
ACCOUNTS = [f"@account@{owner}" for owner in OWNERS]
PAID_IN = 100
#: Instances that are under way at a time; each kill finds about as many.
IN_FLIGHT = 30
EARLIEST_KILL_S, LATEST_KILL_S = 0.005, 0.08
#: Every so often the kill comes while a child starts or recovers.
KILLS_AT_START = 0.1
LATEST_START_S = 0.03
SETTLE_S = 60.0
POLL_S = 0.005
PROGRESS = 25
#: Kills come faster here than any host could start: suspects need not wait as well.
OPTIONS = HubOptions(suspect_wait_s=0.0)

#: Statuses of what still runs.
UNFINISHED = frozenset(OrchestrationStatus) - TERMINAL


class Campaign:
    """One database, and children that are killed one after the other."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.folder = folder
        self.database = folder / "hub.db"
        self.acknowledged: set[str] = set()
        self.unfinished = 0
        self.kills_amid_transfers = 0
        self.audit = Audit(ACCOUNTS, PAID_IN)

    def run(self, kills: int) -> None:
        """Pay in, kill so often, let everything end."""
        self._to_the_end(pay_in)
        began = time.monotonic()
        for number in range(1, kills + 1):
            self._kill(number)
            if number % PROGRESS == 0 or number == kills:
                print(
                    f"seed {self.seed}: {number} of {kills} kills, {self.kills_amid_transfers} amid"
                    f" transfers, {self.audit.ended} instances ended,"
                    f" {time.monotonic() - began:.1f} s",
                    flush=True,
                )
        self._to_the_end(settle)
        self._look(is_over=True)
        check(holds=self.kills_amid_transfers > kills // 4, what="too few kills met a transfer")

    def _to_the_end(self, drive: Any) -> None:
        code, _ = Child(self.database, app, OPTIONS, drive).wait()
        check(holds=code == 0, what=f"a child ended with {code}")

    def _kill(self, number: int) -> None:
        wanted, seed = max(1, IN_FLIGHT - self.unfinished), self.random.getrandbits(32)

        async def drive(hub: TaskHub, tell: Tell) -> None:
            await asyncio.gather(
                order(hub, tell, f"audit{number}", "audit", OWNERS),
                *(order_transfers(hub, tell, f"t{number}-{n}", seed + n) for n in range(wanted)),
            )

        child = Child(self.database, app, OPTIONS, drive)
        if self.random.random() < KILLS_AT_START:
            time.sleep(self.random.uniform(0.0, LATEST_START_S))
        else:
            child.wait_until_ready()
            time.sleep(self.random.uniform(EARLIEST_KILL_S, LATEST_KILL_S))
        self.acknowledged.update(child.kill())
        self._look()

    def _look(self, *, is_over: bool = False) -> None:
        with reading(self.database, self.folder / "copy") as store:
            seen = Seen(store, self.folder / "copy" / self.database.name)
            missing = self.acknowledged - seen.rows.keys()
            check(holds=not missing, what=f"acknowledged, and lost: {missing}")
            self.audit.look(seen)
            if is_over:
                self.audit.look_at_the_end(seen)
        self.unfinished = len(seen.unfinished)
        self.kills_amid_transfers += bool(seen.holders)


# -- what children do -----------------------------------------------------------------------------


async def pay_in(hub: TaskHub, _tell: Tell) -> None:
    """Open the accounts."""
    for account in ACCOUNTS:
        await hub.signal(account, "change", json.dumps(["paid in", PAID_IN]))
    async with asyncio.timeout(SETTLE_S):
        for account in ACCOUNTS:
            while (found := await hub.get_entity(account)) is None or not found.exists:  # noqa: ASYNC110  nobody announces it
                await asyncio.sleep(POLL_S)


async def order_transfers(hub: TaskHub, tell: Tell, prefix: str, seed: int) -> None:
    """One after the other, until the kill."""
    random, number = Random(seed), 0
    while True:
        number += 1
        # Now and then an account has less than that.
        transfer = [*random.sample(OWNERS, 2), random.randint(1, PAID_IN + 20)]
        await order(hub, tell, f"{prefix}-{number}", "transfer", transfer)


async def order(hub: TaskHub, tell: Tell, instance_id: str, name: str, value: Any) -> None:
    """Start it, tell that the start was acknowledged, wait for its end."""
    await hub.start(StartRequest(name, instance_id, json.dumps(value)))
    tell(instance_id)
    await hub.wait_for_completion(instance_id, timeout_s=SETTLE_S)


async def settle(hub: TaskHub, _tell: Tell) -> None:
    """Wait until everything has ended, and the last release has reached its account."""
    async with asyncio.timeout(SETTLE_S):
        running = InstanceQuery(statuses=UNFINISHED, page_size=1)
        while (await hub.query(running)).items:  # noqa: ASYNC110  as above
            await asyncio.sleep(POLL_S)
        for account in ACCOUNTS:
            while (found := await hub.get_entity(account)) is None or found.locked_by:  # noqa: ASYNC110  as above
                await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.transfers")
    parser.add_argument("folder", type=Path, help="a new one, for the database")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    Campaign(arguments.folder, arguments.seed).run(arguments.kills)
