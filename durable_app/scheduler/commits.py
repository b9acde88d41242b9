"""Commit what was decided, then act on it.

Parts that a turn in flight carries are left alone, but not for longer than ``RIDE_S``: an
acknowledgement must not wait for a slow orchestrator.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.scheduler.long_histories import warn_of_growth
from durable_app.taskhub import activity
from durable_app.taskhub.entity_rows import is_due
from durable_app.taskhub.instance import Decision, Message
from durable_app.taskhub.merge import merge

if TYPE_CHECKING:
    from durable_app.scheduler.hot import Hot, Part
    from durable_app.scheduler.inputs import Ack
    from durable_app.scheduler.state import HubState
    from durable_app.scheduler.steps import Steps

#: How long a part may wait for the turn that carries it before it is committed on its own.
RIDE_S: Final = 0.02


class Commits:
    """Groups decisions into transactions; see the module's text."""

    def __init__(self, state: HubState, steps: Steps) -> None:
        """Nothing to commit."""
        self._state = state
        self._steps = steps
        self._group: list[tuple[Hot, list[Part], Decision]] = []
        self._loose: list[Decision] = []
        self._acks: list[Ack] = []
        # What is still to be done about commits; each leaves only when it has been done, since
        # the store may refuse to be read in between.
        self._arriving: deque[Message] = deque()
        self._refused: deque[tuple[str, str]] = deque()

    @property
    def is_empty(self) -> bool:
        """True when nothing waits to be committed or acted upon."""
        return not (self._group or self._loose or self._arriving or self._refused)

    def add_turn(self, hot: Hot, parts: list[Part]) -> None:
        """A finished turn, with the parts that it carried."""
        self._group.append((hot, parts, merge([part.decision for part in parts])))

    def add_loose(self, decision: Decision) -> None:
        """Something that is about no instance (any more)."""
        self._loose.append(decision)

    def ride_left_s(self) -> float | None:
        """Seconds until a riding part has waited long enough; None where none rides."""
        for hot in self._steps.riding.values():
            if hot.parts:
                return hot.parts[0].since + RIDE_S - self._state.clock.monotonic()
        return None

    def collect(self, *, is_last: bool = False) -> None:
        """Group the parts that nothing carries, or that have waited long enough; at last all."""
        riding = self._steps.riding
        if not riding:
            return
        grouped = {hot.instance_id for hot, _, _ in self._group}
        late = self._state.clock.monotonic() - RIDE_S
        for instance_id, hot in list(riding.items()):
            if not hot.parts:
                del riding[instance_id]
            elif instance_id in grouped:
                continue
            elif is_last or hot.turn is None or hot.parts[0].since <= late:
                del riding[instance_id]
                self.add_turn(hot, hot.take_parts())

    def commit(self) -> None:
        """Write the group in one transaction and act on what was written.

        Raises:
            StoreUnavailableError: nothing was written and the group is kept, or it was written and
                what follows from it is kept.
        """
        if self._group or self._loose:
            self._write()
        while self._refused:
            self._try_again(*self._refused[0])
            self._refused.popleft()
        while self._arriving:
            self._deliver(self._arriving[0])
            self._arriving.popleft()

    def _write(self) -> None:
        decided = [*(decision for _, _, decision in self._group), *self._loose]
        decisions = [self._without_known_births(d) if d.births else d for d in decided]
        outcomes = self._state.store.commit(decisions)
        group, self._group, self._loose = self._group, [], []
        for (hot, parts, decision), outcome in zip(group, outcomes, strict=False):
            if outcome is None:
                self._committed(hot, parts, decision)
            else:
                self._failed(hot, parts, outcome)

    def _without_known_births(self, decision: Decision) -> Decision:
        """Leave out entities whose rows are there: a statement less per message.

        Looked up last of all, since a row can be removed while a decision waits.
        """
        get = self._state.cache.get
        births = tuple(
            birth
            for birth in decision.births
            if birth.entity is None or (hot := get(birth.instance_id)) is None or hot.saved is None
        )
        return msgspec.structs.replace(decision, births=births)

    def send_acks(self) -> None:
        """Tell those whose request is durable now."""
        acks, self._acks = self._acks, []
        for ack in acks:
            ack.send()

    def refuse_all(self, error: Exception) -> None:
        """The hub ends, and nothing more can be written: nobody shall wait for it."""
        for _, parts, _ in self._group:
            _reject(parts, error)
        for hot in self._steps.riding.values():
            _reject(hot.parts, error)

    def refuse_unborn(self, error: Exception) -> None:
        """Starts that could never be written are refused rather than kept waiting."""
        kept = []
        for hot, parts, decision in self._group:
            if hot.saved is not None or not any(part.ack for part in parts):
                kept.append((hot, parts, decision))
                continue
            _reject([*parts, *hot.parts], error)
            self._steps.evict(hot)
        self._group = kept

    # -- inside ------------------------------------------------------------------------------

    def _committed(self, hot: Hot, parts: list[Part], decision: Decision) -> None:
        state = self._state
        instance = decision.instance
        if instance is not None:
            before, hot.saved = hot.saved, instance
            if instance.history_count >= state.options.long_history:
                warn_of_growth(before, instance, state.options.long_history)
            state.watchers.committed(instance)
        for message in decision.messages:
            if not is_due(message, state.now):
                self._announce(message)
            elif message.instance_id != hot.instance_id:
                self._arriving.append(message)
            else:
                # Where the commit had to wait, its time has come meanwhile.
                hot.mature(message.id)
        for task in decision.tasks:
            state.backlog.add(task)
        if decision.finished:
            self._discard_tasks(decision, parts)
        self._acks += [part.ack for part in parts if part.ack is not None]
        if hot.visible or hot.parts:
            state.touch(hot)
        elif instance is not None and instance.is_terminal and hot.is_idle:
            state.cache.drop(hot.instance_id)
            return
        state.cache.put(hot)

    def _discard_tasks(self, decision: Decision, parts: list[Part]) -> None:
        done = {part.task.key for part in parts if part.task is not None}
        for key in decision.finished:
            if key not in done:
                self._state.backlog.discard(key)

    def _failed(self, hot: Hot, parts: list[Part], error: Exception) -> None:
        """The store refuses this one: forget what was decided, try again from what is stored."""
        state = self._state
        parts = [*parts, *hot.parts]
        _reject(parts, error)
        self._steps.evict(hot)
        for part in parts:
            if part.task is not None:
                later = activity.postponed(part.task, state.now)
                state.backlog.give_back(later, state.now)
        self._refused.append((hot.instance_id, str(error)))

    def _try_again(self, instance_id: str, reason: str) -> None:
        state = self._state
        fresh = state.find(instance_id)
        if fresh is None:
            return
        if not fresh.instance.is_terminal:
            self._steps.postpone(fresh, reason)
        elif fresh.visible:
            # It has ended, but a rewind still waits; nobody else would look at it again.
            state.wakeups.alarm(instance_id, state.now + activity.back_off(1))

    def _announce(self, message: Message) -> None:
        """A committed message whose time has not come. Who is in memory has to know of it."""
        state = self._state
        state.wakeups.note(message.visible_at)
        hot = state.cache.get(message.instance_id)
        if hot is not None:
            hot.add(message, state.now)

    def _deliver(self, message: Message) -> None:
        """A committed message for another instance."""
        state = self._state
        hot = state.find(message.instance_id)
        if hot is not None:
            hot.add(message, state.now)
            state.touch(hot)
        else:
            self._loose.append(Decision(message.instance_id, consumed=(message.id,)))


def _reject(parts: list[Part], error: Exception) -> None:
    for part in parts:
        if part.ack is not None:
            part.ack.reply.reject(error)
