"""Simulated clients of entities, and what was promised to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from durable_app.scheduler.inputs import Clean, GetEntity, Signal
from tests.simulation.accounts import ACCOUNTS, SCRATCH, passed_on
from tests.simulation.entity_invariants import ViolationError
from tests.simulation.programs import random_spec

if TYPE_CHECKING:
    from tests.simulation.clients import SimReply
    from tests.simulation.world import World

#: Makes a reply: what for, on done, on refused.
MakeReply = Callable[..., "SimReply"]


class EntityClients:
    """Makes requests at random and notes what was promised."""

    def __init__(self, world: World, rng: Random, reply: MakeReply) -> None:
        self._world = world
        self._rng = rng
        self._reply = reply
        self._serial = 0
        #: By the tag of what shows in an account: unknown, acked or rejected.
        self._sent: dict[str, str] = {}
        self._begun: dict[str, str] = {}

    def signal(self) -> None:
        """Some operations for entities."""
        for _ in range(self._rng.choice((1, 1, 2, 4))):
            self._signal()

    def _signal(self) -> None:
        rng = self._rng
        self._serial += 1
        delay = rng.choice((0, 0, 0, 0.01, 5, 300))
        tag = f"client|{self._serial:05d}{'d' if delay else ''}"
        names = ("add", "add", "add", "forward", "begin", "fail", "poison")
        name, target = rng.choice(names), rng.choice(ACCOUNTS)
        data: dict[str, Any] = {"tag": tag, "amount": rng.randint(1, 9)}
        shows = tag
        if rng.random() < 0.2:
            name, target = "flip", SCRATCH
            shows = passed_on(tag, SCRATCH)
        if name in ("forward", "flip"):
            data["to"] = rng.choice(ACCOUNTS)
        elif name == "begin":
            data["id"] = rng.choice((f"born-{self._serial}", "born-0", "born-1"))
            data["spec"] = random_spec(rng, 1, ["nobody"])
            self._begun[tag] = data["id"]
        if name not in ("fail", "poison"):
            self._sent[shows] = "unknown"
        at = self._world.clock.now() + timedelta(seconds=delay) if delay else None
        reply = self._reply(
            "signal" if name != "begin" else "signal that starts",
            lambda _value: self._answered(shows, "acked"),
            lambda: self._answered(shows, "rejected"),
        )
        self._world.post(Signal(target, name, json.dumps(data), at, reply))

    def _answered(self, tag: str, state: str) -> None:
        if tag in self._sent:
            self._sent[tag] = state

    def read(self) -> None:
        """The state of an entity, as it was committed last."""
        entity_id = self._rng.choice((*ACCOUNTS, SCRATCH, "@account@nobody"))

        def got(found: Any) -> None:
            row = self._world.checker.entities.rows.get(entity_id)
            state = row.entity.state if row is not None and row.entity is not None else None
            if (found.state if found is not None else None) != state:
                raise ViolationError(f"{entity_id}: a reader was told {found}, not {row}")

        self._world.post(GetEntity(entity_id, True, self._reply("read entity", got)))

    def clean(self) -> None:
        """Remove what is empty, release what nobody releases."""

        def cleaned(found: Any) -> None:
            if found.empty_entities_removed:
                self._world.counts["op entity removed"] += 1

        some, others = self._rng.choice(((True, True), (True, False), (False, True)))
        self._world.post(Clean(some, others, self._reply("clean", cleaned)))

    def drop_all(self) -> None:
        """Remove the states of all entities."""
        for entity_id in sorted(self._world.checker.entities.rows):
            row = self._world.checker.entities.rows[entity_id]
            is_flipped = entity_id == SCRATCH and row.entity and row.entity.state is not None
            if entity_id in ACCOUNTS or is_flipped:
                self._serial += 1
                text = json.dumps({"tag": f"client|{self._serial:05d}"})
                self._world.post(Signal(entity_id, "drop", text, None, self._reply("signal")))

    def remove_all(self) -> None:
        """Remove the rows of entities without a state."""
        self._world.post(Clean(True, True, self._reply("clean")))

    def check(self) -> None:
        """Everything that was acknowledged was done once, and nothing that was refused."""
        entities = self._world.checker.entities
        for tag, state in self._sent.items():
            times = entities.applied[tag]
            if (state == "acked" and times != 1) or (state == "rejected" and times):
                raise ViolationError(f"{tag}: {state}, and done {times} times")
        for tag, instance_id in self._begun.items():
            if entities.applied[tag] and instance_id not in self._world.checker.ever:
                raise ViolationError(f"{tag}: {instance_id} was not started")
