"""What clients ask of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.entity_id import EntityId
from durable_app.ports import CleanedEntities
from durable_app.scheduler.hot import Hot
from durable_app.scheduler.inputs import Ack, Clean, GetEntity, Signal
from durable_app.taskhub import entities
from durable_app.taskhub.entity_rows import new_entity
from durable_app.taskhub.instance import Decision, Instance, OpenWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.scheduler.hub import Hub

_SLICE: Final = 200
_MAX_LENGTH: Final = 512


class EntityRequests:
    """Carries out the requests of clients for the entities of one hub."""

    def __init__(self, hub: Hub) -> None:
        """Serve these from now on."""
        self._state = hub.state
        self._steps = hub.steps
        self._again: Callable[[Clean], object] = lambda _item: None
        hub.serve({Signal: self._on_signal, GetEntity: self._on_get, Clean: self._on_clean})

    def continue_with(self, again: Callable[[Clean], object]) -> None:
        """How long work is put back, so that others get their turn in between."""
        self._again = again

    def _on_signal(self, item: Signal) -> None:
        state = self._state
        try:
            instance_id = checked_entity_id(item.instance_id)
        except ValueError as error:
            item.reply.reject(error)
            return
        message = entities.signal_message(
            instance_id,
            item.operation,
            item.data,
            state.now,
            state.ids,
            item.signal_time,
            item.trace,
        )
        hot = state.find(instance_id)
        decision = Decision(instance_id)
        if hot is None:
            decision = entities.birth(instance_id, state.now)
            hot = Hot(instance_id, new_entity(instance_id, state.now), OpenWork())
            state.cache.put(hot)
        posted = msgspec.structs.replace(decision, messages=(message,))
        self._steps.decide(hot, posted, Ack(item.reply))

    def _on_get(self, item: GetEntity) -> None:
        instance, backlog = self._saved(item.instance_id)
        if instance is None or instance.entity is None or instance.entity.state is None:
            item.reply.resolve(None)
        else:
            item.reply.resolve(instance.metadata(backlog, include_state=item.include_state))

    def _saved(self, instance_id: str) -> tuple[Instance | None, int]:
        """The row as it was committed last, and how many messages wait."""
        hot = self._state.cache.get(instance_id)
        if hot is not None:
            return hot.saved, len(hot.inbox)
        stored = self._state.store.load(instance_id)
        return (None, 0) if stored is None else (stored.instance, len(stored.messages))

    # -- cleaning ----------------------------------------------------------------------------

    def _on_clean(self, item: Clean) -> None:
        found = self._state.store.entities(item.after, _SLICE)
        released = removed = 0
        if item.release_locks:
            released = sum(self._release(row) for row in found)
        if item.remove_empty:
            removed = self._remove([row.instance_id for row in found if self._is_empty(row)])
        done = msgspec.structs.replace(
            item, removed=item.removed + removed, released=item.released + released
        )
        if len(found) == _SLICE:
            self._again(msgspec.structs.replace(done, after=found[-1].instance_id))
        else:
            item.reply.resolve(CleanedEntities(done.removed, done.released))

    def _release(self, row: Instance) -> bool:
        """Take the lock from a holder that does not run; False where it does, or nobody has it."""
        lock = row.entity.lock if row.entity is not None else None
        if lock is None:
            return False
        holder, _ = self._saved(lock.instance_id)
        hot = self._state.find(row.instance_id)
        if hot is None or (holder is not None and not holder.is_terminal):
            return False
        state = self._state
        self._steps.decide(hot, entities.release_orphan(hot.instance, state.now, state.ids))
        return True

    def _is_empty(self, row: Instance) -> bool:
        """True where nothing is lost with the row."""
        if row.entity is None or row.entity.state is not None or row.entity.lock is not None:
            return False
        hot = self._state.cache.get(row.instance_id)
        if hot is not None:
            return hot.is_idle and not hot.inbox and hot.saved == hot.instance
        stored = self._state.store.load(row.instance_id)
        return stored is not None and not stored.messages

    def _remove(self, instance_ids: list[str]) -> int:
        if not instance_ids:
            return 0
        removed = self._state.store.purge(instance_ids)
        for instance_id in instance_ids:
            hot = self._state.cache.get(instance_id)
            if hot is not None:
                self._steps.evict(hot)
        return removed


def checked_entity_id(instance_id: str) -> str:
    """The id in the form in which the hub keeps it.

    Raises:
        ValueError: it is none of an entity, is too long, or has half of a surrogate pair.
    """
    found = str(EntityId.parse(instance_id))
    if len(found) > _MAX_LENGTH:
        raise ValueError(
            f"The id of an entity has at most {_MAX_LENGTH} characters; this one has {len(found)}."
        )
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"The id {found!r} is no text that can be stored.") from error
    return found
