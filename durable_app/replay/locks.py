"""Critical sections: the entities that an execution keeps for itself, and what it may do meanwhile.

Theory of operation. An execution has at most one section at a time. Its states:

    REQUESTED   the lock request is on its way; no entity may be called
    HELD        the grant has come; each locked entity may be called, one call at a time
    over        one unlock per entity has been sent, and the next section may begin

The section begins when the orchestrator asks for it, granted or not: what the rules forbid could
wait for ever for what the section itself keeps locked. What an execution still holds or waits for
when it ends is released by the hub.

What must never happen: two sections at once; an unlock from an execution that was thrown out of
memory; an unlock sent twice.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from durable_app.errors import OrchestratorError
from durable_app.protocol import EntityLockRequested, EntityUnlockSent, SendEntityMessage
from durable_app.replay.tasks import SUCCEEDED, EntityMessageTask

if TYPE_CHECKING:
    from durable_app.replay.tasks import EntityLockTask


class CriticalSection:
    """The entities that are locked, or going to be.

    Args:
        request: settled by the grant.
        lock_set: ids of the entities, sorted and without duplicates.
    """

    __slots__ = ("_busy", "_request", "lock_set")

    def __init__(self, request: EntityLockTask, lock_set: tuple[str, ...]) -> None:
        self.lock_set = lock_set
        self._request = request
        self._busy: set[str] = set()

    @property
    def _message(self) -> EntityLockRequested:
        action = self._request.action
        assert isinstance(action, SendEntityMessage)  # noqa: S101  for the type checker
        assert isinstance(action.message, EntityLockRequested)  # noqa: S101  likewise
        return action.message

    def check_call(self, target: str) -> None:
        """Raise OrchestratorError if the entity may not be called now."""
        if self._request.state is not SUCCEEDED:
            raise OrchestratorError(
                f"call_entity: the lock on {self._names} was asked for, but is not held yet. Wait"
                " for it first: `with (yield context.lock_entities([...])):`."
            )
        if target not in self.lock_set:
            raise OrchestratorError(
                f"call_entity: {target} is not locked. Within a critical section only the locked"
                f" entities can be called ({self._names}). Lock it too, or call it outside."
            )
        if target in self._busy:
            raise OrchestratorError(
                f"call_entity: an earlier call of {target} is not answered yet. Within a critical"
                " section an entity takes one call at a time: yield the first one before."
            )

    def check_signal(self, target: str) -> None:
        """Raise OrchestratorError if the entity may not be signaled now."""
        if target in self.lock_set:
            raise OrchestratorError(
                f"signal_entity: {target} is locked by this orchestration, and would take the"
                " signal only after the critical section. Call it, or signal it afterwards."
            )

    def check_child(self, api: str) -> None:
        """Raise OrchestratorError: no sub-orchestration may be called now."""
        raise OrchestratorError(
            f"{api}: not within a critical section ({self._names} locked), for the child could wait"
            " for a locked entity, and both for ever. Call it before or after the section."
        )

    def check_lock(self) -> None:
        """Raise OrchestratorError: no further lock may be asked for now."""
        raise OrchestratorError(
            f"lock_entities: the orchestration already locks {self._names}, and critical sections"
            " do not nest: lock all entities at once, or leave the first section before."
        )

    def begin_call(self, target: str) -> None:
        """Take note of a call of a locked entity."""
        self._busy.add(target)

    def end_call(self, target: str) -> None:
        """Take note of its answer."""
        self._busy.discard(target)

    @property
    def _names(self) -> str:
        return ", ".join(self.lock_set)

    def release(self) -> None:
        """Send the unlocks, unless the section or the execution is over."""
        request = self._request
        context = request.context
        ledger = context._ledger  # noqa: SLF001  a task and its context are one
        if ledger.section is not self:  # of a closed execution it is None
            return
        ledger.section = None
        message = self._message
        for target in self.lock_set:
            unlock = EntityUnlockSent(
                -1,
                context.current_utc_datetime,
                message.critical_section_id,
                message.parent_instance_id,
                target,
            )
            ledger.place(EntityMessageTask(context, unlock))


class EntityLock:
    """Held locks: ``with (yield context.lock_entities([...])):`` releases them at the block's end.

    They are released however the block is left, and ``release`` does it without a block.
    """

    __slots__ = ("_is_released", "_section")

    def __init__(self, section: CriticalSection) -> None:
        self._section = section
        self._is_released = False

    def __enter__(self) -> EntityLock:
        if self._is_released:
            raise OrchestratorError(
                "The lock was released before: ask for a new one with context.lock_entities."
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give all entities free; a second time is harmless."""
        self._is_released = True
        self._section.release()

    def __repr__(self) -> str:
        state = "released" if self._is_released else "held"
        return f"<EntityLock {', '.join(self._section.lock_set)} {state}>"
