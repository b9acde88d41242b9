"""Work that kills the process, amid much that does not, in children that come again and again.

    python -m tests.e2e.poison FOLDER activity call signal turn

runs one guilty item of each kind named. Children die of them until the hub has found and given up
each. Then everybody else must have what they would have had without them, and each once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import durable_app as df
from durable_app.ports import StartRequest
from durable_app.protocol import EntityMetadata, OrchestrationStatus
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from tests.e2e.forked import Child, Tell
from tests.e2e.transfer_audit import check

KINDS = ("activity", "call", "signal", "turn")
#: What the processes die with.
DEATH = 3
#: Suspects run alone from two lost attempts on, and when the others have had time to kill the
#: process: this leaves the guilty one two trials, and the innocent none to lose.
OPTIONS = HubOptions(max_attempts=4, suspect_wait_s=0.25)
#: A guilty item dies at most so often: unnoticed, in company, alone; a turn once more, since the
#: result that leads to it has to be stored first.
DEATHS_OF_ONE = 1 + OPTIONS.max_attempts + 1
#: Longer than it takes any guilty item to kill the process: these are in flight at every death.
SLOW_S = 0.1
INNOCENTS = 8
SIGNALS = 5
LIMIT_S = 60.0

app = df.DFApp()


# -- the app --------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context")
class Tally(df.DurableEntity):
    """Keeps what it was told, in order."""

    def add(self, entry: Any) -> int:
        entries = [*self.get_state(list, []), entry]
        self.set_state(entries)
        return len(entries)

    def add_slowly(self, entry: Any) -> int:
        time.sleep(SLOW_S)
        return self.add(entry)

    def vanish(self) -> None:
        """Take the process along, after a change that must leave nothing behind."""
        self.add("vanished")
        os._exit(DEATH)


@app.activity_trigger(input_name="number")
def work(number: int) -> int:
    time.sleep(SLOW_S)
    return number


@app.activity_trigger(input_name="number")
def vanish(number: int) -> int:
    os._exit(DEATH)


def tally(key: str) -> df.EntityId:
    return df.EntityId("Tally", key)


@app.orchestration_trigger(context_name="context")
def innocent(context: df.DurableOrchestrationContext):
    """An activity, a turn and an operation that are slow."""
    number = yield context.call_activity(work, context.get_input())
    time.sleep(SLOW_S / 10)
    place = yield context.call_entity(tally(f"of{number}"), "add_slowly", number)
    return [number, place]


@app.orchestration_trigger(context_name="context")
def guilty_activity(context: df.DurableOrchestrationContext):
    results = [context.call_activity(work, n) for n in range(3)]
    try:
        yield context.call_activity(vanish, 0)
    except df.TaskFailedError as failure:
        others = yield context.task_all(results)
        return [failure.details.error_type, others]


@app.orchestration_trigger(context_name="context")
def guilty_call(context: df.DurableOrchestrationContext):
    """Calls the operation under a lock on its entity and on another one."""
    try:
        with (yield context.lock_entities([tally("called"), tally("beside")])):
            yield context.call_entity(tally("called"), "add", "before")
            yield context.call_entity(tally("called"), "vanish")
    except df.TaskFailedError as failure:
        place = yield context.call_entity(tally("called"), "add", "after")
        return [failure.details.error_type, place]


@app.orchestration_trigger(context_name="context")
def guilty_turn(context: df.DurableOrchestrationContext):
    with (yield context.lock_entities([tally("held")])):
        yield context.call_activity(work, 1)
        os._exit(DEATH)


# -- what children do -----------------------------------------------------------------------------


async def begin(hub: TaskHub, kinds: list[str]) -> None:
    """Ask for what is innocent, and for the signals, which wait behind one that is slow."""
    asks = [start(hub, f"innocent{n}", n) for n in range(INNOCENTS)]
    for number in range(SIGNALS):
        asks.append(hub.signal("@tally@slow", "add_slowly", json.dumps(number)))
        operation = "add" if number else "add_slowly"
        asks.append(hub.signal("@tally@signaled", operation, json.dumps(number)))
        if number == SIGNALS // 2 and "signal" in kinds:
            asks.append(hub.signal("@tally@signaled", "vanish", None))
    # All at once, and in this order: they are recorded before the slow one has ended.
    await asyncio.gather(*asks)


async def join(hub: TaskHub, kinds: list[str]) -> None:
    """Start what is guilty; one of them may not let the others be recorded."""
    for kind in kinds:
        if kind != "signal" and await hub.get(f"guilty_{kind}") is None:
            await start(hub, f"guilty_{kind}", None)


async def start(hub: TaskHub, instance_id: str, value: int | None) -> None:
    name = instance_id if value is None else "innocent"
    await hub.start(StartRequest(name, instance_id, json.dumps(value)))


def names_of(kinds: list[str]) -> list[str]:
    """Ids of all instances."""
    guilty = [f"guilty_{kind}" for kind in kinds if kind != "signal"]
    return [*guilty, *(f"innocent{number}" for number in range(INNOCENTS))]


async def look(hub: TaskHub, tell: Tell, kinds: list[str]) -> None:
    """Wait for the end of everything, then tell what has become of it."""
    for instance_id in names_of(kinds):
        state = await hub.wait_for_completion(instance_id, timeout_s=LIMIT_S)
        status = state.status.name if state is not None else None
        failure = state.failure.error_type if state is not None and state.failure else None
        output = json.loads(state.output or "null") if state is not None else None
        tell(json.dumps([instance_id, status, failure, output]))
    for key in ("slow", "signaled", "called", "beside", "held"):
        found = await when_idle(hub, f"@tally@{key}")
        entries = json.loads(found.state or "null") if found is not None else None
        tell(json.dumps([key, None, found.locked_by if found is not None else None, entries]))


async def when_idle(hub: TaskHub, entity_id: str) -> EntityMetadata | None:
    """The entity when nothing waits for it any more."""
    async with asyncio.timeout(LIMIT_S):
        while (found := await hub.get_entity(entity_id)) is not None and found.backlog:  # noqa: ASYNC110  nobody announces it
            await asyncio.sleep(0.005)
    return found


# -- the trial ------------------------------------------------------------------------------------


def run(folder: Path, kinds: list[str]) -> int:
    """Let children die until one lives to the end; the number of deaths."""
    database = folder / "hub.db"

    async def first(hub: TaskHub, _tell: Tell) -> None:
        await begin(hub, kinds)
        await join(hub, kinds)
        await asyncio.sleep(LIMIT_S)

    async def again(hub: TaskHub, tell: Tell) -> None:
        await join(hub, kinds)
        await look(hub, tell, kinds)

    code, told = Child(database, app, OPTIONS, first).wait()
    deaths = 0
    while code == DEATH:
        deaths += 1
        check(holds=deaths <= DEATHS_OF_ONE * len(kinds), what="they die for ever")
        code, told = Child(database, app, OPTIONS, again).wait()
    check(holds=code == 0, what=f"a child ended with {code}")
    check(holds=deaths > OPTIONS.max_attempts, what=f"only {deaths} deaths")
    found = {name: tuple(rest) for name, *rest in map(json.loads, told)}
    for name, outcome in expected(kinds).items():
        check(holds=found[name] == outcome, what=f"{name}: {found[name]}, not {outcome}")
    return deaths


def expected(kinds: list[str]) -> dict[str, tuple[Any, ...]]:
    """Per instance: status, failure, output; per entity: None, holder of its lock, entries."""
    done, failed = OrchestrationStatus.COMPLETED.name, OrchestrationStatus.FAILED.name
    numbers = list(range(SIGNALS))
    guilty: dict[str, dict[str, tuple[Any, ...]]] = {
        "activity": {"guilty_activity": (done, None, ["PoisonedActivity", [0, 1, 2]])},
        "call": {
            "guilty_call": (done, None, ["PoisonedOperation", 2]),
            "called": (None, None, ["before", "after"]),
            "beside": (None, None, None),
        },
        "signal": {},
        "turn": {
            "guilty_turn": (failed, "PoisonedOrchestration", None),
            "held": (None, None, None),
        },
    }
    outcomes: dict[str, tuple[Any, ...]] = {
        "slow": (None, None, numbers),
        "signaled": (None, None, numbers),
    }
    for number in range(INNOCENTS):
        outcomes[f"innocent{number}"] = (done, None, [number, 1])
    for kind in kinds:
        outcomes |= guilty[kind]
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.poison")
    parser.add_argument("folder", type=Path, help="a new one, for the database")
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    print(f"{run(arguments.folder, arguments.kinds)} deaths")
