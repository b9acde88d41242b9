"""A failed task is tried again: by the engine, or by the host.

For the user's code a retried task stays one task. ``ClientRetries`` makes actions of the pauses and
attempts: a timer, then a schedule with a new id. ``HostRetries`` leaves them to the host and only
follows its history: after every failed attempt, also after the last one, the host writes a timer,
and each timer and attempt takes an id. What hosts do not know, jitter and conditions, the engine
follows everywhere.

Source of the host's order: DurableTask's retry loop computes the pause first, ends without a timer
if there is none (timeout), waits, and only then looks at the number of attempts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.protocol import (
    CreateSubOrchestration,
    CreateTimer,
    FailureDetails,
    RetryPolicy,
)
from durable_app.replay.environment import RetryMode
from durable_app.replay.retry import Plan, next_delay
from durable_app.replay.tasks import CompletableTask, RetryTimer

if TYPE_CHECKING:
    from durable_app.replay.ledger import Ledger

_LAST_MOMENT: Final = datetime(9999, 12, 31, tzinfo=UTC)


class Attempts:
    """How often a task was tried.

    Attributes:
        count: attempts so far, the one under way included.
        first_started: when the first one was scheduled, on the orchestration's clock.
        renamed: each attempt of a sub-orchestration gets a new instance id, because the user
            gave none.
        failure: what the last attempt reported.
        policy: what hosts know of how it is tried again.
        conditions: what they do not; None for nothing.
    """

    __slots__ = ("conditions", "count", "failure", "first_started", "policy", "renamed")

    def __init__(self, plan: Plan, first_started: datetime, *, renamed: bool) -> None:
        self.policy, self.conditions = plan
        self.first_started = first_started
        self.renamed = renamed
        self.count = 1
        self.failure: FailureDetails | None = None


class ClientRetries:
    """The engine repeats."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def on_action(self, _plan: Plan) -> RetryPolicy | None:
        """Return what the host is told about the policy: nothing."""
        return None

    def again(
        self, task: CompletableTask[Any], attempts: Attempts, failure: FailureDetails, now: datetime
    ) -> bool:
        """Begin the pause before the next attempt; False if there is none."""
        if failure.is_non_retriable or attempts.count >= attempts.policy.max_number_of_attempts:
            return False
        delay = next_delay(attempts.policy, attempts.count, attempts.first_started, now)
        if delay is None:
            return False
        conditions = attempts.conditions
        if conditions is not None:
            if not conditions.allow(failure):
                return False
            delay = conditions.spread(delay, self._ledger.execution, task.id, attempts.count)
        self._ledger.place(_pause(task, self._ledger.next_id, now, delay))
        return True

    def fired(self, task: CompletableTask[Any], attempts: Attempts) -> bool:
        """Schedule the next attempt."""
        attempts.count += 1
        ledger = self._ledger
        action = task.action
        if attempts.renamed and type(action) is CreateSubOrchestration:
            task.action = msgspec.structs.replace(
                action, instance_id=ledger.child_id(ledger.next_id)
            )
        ledger.place(task)
        return True


class HostRetries:
    """The host repeats, unless the policy has conditions."""

    __slots__ = ("_engine", "_ledger")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._engine = ClientRetries(ledger)

    def on_action(self, plan: Plan) -> RetryPolicy | None:
        """Return what the host is told about the policy: all of it, or nothing."""
        return plan.policy if plan.conditions is None else None

    def again(
        self, task: CompletableTask[Any], attempts: Attempts, failure: FailureDetails, now: datetime
    ) -> bool:
        """Expect the host's timer; False if the host makes none."""
        if attempts.conditions is not None:
            return self._engine.again(task, attempts, failure, now)
        if failure.is_non_retriable:
            return False
        delay = next_delay(attempts.policy, attempts.count, attempts.first_started, now)
        if delay is None:
            return False
        attempts.failure = failure
        self._ledger.expect(_pause(task, self._ledger.next_id, now, delay))
        return True

    def fired(self, task: CompletableTask[Any], attempts: Attempts) -> bool:
        """Expect the host's next attempt; False if there is none left."""
        if attempts.conditions is not None:
            return self._engine.fired(task, attempts)
        if attempts.count >= attempts.policy.max_number_of_attempts:
            return False
        attempts.count += 1
        self._ledger.expect(task)
        return True


Retries = ClientRetries | HostRetries

RETRIES: Final[dict[RetryMode, type[ClientRetries] | type[HostRetries]]] = {
    RetryMode.CLIENT: ClientRetries,
    RetryMode.HOST: HostRetries,
}


def _pause(task: CompletableTask[Any], number: int, now: datetime, delay: timedelta) -> RetryTimer:
    timer = RetryTimer(task)
    timer.action = CreateTimer(number, _later(now, delay))
    return timer


def _later(now: datetime, delay: timedelta) -> datetime:
    try:
        return now + delay
    except OverflowError:
        return _LAST_MOMENT
