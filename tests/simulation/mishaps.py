"""What befalls a world from outside, at moments of its own: jumps of the clock, deaths, outages."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World


class Mishaps:
    """Puts them on the agenda of one world, and lets them happen."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng

    def plan(self, length: float) -> None:
        """Choose what goes wrong in the next ``length`` seconds, and when."""
        kinds: tuple[tuple[int, Callable[[], None], str], ...] = (
            (3, self._jump, "jump"),
            (4, self._soon_crash, "crash"),
            (1, self._world.restart, "restart"),
            (3, self._gone, "disconnect"),
            (2, self._outage, "outage"),
        )
        for most, what, name in kinds:
            for _ in range(self._rng.randint(0, most)):
                self._world.later(self._rng.uniform(0, length), what, name)

    def _jump(self) -> None:
        seconds = self._rng.choice((-400, -30, -1, 1, 30, 400))
        self._world.faults.count("clock forwards" if seconds > 0 else "clock backwards")
        self._world.clock.offset += seconds

    def _soon_crash(self) -> None:
        if self._world.faults.is_on:
            self._world.faults.crash_in = self._rng.randint(1, 12)

    def _gone(self) -> None:
        worker = self._rng.choice(self._world.workers)
        if worker.stream_id is not None:
            self._world.faults.count("disconnect")
            worker.disconnect()

    def _outage(self) -> None:
        faults = self._world.faults
        if not faults.is_on:
            return
        faults.writes_fail = True
        faults.reads_fail = self._rng.random() < 0.5
        self._world.later(self._rng.choice((0.05, 1, 8)), self._mend, "mend")

    def _mend(self) -> None:
        self._world.faults.writes_fail = self._world.faults.reads_fail = False
