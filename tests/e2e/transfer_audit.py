"""What the database of a killed child must look like, and what it must never look like."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_app.protocol import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityUnlockSent,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationStatus,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from durable_app.storage.sqlite import SqliteStore
from durable_app.taskhub.instance import Message, OpenWork, TaskKey

MANY = 100_000


class WrongError(AssertionError):
    """What must never happen has happened."""


def check(*, holds: bool, what: str) -> None:
    """Fail with ``what`` unless it holds."""
    if not holds:
        raise WrongError(what)


class Seen:
    """The database as a kill has left it."""

    def __init__(self, store: SqliteStore, database: Path) -> None:
        connection = sqlite3.connect(database)
        try:
            self.rows: dict[str, tuple[OrchestrationStatus, str | None, int]] = {
                row[0]: (OrchestrationStatus(row[1]), row[2], row[3])
                for row in connection.execute(
                    "SELECT instance_id, status, output, history_count FROM instances"
                    " WHERE entity IS NULL"
                )
            }
            self.orphans = [
                f"{count} {table}"
                for table in ("messages", "history", "payloads")
                for (count,) in connection.execute(
                    f"SELECT count(*) FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM instances"
                    " AS i WHERE i.hub = t.hub AND i.instance_id = t.instance_id)"
                )
                if count
            ]
        finally:
            connection.close()
        self.unfinished = {i for i, (status, _, _) in self.rows.items() if not status.is_terminal}
        self.store = store
        self.entities = {row.instance_id: row for row in store.entities("", MANY)}
        self.tasks = store.tasks(TaskKey(0), MANY)
        self.inboxes: dict[str, tuple[Message, ...]] = {}
        for account in self.entities:
            stored = store.load(account)
            self.inboxes[account] = stored.messages if stored is not None else ()
        self.holders = {
            account: row.entity.lock
            for account, row in self.entities.items()
            if row.entity is not None and row.entity.lock is not None
        }

    def account(self, name: str) -> dict[str, Any]:
        """The state of an account."""
        entity = self.entities[name].entity
        state: dict[str, Any] = json.loads(entity.state or "{}") if entity is not None else {}
        return state


class Audit:
    """Looks at what each kill has left, and remembers what cannot change any more."""

    def __init__(self, accounts: Sequence[str], paid_in: int) -> None:
        """So much was paid into each account, all under the cause "paid in"."""
        self._accounts = accounts
        self._paid_in = paid_in
        self._ended: dict[str, str | None] = {}

    @property
    def ended(self) -> int:
        """Instances whose end was recorded at a kill."""
        return len(self._ended)

    def look(self, seen: Seen) -> None:
        """Fail where something is wrong at the moment of a kill."""
        check(holds=not seen.orphans, what=f"rows that belong to nobody: {seen.orphans}")
        for instance_id, (status, output, count) in seen.rows.items():
            if instance_id in self._ended:
                before = self._ended[instance_id]
                check(holds=status.is_terminal and before == output, what=f"{instance_id} went on")
                continue
            if status.is_terminal:
                self._look_at_outcome(instance_id, status, output)
                self._ended[instance_id] = output
            self._look_at_history(seen, instance_id, count, is_ended=status.is_terminal)
        self._look_at_tasks(seen)
        self._look_at_locks(seen)
        self._look_at_money(seen)

    def look_at_the_end(self, seen: Seen) -> None:
        """Fail where something is left over when everything has ended."""
        check(holds=not seen.unfinished, what=f"they never end: {seen.unfinished}")
        check(holds=not seen.holders, what=f"locks that nobody releases: {seen.holders}")
        waiting = [m for inbox in seen.inboxes.values() for m in inbox]
        check(holds=not waiting and not seen.tasks, what=f"left over: {waiting} {seen.tasks}")

    def _look_at_outcome(
        self, instance_id: str, status: OrchestrationStatus, output: str | None
    ) -> None:
        is_audit = instance_id.startswith("audit")
        total = str(self._paid_in * len(self._accounts))
        allowed = {total} if is_audit else {'"done"', '"refused"'}
        what = f"{instance_id} ended with {status.name} {output}"
        check(holds=status is OrchestrationStatus.COMPLETED and output in allowed, what=what)

    def _look_at_history(self, seen: Seen, instance_id: str, count: int, *, is_ended: bool) -> None:
        history = seen.store.read_history(instance_id, None)
        check(
            holds=len(history) == count, what=f"{instance_id}: {len(history)} events, not {count}"
        )
        flaw = flaw_of(history, is_ended=is_ended)
        check(holds=flaw is None, what=f"{instance_id}: {flaw} in {history}")

    def _look_at_tasks(self, seen: Seen) -> None:
        for task in seen.tasks:
            instance_id = task.instance.instance_id
            work = OpenWork.of(seen.store.read_history(instance_id, task.instance.execution_id))
            is_open = work.tasks.get(task.task_id) == task.key
            check(holds=is_open, what=f"an activity that nobody waits for: {task}")

    def _look_at_locks(self, seen: Seen) -> None:
        for account, inbox in seen.inboxes.items():
            over = {
                message.event.critical_section_id
                for message in inbox
                if isinstance(message.event, EntityUnlockSent)
            }
            sections = [
                (message.event.critical_section_id, message.event.parent_instance_id)
                for message in inbox
                if isinstance(message.event, EntityLockRequested)
            ]
            holder = seen.holders.get(account)
            if holder is not None:
                sections.append((holder.section_id, holder.instance_id))
            for section, owner in sections:
                is_cared_for = owner in seen.unfinished or section in over
                check(holds=is_cared_for, what=f"{owner} has ended, and {account} is its own")

    def _look_at_money(self, seen: Seen) -> None:
        """Exactly the changes that transfers have made, each once; the sum is what was paid in."""
        changes: Counter[tuple[str, int]] = Counter()
        steps: dict[str, list[int]] = {}
        total = 0
        for account in self._accounts:
            state = seen.account(account)
            own = Counter((cause, amount) for cause, amount in state["changes"])
            balance = sum(amount for _, amount in own.elements())
            check(holds=balance == state["balance"] >= 0, what=f"{account} has {state}")
            total += state["balance"]
            changes += own
        paid = changes.pop(("paid in", self._paid_in))
        check(holds=paid == len(self._accounts), what=f"paid in {paid} times")
        for (cause, amount), times in changes.items():
            check(holds=times == 1, what=f"{cause} has changed an account by {amount} twice")
            steps.setdefault(cause, []).append(amount)
        for cause, amounts in steps.items():
            what = f"{cause} is {self._ended.get(cause, 'unknown')} and has moved {amounts}"
            check(holds=cause in seen.rows and is_allowed(amounts), what=what)
            if cause not in seen.unfinished:
                check(holds=sum(amounts) == 0 and self._ended[cause] == '"done"', what=what)
            total -= sum(amounts)
        for cause, output in self._ended.items():
            is_moved = cause in steps
            check(holds=is_moved or output != '"done"', what=f"{cause} is done, without a change")
        expected = self._paid_in * len(self._accounts)
        check(holds=total == expected, what=f"the sum is {total}, not {expected}")


def is_allowed(amounts: Sequence[int]) -> bool:
    """The payer's part alone, or both."""
    return len(amounts) <= 2 and (sum(amounts) == 0 or (len(amounts) == 1 and amounts[0] < 0))


def flaw_of(history: Sequence[HistoryEvent], *, is_ended: bool) -> str | None:
    """Why no execution can have this history; None for a sound one."""
    kinds = Counter(type(event) for event in history)
    if history and kinds[ExecutionStarted] != 1:
        return f"{kinds[ExecutionStarted]} starts"
    ends = [number for number, e in enumerate(history, 1) if isinstance(e, ExecutionCompleted)]
    if ends != ([len(history)] if is_ended else []):
        return f"ends at {ends}"
    waiting: set[tuple[str, object]] = set()
    scheduled: set[tuple[str, object]] = set()
    for event in history:
        key, is_schedule = reference_of(event)
        if key is None:
            continue
        if is_schedule and key not in scheduled:
            waiting.add(key)
            scheduled.add(key)
        elif not is_schedule and key in waiting:
            waiting.remove(key)
        else:
            return f"{key} twice, or out of nowhere,"
    return f"{waiting} without an end" if is_ended and waiting else None


def reference_of(event: HistoryEvent) -> tuple[tuple[str, object] | None, bool]:
    """What an event schedules (True) or resolves (False)."""
    match event:
        case TaskScheduled():
            return ("task", event.event_id), True
        case TaskCompleted() | TaskFailed():
            return ("task", event.task_scheduled_id), False
        case EntityOperationCalled():
            return ("call", event.request_id), True
        case EntityOperationCompleted() | EntityOperationFailed():
            return ("call", event.request_id), False
        case EntityLockRequested():
            return ("lock", event.critical_section_id), True
        case EntityLockGranted():
            return ("lock", event.critical_section_id), False
        case _:
            return None, False
