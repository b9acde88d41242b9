"""What the owner of a hub owns: one object, passed to those who work on it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from durable_app.scheduler.backlog import Backlog
from durable_app.scheduler.hot import Hot, HotCache
from durable_app.scheduler.quarantine import Quarantine
from durable_app.scheduler.streams import Streams
from durable_app.scheduler.wakeups import Wakeups
from durable_app.scheduler.watchers import Watchers
from durable_app.taskhub.entity_rows import in_order
from durable_app.taskhub.instance import OpenWork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.ports import Clock, Store, WorkResult


class HubOptions(msgspec.Struct, frozen=True):
    """Settings of a hub.

    Attributes:
        hot_bytes: budget for instances in memory, an estimate.
        max_attempts: an activity or a turn that was lost so often fails; >= 1.
        max_batch: operations of an entity that run in one batch; >= 1.
        suspect_wait_s: from the start until something is tried again that may have crashed the
            process twice; doubled with each further crash, up to 60 times this; >= 0.
        long_history: events after which a history is long: the log says so then, and after as many
            again; >= 1.
    """

    name: str = "default"
    hot_bytes: int = 64 * 2**20
    max_attempts: int = 10
    max_batch: int = 5_000
    suspect_wait_s: float = 0.1
    long_history: int = 10_000


class HubStatistics(NamedTuple):
    """How busy a hub is; read beside its thread, so that the numbers may not quite fit together.

    Attributes:
        workers: that are connected.
        in_flight: items that workers hold.
        waiting_instances: whose turn or batch waits for a slot.
        waiting_activities: likewise, as far as they are in memory.
        hot_instances: in memory.
        completed: items that workers have answered since the start, by kind.
    """

    workers: int
    in_flight: int
    waiting_instances: int
    waiting_activities: int
    hot_instances: int
    completed: Mapping[str, int]


class HubIds:
    """The hub's sequence, and execution ids."""

    __slots__ = ("_clock", "_key")

    def __init__(self, clock: Clock, last_key: int) -> None:
        self._clock = clock
        self._key = last_key

    def next_key(self) -> int:
        """See ``Ids.next_key``."""
        self._key += 1
        return self._key

    def execution_id(self) -> str:
        """See ``Ids.execution_id``."""
        return self._clock.new_id()


class HubState:
    """Everything that changes while a hub runs. Touched by the owner's thread alone.

    Attributes:
        now: the time of the present drain.
        dirty: instances that have something to do in this drain.
        recovered_key: messages and tasks up to this one were there before a crash; 0 after a
            clean end. What is tried again after a crash is marked first: should it crash the
            process once more, it is known who is to blame.
        completed: items that workers have answered, by the class of the answer.
    """

    def __init__(self, store: Store, clock: Clock, options: HubOptions) -> None:
        """Nothing is opened yet."""
        self.store = store
        self.clock = clock
        self.options = options
        self.now = clock.now()
        self.ids = HubIds(clock, 0)
        self.recovered_key = 0
        self.streams = Streams()
        self.watchers = Watchers()
        self.cache = HotCache(options.hot_bytes)
        self.quarantine = Quarantine(
            self.streams, self.cache, clock, options.max_attempts, options.suspect_wait_s
        )
        self.backlog = Backlog(store, self.streams, self.quarantine)
        self.wakeups = Wakeups(store)
        self.dirty: dict[str, Hot] = {}
        self.completed: Counter[type[WorkResult]] = Counter()

    def open(self) -> None:
        """Take over the store and what waits in it."""
        recovery = self.store.open()
        self.ids = HubIds(self.clock, recovery.last_key)
        if recovery.unclean:
            self.recovered_key = recovery.last_key
            self.quarantine.recover(self.clock.now())
        self.streams.number_from(recovery.last_key)

    def find(self, instance_id: str) -> Hot | None:
        """The instance, loaded where it is not in memory; None where there is none."""
        hot = self.cache.get(instance_id)
        if hot is not None:
            return hot
        stored = self.store.load(instance_id)
        if stored is None:
            return None
        instance = stored.instance
        work = OpenWork()
        if instance.history_count and not instance.is_terminal:
            work = OpenWork.of(self.store.read_history(instance_id, instance.execution_id))
        hot = Hot(instance_id, instance, work)
        hot.saved = instance
        for message in stored.messages if instance.entity is None else in_order(stored.messages):
            hot.add(message, self.now)
            if message.visible_at > self.now:
                # Where the clock went backwards it had been found already, and left unused.
                self.wakeups.note(message.visible_at)
        self.cache.put(hot)
        return hot

    def touch(self, hot: Hot) -> None:
        """The instance has something to do in this drain."""
        self.dirty[hot.instance_id] = hot
