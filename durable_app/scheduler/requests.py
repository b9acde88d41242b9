"""What clients ask for: checked against the committed row, then decided or posted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.errors import (
    DurableError,
    InstanceExistsError,
    InstanceNotFoundError,
    WrongStatusError,
)
from durable_app.instance_id import check_instance_id
from durable_app.ports import Purged
from durable_app.protocol import ExecutionRewound, ExecutionStarted, OrchestrationStatus
from durable_app.scheduler.hot import Hot
from durable_app.scheduler.inputs import (
    Ack,
    Ask,
    Get,
    Purge,
    PurgeBy,
    Restart,
    Start,
    Unwatch,
    Watch,
)
from durable_app.taskhub import lifecycle
from durable_app.taskhub.entity_rows import is_entity_id
from durable_app.taskhub.instance import Instance, OpenWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.scheduler.hub import Hub

_PURGE_SLICE: Final = 200
#: While one of these waits for an instance that has ended, somebody waits for the instance.
_REVIVING: Final = (ExecutionRewound, ExecutionStarted)


class Requests:
    """Carries out the requests of clients for one hub."""

    def __init__(self, hub: Hub) -> None:
        """Serve these from now on."""
        self._state = hub.state
        self._steps = hub.steps
        self._again: Callable[[PurgeBy], object] = lambda _item: None
        hub.serve(
            {
                Start: self._on_start,
                Ask: self._on_ask,
                Restart: self._on_restart,
                Get: self._on_get,
                Watch: self._on_watch,
                Unwatch: self._on_unwatch,
                Purge: self._on_purge,
                PurgeBy: self._on_purge_by,
            }
        )

    def continue_with(self, again: Callable[[PurgeBy], object]) -> None:
        """How long work is put back, so that others get their turn in between."""
        self._again = again

    # -- start -------------------------------------------------------------------------------

    def _on_start(self, item: Start) -> None:
        request, state = item.request, self._state
        generated = request.instance_id is None
        instance_id = request.instance_id or state.clock.new_id()
        pending = lifecycle.new_instance(
            instance_id,
            request.name,
            state.now,
            state.ids,
            version=request.version,
            input=request.input,
            tags=request.tags,
            start_at=request.start_at,
        )
        trace = request.parent_trace_context
        new = msgspec.structs.replace(pending, parent_trace_context=trace) if trace else pending
        replaceable = request.replaceable
        if replaceable is None:
            replaceable = lifecycle.DEFAULT_REPLACEABLE
        try:
            if not generated:
                check_instance_id(instance_id)
            existing = None if generated else state.find(instance_id)
            self._start(new, existing, replaceable, item)
        except (InstanceExistsError, ValueError) as error:
            item.reply.reject(error)

    def _start(
        self,
        new: Instance,
        existing: Hot | None,
        replaceable: frozenset[OrchestrationStatus],
        item: Start | Restart,
    ) -> None:
        state = self._state
        ack = Ack(item.reply, new.instance_id)
        if existing is None:
            hot = Hot(new.instance_id, new, OpenWork())
            decision = lifecycle.start(new, None, replaceable, state.now, state.ids)
            state.cache.put(hot)
            self._steps.decide(hot, decision, ack)
            return
        decision = lifecycle.start(new, existing.known, replaceable, state.now, state.ids)
        if existing.token is not None:
            # Its turn in flight belongs to the execution that is being replaced.
            state.streams.release(existing.token)
            existing.turn = existing.token = None
        state.streams.forget(existing.instance_id)
        self._steps.decide(existing, decision, ack)

    def _on_restart(self, item: Restart) -> None:
        state = self._state
        old = state.find(item.instance_id)
        if old is None or old.saved is None or old.instance.entity is not None:
            item.reply.reject(InstanceNotFoundError(item.instance_id))
            return
        instance_id = item.new_instance_id or item.instance_id
        if item.new_instance_id is None and not old.instance.is_terminal:
            item.reply.reject(
                WrongStatusError(
                    item.instance_id,
                    old.instance.status,
                    "be restarted under the same id; terminate it first or take a new id",
                )
            )
            return
        new = lifecycle.restarted(old.instance, instance_id, state.now, state.ids)
        existing = old if item.new_instance_id is None else state.find(instance_id)
        try:
            self._start(new, existing, lifecycle.DEFAULT_REPLACEABLE, item)
        except InstanceExistsError as error:
            item.reply.reject(error)

    # -- events ------------------------------------------------------------------------------

    def _on_ask(self, item: Ask) -> None:
        state = self._state
        hot = state.find(item.instance_id)
        if hot is None or hot.instance.entity is not None:
            item.reply.reject(InstanceNotFoundError(item.instance_id))
            return
        try:
            if isinstance(item.event, ExecutionRewound):
                lifecycle.check_rewindable(hot.instance)
            else:
                lifecycle.check_running(hot.instance, item.action)
        except DurableError as error:
            item.reply.reject(error)
            return
        event: Any = msgspec.structs.replace(item.event, timestamp=state.now)
        decision = lifecycle.post(item.instance_id, event, state.now, state.ids)
        self._steps.decide(hot, decision, Ack(item.reply))

    # -- reading -----------------------------------------------------------------------------

    def _saved(self, instance_id: str) -> Instance | None:
        """The row of an orchestration as it was committed last."""
        if is_entity_id(instance_id):
            return None
        hot = self._state.cache.get(instance_id)
        if hot is not None:
            return hot.saved
        # Reading does not make an instance hot: a status page would push out the ones that work.
        stored = self._state.store.load(instance_id)
        return stored.instance if stored else None

    def _on_get(self, item: Get) -> None:
        instance = self._saved(item.instance_id)
        item.reply.resolve(instance.state(fetch_payloads=item.fetch_payloads) if instance else None)

    def _on_watch(self, item: Watch) -> None:
        self._state.watchers.add(item, self._saved(item.instance_id))

    def _on_unwatch(self, item: Unwatch) -> None:
        self._state.watchers.remove(item.instance_id, item.reply)

    # -- purge -------------------------------------------------------------------------------

    def _on_purge(self, item: Purge) -> None:
        found: list[str] = []
        waiting = [item.instance_id]
        seen = {item.instance_id}
        while waiting:
            instance_id = waiting.pop()
            instance = self._saved(instance_id)
            if instance is None or not instance.is_terminal:
                continue
            found.append(instance_id)
            if item.recursive:
                children = [c for c in self._state.store.children(instance_id) if c not in seen]
                seen.update(children)
                waiting += children
        item.reply.resolve(self._remove(found))

    def _on_purge_by(self, item: PurgeBy) -> None:
        if item.until is not None and self._state.clock.monotonic() >= item.until:
            item.reply.resolve(Purged(item.done, is_complete=False))
            return
        found = self._state.store.select_purgeable(item.which, _PURGE_SLICE)
        removed = self._remove(found)
        if len(found) == _PURGE_SLICE and removed:
            self._again(msgspec.structs.replace(item, done=item.done + removed))
        else:
            item.reply.resolve(Purged(item.done + removed))

    def _is_wanted(self, instance_id: str) -> bool:
        """True while it is about to go on: started anew, by a parent too, or rewound."""
        hot = self._state.cache.get(instance_id)
        if hot is not None and not hot.is_idle:
            return True
        if hot is not None:
            inbox = hot.inbox
        else:
            stored = self._state.store.load(instance_id)
            inbox = list(stored.messages) if stored is not None else []
        return any(isinstance(message.event, _REVIVING) for message in inbox)

    def _remove(self, found: list[str]) -> int:
        instance_ids = [i for i in found if not self._is_wanted(i)]
        if not instance_ids:
            return 0
        removed = self._state.store.purge(instance_ids)
        for instance_id in instance_ids:
            hot = self._state.cache.get(instance_id)
            if hot is not None:
                self._steps.evict(hot)
        return removed
