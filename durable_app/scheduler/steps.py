"""What an instance does when it has something to do: control messages first, then a turn.

An instance takes one turn at a time. Where no worker has a slot it waits in the ready queue; where
no worker knows its name it waits for one that does. One whose turns were lost again and again is a
suspect, and waits for its place in the :mod:`~durable_app.scheduler.quarantine`.

The result of an activity that was tried once more after a crash does not ride with the turn that it
leads to: should that turn kill the process, the activity would be blamed for it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from durable_app.errors import StoreUnavailableError
from durable_app.protocol import EPOCH, EntityRequest, OrchestratorRequest
from durable_app.scheduler.hot import Hot, Part
from durable_app.scheduler.ready import Group, ReadyQueue, group_of
from durable_app.taskhub import entities, lifecycle
from durable_app.taskhub.delivery import Turn, is_ready, make_turn, sort_inbox
from durable_app.taskhub.instance import ActivityTask, Decision, Message

if TYPE_CHECKING:
    from durable_app.protocol import CompletionToken
    from durable_app.scheduler.inputs import Ack
    from durable_app.scheduler.state import HubState
    from durable_app.scheduler.streams import Stream

_log = logging.getLogger(__name__)


class Steps:
    """Steps instances; see the module's text."""

    def __init__(self, state: HubState) -> None:
        """Nobody waits."""
        self._state = state
        self._ready = ReadyQueue()
        #: Instances that no worker takes; a dict for its order.
        self._unserved: dict[str, Group] = {}
        #: Instances that wait until they may be tried alone; likewise.
        self._suspects: dict[str, None] = {}
        #: Instances whose turns in this drain follow from what was there before a crash.
        self.recovered: list[str] = []
        #: Instances with parts that are not committed, the longest waiting first.
        self.riding: dict[str, Hot] = {}

    @property
    def ready_count(self) -> int:
        """Instances that wait for a slot."""
        return len(self._ready)

    def run(self) -> None:
        """Step what is dirty and what has waited for a slot."""
        state = self._state
        while True:
            if state.dirty:
                dirty, state.dirty = state.dirty, {}
                self._step_all(list(dirty.values()))
            elif (first := self._ready.pop(self._can_go)) is not None:
                hot = state.find(first)
                if hot is not None:
                    hot.is_queued = False
                    state.touch(hot)
            elif self._suspects and state.quarantine.admits():
                instance_id = next(iter(self._suspects))
                suspect = state.find(instance_id)
                del self._suspects[instance_id]
                if suspect is not None:
                    state.touch(suspect)
            else:
                return

    def decide(
        self,
        hot: Hot,
        decision: Decision,
        ack: Ack | None = None,
        task: ActivityTask | None = None,
    ) -> None:
        """Follow a step in memory; it is committed in this drain, or rides with a turn."""
        self._part(hot, decision, ack, task)
        # At once: where this drain comes to no step, the hub's end must not forget the part.
        self.riding.setdefault(hot.instance_id, hot)
        self._state.touch(hot)

    def workers_changed(self) -> None:
        """A worker has come: instances that nobody took may have found somebody."""
        for instance_id, group in self._unserved.items():
            self._ready.append(group, instance_id)
        self._unserved.clear()
        for hot in self._state.cache.all():
            if hot.put_backs:
                # This worker has not seen it: no need to wait.
                hot.not_before = EPOCH
                self._state.touch(hot)

    def passed_over(self, hot: Hot) -> frozenset[int]:
        """Workers that do not get its next turn: first comes who has not put it back."""
        if hot.put_back_by:
            name, version = hot.instance.name, hot.instance.version
            both = hot.declined_by | hot.put_back_by
            if self._state.streams.anybody_takes_orchestration(name, version, both):
                return both
        return hot.declined_by

    def evict(self, hot: Hot) -> None:
        """Forget everything about the instance that is not stored."""
        if hot.token is not None:
            self._state.streams.release(hot.token)
        hot.turn = hot.token = None
        hot.parts = []
        self._state.cache.drop(hot.instance_id)
        self._state.dirty.pop(hot.instance_id, None)
        self.riding.pop(hot.instance_id, None)
        self._state.streams.forget(hot.instance_id)

    def give_up(self, hot: Hot, reason: str) -> None:
        """The instance's turns were lost too often: it fails."""
        state = self._state
        if hot.instance.entity is not None:
            step = self._next_of_entity(hot)
            if isinstance(step, entities.EntityBatch):
                failed = entities.give_up_first(hot.instance, step, reason, state.now, state.ids)
                # Of a signal that fails nobody else hears.
                _log.error(
                    "Operation '%s' of entity %s was given up: %s",
                    step.operations[0].operation,
                    hot.instance_id,
                    reason,
                )
                self.decide(hot, failed)
            return
        self.decide(hot, lifecycle.give_up(hot.known, reason, state.now, state.ids))

    def postpone(self, hot: Hot, reason: str) -> None:
        """A turn was lost: back off, or give up."""
        decision = lifecycle.postpone(hot.instance, self._state.now)
        row = decision.instance
        if row is None or not self._state.quarantine.is_spent(row.attempts):
            self.decide(hot, decision)
        else:
            hot.instance = msgspec.structs.replace(hot.instance, attempts=row.attempts)
            self.give_up(hot, reason)

    def send_turn(self, hot: Hot, turn: Turn, stream: Stream, *, with_history: bool) -> None:
        """Hand the turn to a worker that has a slot."""
        state = self._state
        token = state.streams.new_token("i")
        instance = hot.instance
        past = state.store.read_history(hot.instance_id, turn.execution_id) if with_history else ()
        self._hold(hot, turn, token, stream)
        request = OrchestratorRequest(
            hot.instance_id,
            turn.execution_id,
            instance.name,
            past,
            turn.events,
            token,
            instance.history_count,
            instance.history_count > 0 and not with_history,
            trace_context=instance.trace_context,
        )
        state.streams.hold_turn(stream, request)

    # -- inside ------------------------------------------------------------------------------

    def _step_all(self, hots: list[Hot]) -> None:
        for number, hot in enumerate(hots):
            try:
                self._step(hot)
            except StoreUnavailableError:
                for left in hots[number:]:
                    self._state.touch(left)
                raise

    def _can_go(self, instance_id: str) -> bool:
        """Whether an instance that waited finds a slot, or must not wait any longer."""
        if self._state.quarantine.is_closed:
            return False
        hot = self._state.find(instance_id)
        if hot is None or not hot.visible:
            return True
        streams, name = self._state.streams, hot.instance.name
        if hot.instance.entity is not None:
            free = streams.for_entity(name) is not None
            return free or not streams.anybody_takes_entity(name)
        version, declined_by = hot.instance.version, self.passed_over(hot)
        if streams.for_orchestration(name, version, hot.stream_id, declined_by) is not None:
            return True
        # Its last worker may have gone: it must not hold up those behind it.
        return not streams.anybody_takes_orchestration(name, version, declined_by)

    def _part(
        self,
        hot: Hot,
        decision: Decision,
        ack: Ack | None = None,
        task: ActivityTask | None = None,
    ) -> None:
        hot.apply(decision, self._state.now)
        hot.parts.append(Part(decision, self._state.clock.monotonic(), ack, task))

    def _step(self, hot: Hot) -> None:
        if hot.instance.entity is not None:
            self._step_entity(hot)
        else:
            self._step_orchestration(hot)
        if hot.parts:
            self.riding.setdefault(hot.instance_id, hot)

    def _next_of_entity(self, hot: Hot) -> Decision | entities.EntityBatch | None:
        state = self._state
        if hot.instance.attempts:
            hot.careful_until = max(hot.visible, default=0)
        # After a batch was lost one at a time, until all that may have been in it are through:
        # only the guilty operation may be given up.
        is_careful = next(iter(hot.visible), 0) <= hot.careful_until
        most = 1 if is_careful else state.options.max_batch
        return entities.next_step(hot.instance, hot.visible.values(), state.now, state.ids, most)

    def _step_entity(self, hot: Hot) -> None:
        while hot.turn is None and hot.visible:
            step = self._next_of_entity(hot)
            if isinstance(step, Decision):
                self._part(hot, step)
                continue
            if step is not None:
                self._hand_out_batch(hot, step)
            break

    def _hand_out_batch(self, hot: Hot, batch: entities.EntityBatch) -> None:
        state, instance = self._state, hot.instance
        if not self._may_try(hot):
            return
        stream = state.streams.for_entity(instance.name)
        if stream is None:
            self._queue(hot, is_served=state.streams.anybody_takes_entity(instance.name))
            return
        self._note_recovered(hot, batch)
        token = state.streams.new_token("e")
        self._hold(hot, batch, token, stream)
        entity_state = instance.entity.state if instance.entity is not None else None
        state.streams.hold_batch(
            stream, EntityRequest(hot.instance_id, "", entity_state, batch.operations, token)
        )

    def _step_orchestration(self, hot: Hot) -> None:
        while hot.turn is None and hot.visible:
            heaps = sort_inbox(hot.instance, hot.work, hot.visible.values())
            if heaps.strays:
                self._part(hot, Decision(hot.instance_id, consumed=tuple(heaps.strays)))
            if heaps.arrivals:
                self._arrive(hot, heaps.arrivals[0])
            elif heaps.control:
                if not self._control(hot, heaps.control[0]):
                    break
            else:
                self._try_turn(hot, heaps.events)
                break

    def _arrive(self, hot: Hot, message: Message) -> None:
        state = self._state
        before = hot.instance
        self._part(hot, lifecycle.arrive(hot.known, message, state.now, state.ids))
        if hot.instance is not before:
            state.streams.forget(hot.instance_id)

    def _control(self, hot: Hot, message: Message) -> bool:
        """Carry out a control message; False where a turn has to do it."""
        state = self._state
        outcome = lifecycle.control(hot.known, message, state.now, state.ids)
        if isinstance(outcome, Turn):
            self._hand_out(hot, outcome)
            return False
        self._part(hot, outcome)
        if hot.instance.is_terminal:
            state.streams.forget(hot.instance_id)
        return True

    def _try_turn(self, hot: Hot, events: list[Message]) -> None:
        if is_ready(hot.instance, events):
            self._hand_out(hot, make_turn(hot.instance, events, self._state.now))

    def _hand_out(self, hot: Hot, turn: Turn) -> None:
        state, instance = self._state, hot.instance
        if hot.is_ahead or _rides_recovered(hot, state.recovered_key):
            # A worker may read the history: what precedes the turn must be committed first.
            return
        if not self._may_try(hot):
            return
        name, version, declined_by = instance.name, instance.version, self.passed_over(hot)
        stream = state.streams.for_orchestration(name, version, hot.stream_id, declined_by)
        if stream is None:
            is_served = state.streams.anybody_takes_orchestration(name, version, declined_by)
            self._queue(hot, is_served=is_served)
            return
        self._note_recovered(hot, turn)
        with_history = stream.whole_history and instance.history_count > 0
        self.send_turn(hot, turn, stream, with_history=with_history)

    def _may_try(self, hot: Hot) -> bool:
        """False where it was lost too often, or must wait before it is tried again."""
        state, attempts = self._state, hot.instance.attempts
        quarantine = state.quarantine
        if quarantine.is_spent(attempts):
            self.give_up(hot, "its process died")
            return False
        due = quarantine.due(attempts, max(hot.instance.not_before or EPOCH, hot.not_before))
        if due > state.now:
            state.wakeups.alarm(hot.instance_id, due)
            return False
        if quarantine.is_suspect(attempts):
            if quarantine.admits():
                return True
            self._suspects[hot.instance_id] = None
            return False
        if quarantine.is_closed:
            self._queue(hot, is_served=True)
            return False
        return True

    def _hold(
        self, hot: Hot, turn: Turn | entities.EntityBatch, token: CompletionToken, stream: Stream
    ) -> None:
        hot.turn, hot.token, hot.stream_id = turn, token, stream.id
        if self._state.quarantine.is_suspect(hot.instance.attempts):
            self._suspects.pop(hot.instance_id, None)
            self._state.quarantine.enter(token, hot.instance_id)

    def _note_recovered(self, hot: Hot, turn: Turn | entities.EntityBatch) -> None:
        """Where it was there before a crash, a further crash shall count against it."""
        first = turn.messages[0] if turn.messages else self._state.recovered_key + 1
        if hot.instance.attempts or first <= self._state.recovered_key:
            self.recovered.append(hot.instance_id)

    def _queue(self, hot: Hot, *, is_served: bool) -> None:
        instance_id = hot.instance_id
        if hot.is_queued:
            if not is_served or instance_id not in self._unserved:
                return
            # It has started over as something that somebody takes.
            del self._unserved[instance_id]
        hot.is_queued = True
        if is_served:
            self._ready.append(group_of(hot.instance), instance_id)
        else:
            self._unserved[instance_id] = group_of(hot.instance)


def _rides_recovered(hot: Hot, last: int) -> bool:
    """True where the result of an activity that was tried again is not committed yet."""
    tasks = (part.task for part in hot.parts if part.task is not None)
    return any(task.attempts > 0 or task.key <= last for task in tasks)
