"""Instances held in memory.

Theory of operation. A hot instance is the folded state of a row plus its inbox. Steps that are
decided but not committed are its *parts*: a part rides along until the turn that consumes it is
committed, in one transaction, so that an activity's result or a start need not be written twice.
A part that has waited for its turn too long is committed on its own. Nothing outside sees a part
before its commit.

What must never happen: an instance with uncommitted parts or a turn in flight is forgotten; state
of a failed commit is used again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from durable_app.protocol import EPOCH
from durable_app.taskhub.entity_rows import is_due
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Instance,
    Known,
    Message,
    MessageId,
    OpenWork,
)

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.protocol import CompletionToken
    from durable_app.scheduler.inputs import Ack
    from durable_app.taskhub.delivery import Turn
    from durable_app.taskhub.entities import EntityBatch

#: Estimated bytes of an instance with nothing in it, and of one message or open schedule.
_INSTANCE_BYTES = 2_500
_ENTRY_BYTES = 300


class Part:
    """A decision that is not committed yet.

    Attributes:
        since: monotonic seconds when it was decided.
        ack: who is to be told when it is committed.
        task: the activity whose outcome it is; queued again if the commit fails.
    """

    __slots__ = ("ack", "decision", "since", "task")

    def __init__(
        self,
        decision: Decision,
        since: float,
        ack: Ack | None = None,
        task: ActivityTask | None = None,
    ) -> None:
        self.decision = decision
        self.since = since
        self.ack = ack
        self.task = task


class Hot:
    """One instance in memory.

    Attributes:
        instance: as the decided steps have it; ``saved`` as the last commit has it.
        visible: messages that may be delivered, in order; ``later``: those that are not due.
        turn, token, stream_id: the turn in flight; an entity's is a batch of operations.
        is_queued: waits in the hub's ready queue.
        declined_by: workers that must not run it, by the ids of their streams.
        put_backs: how often in a row a worker did not run its turn; ``put_back_by``: those workers,
            the others come first; ``not_before``: when it is offered again.
        careful_until: an entity's messages up to this one were there when a batch of it was lost.
    """

    __slots__ = (
        "careful_until",
        "declined_by",
        "instance",
        "instance_id",
        "is_queued",
        "later",
        "not_before",
        "parts",
        "put_back_by",
        "put_backs",
        "saved",
        "stream_id",
        "token",
        "turn",
        "visible",
        "work",
    )

    def __init__(self, instance_id: str, instance: Instance, work: OpenWork) -> None:
        self.instance_id = instance_id
        self.instance = instance
        self.saved: Instance | None = None
        self.work = work
        self.visible: dict[MessageId, Message] = {}
        self.later: dict[MessageId, Message] = {}
        self.parts: list[Part] = []
        self.turn: Turn | EntityBatch | None = None
        self.token: CompletionToken | None = None
        self.stream_id = 0
        self.is_queued = False
        self.declined_by: frozenset[int] = frozenset()
        self.careful_until = 0
        self.put_backs = 0
        self.put_back_by: frozenset[int] = frozenset()
        self.not_before = EPOCH

    @property
    def inbox(self) -> list[Message]:
        """All messages that are known."""
        return [*self.visible.values(), *self.later.values()]

    @property
    def known(self) -> Known:
        """What rules may know of it."""
        return Known(self.instance, self.work, self.inbox)

    @property
    def is_idle(self) -> bool:
        """True when forgetting it loses nothing."""
        return self.turn is None and not self.parts

    @property
    def is_ahead(self) -> bool:
        """True when its history is longer in memory than in the store."""
        count = self.instance.history_count
        if self.saved is None or self.saved.execution_id != self.instance.execution_id:
            return count > 0
        return count != self.saved.history_count

    @property
    def size(self) -> int:
        """Estimated bytes."""
        entries = len(self.visible) + len(self.later) + len(self.work)
        payload = len(self.instance.input or "") + len(self.instance.output or "")
        if self.instance.entity is not None:
            payload += len(self.instance.entity.state or "")
        return _INSTANCE_BYTES + entries * _ENTRY_BYTES + payload

    def add(self, message: Message, now: datetime) -> None:
        """A message has arrived; one that is known already stays single, whatever the clock did."""
        if message.id in self.visible:
            return
        if is_due(message, now):
            self.later.pop(message.id, None)
            self.visible[message.id] = message
        else:
            self.later[message.id] = message

    def mature(self, message_id: int) -> bool:
        """Its time has come; False where the message is gone or known as visible."""
        message = self.later.pop(MessageId(message_id), None)
        if message is None:
            return False
        self.visible[message.id] = message
        return True

    def apply(self, decision: Decision, now: datetime) -> None:
        """Follow a decided step."""
        if decision.instance is not None:
            # After a rewind the rule has put ``work`` in step with the new history.
            rewound = decision.replaces_history and decision.history
            if decision.instance.is_terminal or (decision.replaces_history and not rewound):
                self.work = OpenWork()
            if decision.instance.execution_id != self.instance.execution_id:
                # Another execution, perhaps of another version.
                self.declined_by = self.put_back_by = frozenset()
            self.instance = decision.instance
        for message_id in decision.consumed:
            if self.visible.pop(message_id, None) is None:
                self.later.pop(message_id, None)
        for message in decision.messages:
            if message.instance_id == self.instance_id:
                self.add(message, now)
        if decision.replaces_history and not decision.history:
            self._sort_visible()

    def _sort_visible(self) -> None:
        # Events carried over into a new execution go before those that arrived meanwhile.
        ordered = sorted(self.visible.values(), key=lambda m: (m.visible_at, m.id))
        self.visible = {m.id: m for m in ordered}

    def take_parts(self) -> list[Part]:
        """Remove and return all parts, to be committed."""
        taken, self.parts = self.parts, []
        return taken

    def take_settled_parts(self) -> list[Part]:
        """Remove and return the parts that go with a finished turn.

        Those that only post what still waits in the inbox ride on. What a control message has
        consumed goes along with the part that consumes it: the other way round its row would be
        written after it was deleted, and the message carried out once more after a restart.
        """
        taken = [p for p in self.parts if self._is_settled(p.decision)]
        self.parts = [p for p in self.parts if not self._is_settled(p.decision)]
        return taken

    def _is_settled(self, decision: Decision) -> bool:
        if decision.instance is not None:
            return True
        return not any(m.id in self.visible or m.id in self.later for m in decision.messages)


class HotCache:
    """Least-recently-used instances, bounded by a budget of estimated bytes."""

    def __init__(self, budget_bytes: int) -> None:
        """Empty."""
        self._budget = budget_bytes
        self._entries: OrderedDict[str, Hot] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def estimated_bytes(self) -> int:
        """What the instances in memory are reckoned to take."""
        return self._bytes

    def get(self, instance_id: str) -> Hot | None:
        """The instance where it is in memory; it counts as used."""
        hot = self._entries.get(instance_id)
        if hot is not None:
            self._entries.move_to_end(instance_id)
        return hot

    def put(self, hot: Hot) -> None:
        """Keep it, or note its new size."""
        size = hot.size
        self._bytes += size - self._sizes.get(hot.instance_id, 0)
        self._sizes[hot.instance_id] = size
        self._entries[hot.instance_id] = hot

    def drop(self, instance_id: str) -> None:
        """Forget it."""
        if self._entries.pop(instance_id, None) is not None:
            self._bytes -= self._sizes.pop(instance_id)

    def trim(self) -> None:
        """Forget idle instances, the least recently used first, until the budget holds."""
        if self._bytes <= self._budget:
            return
        excess = self._bytes - self._budget
        idle: list[str] = []
        # Only as far as needed: under load this happens after every drain.
        for instance_id, hot in self._entries.items():
            if excess <= 0:
                break
            if hot.is_idle:
                idle.append(instance_id)
                excess -= self._sizes[instance_id]
        for instance_id in idle:
            self.drop(instance_id)

    def all(self) -> list[Hot]:
        """All instances in memory."""
        return list(self._entries.values())
