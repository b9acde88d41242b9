"""What must hold of entities: after every commit, at every dispatch, and in the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime

from durable_app.ports import EntityQuery, Store
from durable_app.protocol import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityRequest,
    EntityUnlockSent,
    HistoryEvent,
)
from durable_app.scheduler.hot import Hot
from durable_app.taskhub.instance import Decision, Instance, LockHolder, Message
from tests.simulation.accounts import (
    ACCOUNTS,
    UNLOGGED,
    Entry,
    balance_of,
    execution_of,
    log_of,
    passed_on,
    sender_of,
    tag_of,
)


class ViolationError(AssertionError):
    """An invariant does not hold."""


class EntityChecker:
    """A model of what is committed of the entities."""

    def __init__(self, holds: Callable[[LockHolder], bool]) -> None:
        self.rows: dict[str, Instance] = {}
        self.posted: Counter[str] = Counter()
        self.applied: Counter[str] = Counter()
        self.entries: dict[str, Entry] = {}
        self.rewound: set[str] = set()
        self._holds = holds
        self._inbox: dict[int, Message] = {}
        self._last: dict[tuple[str, str], str] = defaultdict(str)

    # -- commits -----------------------------------------------------------------------------

    def post(self, message: Message) -> None:
        """It was committed."""
        event = message.event
        if isinstance(event, EntityOperationSignaled | EntityOperationCalled):
            tag = tag_of(event)
            self.posted[tag] += 1
            if self.posted[tag] > 1 and execution_of(tag) not in self.rewound:
                raise ViolationError(f"{tag} was posted twice, and nothing was rewound")
        elif not isinstance(event, EntityLockRequested | EntityUnlockSent):
            return
        self._inbox[message.id] = message

    def orphaned(self, message_id: int) -> None:
        """It was deleted since its entity does not exist; only a release may be lost so."""
        message = self._inbox.pop(message_id, None)
        if message is not None and not isinstance(message.event, EntityUnlockSent):
            raise ViolationError(f"{message} was deleted")

    def drop(self, instance_id: str) -> None:
        """The row was removed."""
        row = self.rows.pop(instance_id, None)
        if row is None:
            return
        lost = [m for m in self._inbox.values() if m.instance_id == instance_id]
        if row.entity is None or row.entity.state is not None or row.entity.lock or lost:
            raise ViolationError(f"{instance_id}: was removed, and is not empty: {row} {lost}")

    def follow(self, decision: Decision) -> None:
        """What the store has applied."""
        consumed = [self._inbox.pop(i) for i in decision.consumed if i in self._inbox]
        instance = decision.instance
        if instance is None or instance.entity is None:
            return
        entity_id = instance.instance_id
        old = self.rows.get(entity_id)
        self.rows[entity_id] = instance
        before = old.entity if old is not None else None
        old_lock = before.lock if before is not None else None
        fresh = self._entries(entity_id, before.state if before else None, instance.entity.state)
        self._check_entries(entity_id, fresh, consumed, decision)
        lock = instance.entity.lock
        if lock == old_lock:
            self._check_alone(entity_id, lock, fresh)
            return
        if old_lock is not None:
            self._check_release(entity_id, old_lock, consumed)
        if lock is not None:
            self._check_grant(entity_id, lock, consumed)

    @staticmethod
    def _entries(entity_id: str, before: str | None, after: str | None) -> list[Entry]:
        if entity_id not in ACCOUNTS or after is None:
            return []
        old, new = log_of(before), log_of(after)
        if new[: len(old)] != old:
            raise ViolationError(f"{entity_id}: {old} was done, and is forgotten: {new}")
        return new[len(old) :]

    def _check_entries(
        self, entity_id: str, fresh: list[Entry], consumed: list[Message], decision: Decision
    ) -> None:
        asked = [m.event for m in consumed if isinstance(m.event, _OPERATIONS)]
        wanted = [tag_of(event) for event in asked if event.operation not in UNLOGGED]
        riding = [tag for tag, *_ in fresh if tag not in wanted]
        for tag in riding:
            # Posted and consumed in one commit: only clients' signals can be.
            if not tag.startswith("client") or self.posted[tag]:
                raise ViolationError(f"{entity_id}: {tag} was done without its message")
            self.posted[tag] += 1
        done = [tag for tag, *_ in fresh if tag not in riding]
        if entity_id in ACCOUNTS and done != wanted:
            raise ViolationError(f"{entity_id}: {wanted} was consumed, {done} was done")
        for event in asked:
            if event.operation in ("forward", "flip"):
                self._check_passed_on(entity_id, tag_of(event), decision)
        for entry in fresh:
            self._check_entry(entity_id, entry)

    @staticmethod
    def _check_passed_on(entity_id: str, tag: str, decision: Decision) -> None:
        wanted = passed_on(tag, entity_id)
        sent = [tag_of(m.event) for m in decision.messages if isinstance(m.event, _OPERATIONS)]
        if sent.count(wanted) != 1:
            raise ViolationError(f"{entity_id}: {wanted} should be sent: {sent}")

    def _check_entry(self, entity_id: str, entry: Entry) -> None:
        tag, change, wanted = entry
        self.applied[tag] += 1
        self.entries[tag] = entry
        if self.applied[tag] > self.posted[tag]:
            raise ViolationError(f"{entity_id}: {tag} was done {self.applied[tag]} times")
        if change != wanted:
            raise ViolationError(f"{entity_id}: {tag} changed {change} instead of {wanted}")
        if tag.endswith("d") or self.posted[tag] > 1:
            return
        last = self._last[entity_id, sender_of(tag)]
        if tag < last:
            raise ViolationError(f"{entity_id}: {tag} was done after {last}")
        self._last[entity_id, sender_of(tag)] = tag

    # -- locks -------------------------------------------------------------------------------

    @staticmethod
    def _check_alone(entity_id: str, lock: LockHolder | None, fresh: list[Entry]) -> None:
        for tag, *_ in fresh:
            if lock is not None and not tag.startswith(f"{lock.instance_id}#"):
                raise ViolationError(f"{entity_id}: {tag} was done within the lock of {lock}")

    def _check_release(self, entity_id: str, lock: LockHolder, consumed: list[Message]) -> None:
        if self._holds(lock):
            raise ViolationError(f"{entity_id}: {lock} lost the lock, and had not let go")
        unlocks = [m.id for m in consumed if _section_of(m.event) == lock.section_id]
        for message in self._waiting(entity_id, EntityOperationCalled):
            event = message.event
            is_own = getattr(event, "parent_instance_id", None) == lock.instance_id
            if is_own and unlocks and message.id < min(unlocks):
                raise ViolationError(f"{entity_id}: released before {event} of its holder")

    def _check_grant(self, entity_id: str, lock: LockHolder, consumed: list[Message]) -> None:
        releases = [_section_of(m.event) for m in self._waiting(entity_id, EntityUnlockSent)]
        if not self._holds(lock) and lock.section_id not in releases:
            raise ViolationError(f"{entity_id}: given to {lock}, which nobody will release")
        requests = [m.id for m in consumed if isinstance(m.event, EntityLockRequested)]
        for message in self._waiting(entity_id, EntityOperationSignaled):
            event = message.event
            assert isinstance(event, EntityOperationSignaled)
            own = tag_of(event).startswith(f"{lock.instance_id}#")
            delayed = event.scheduled_time is not None
            if own and not delayed and requests and message.id < min(requests):
                raise ViolationError(f"{entity_id}: locked before {event} of the same sender")

    def _waiting(self, entity_id: str, kind: type[HistoryEvent]) -> list[Message]:
        inbox = self._inbox.values()
        return [m for m in inbox if m.instance_id == entity_id and type(m.event) is kind]

    def granted(self, instance_id: str, event: EntityLockGranted, lock_set: list[str]) -> None:
        """An orchestration has learnt that all of these are its own."""
        wanted = LockHolder(event.critical_section_id, instance_id)
        for entity_id in lock_set:
            row = self.rows.get(entity_id)
            if row is None or row.entity is None or row.entity.lock != wanted:
                raise ViolationError(f"{instance_id}: was told that {entity_id} is locked: {row}")

    # -- dispatches --------------------------------------------------------------------------

    @staticmethod
    def dispatched(item: EntityRequest, hot: Hot, latest: datetime) -> None:
        """A worker sees this batch."""
        entity_id, row = item.instance_id, hot.instance.entity
        if row is None or row.state != item.entity_state or hot.turn is None:
            raise ViolationError(f"{entity_id}: a batch with another state")
        for event in item.operations:
            if event.scheduled_time is not None and event.scheduled_time > latest:
                raise ViolationError(f"{entity_id}: {event} came too early")
            caller = getattr(event, "parent_instance_id", None)
            if row.lock is not None and caller != row.lock.instance_id:
                raise ViolationError(f"{entity_id}: {event} within the lock of {row.lock}")
        left = set(hot.turn.messages)
        for message in hot.visible.values():
            if row.lock is None and left and isinstance(message.event, EntityLockRequested):
                raise ViolationError(f"{entity_id}: {item} overtakes {message.event}")
            left.discard(message.id)

    # -- the end -----------------------------------------------------------------------------

    def at_rest(self, store: Store) -> None:
        """Nothing goes on any more."""
        if self._inbox:
            raise ViolationError(f"messages of entities are left: {list(self._inbox.values())}")
        page = store.query_entities(EntityQuery(include_transient=True))
        found = {item.instance_id: (item.state, item.locked_by) for item in page.items}
        if found != {i: (row.entity and row.entity.state, None) for i, row in self.rows.items()}:
            raise ViolationError(f"locked still, or another state: {found} {self.rows}")
        if [row.instance_id for row in store.entities("", 100)] != sorted(self.rows):
            raise ViolationError("the rows of entities are others")
        self._check_sum()

    def _check_sum(self) -> None:
        """Transfers change nothing, but for those that were ended in the middle."""
        puts: dict[str, int] = defaultdict(int)
        total = 0
        for row in self.rows.values():
            if row.instance_id not in ACCOUNTS or row.entity is None:
                continue
            total += balance_of(row.entity.state)
            for tag, change, _ in log_of(row.entity.state):
                total -= change
                puts[tag] += 1
        if total:
            raise ViolationError(f"{total} is in the balances that nobody has put there")
        for tag, count in self.posted.items():
            if tag in self.entries and count != self.applied[tag]:
                raise ViolationError(f"{tag} was done {self.applied[tag]} times, not {count}")


def _section_of(event: HistoryEvent) -> str | None:
    """Which one an event releases."""
    return event.critical_section_id if isinstance(event, EntityUnlockSent) else None


_OPERATIONS = (EntityOperationSignaled, EntityOperationCalled)
