"""What a replay takes and gives: the rules of the host as data, and the outcome of a turn.

Two families of hosts differ in four ways, and only in these: when an action gets its id, what the
first id is, who repeats a failed task, and which actions a turn hands back. The engine reads them
here and never asks which host it is.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.protocol import OrchestratorAction

if TYPE_CHECKING:
    from durable_app.replay.tasks import Task

TAGS: Final = "tags"
"""Capability: tasks and sub-orchestrations carry tags."""

CRITICAL_SECTIONS: Final = "critical sections"
"""Capability: an orchestration can lock entities."""


SEND_EVENT: Final = "events to other instances"
"""Capability: an orchestration can raise events of other instances."""

NEW_VERSION: Final = "new version"
"""Capability: an execution that starts over can have another version."""

PATCHES: Final = "patches"
"""Capability: workers answer the markers of patches."""


class ScheduleAt(Enum):
    """The moment at which a task becomes an action with an id."""

    CALL = "call"
    """When the context method is called, whether or not the task is ever yielded."""
    YIELD = "yield"
    """When the task is first yielded, alone or within a composite (the classic host)."""


class RetryMode(Enum):
    """Who repeats a failed task."""

    CLIENT = "client"
    """The engine: a timer action, then a new schedule action."""
    HOST = "host"
    """The host, by the policy on the action; the engine only keeps count of its ids."""


class Emit(Enum):
    """Which actions a turn hands back."""

    NEW = "new"
    """Those that history does not hold yet."""
    ALL = "all"
    """All since the start, in order, cancelled timers marked (the classic host)."""


class ReplayEnv(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one host.

    Attributes:
        first_id: id of an execution's first action.
        strict_ids: a recorded id must be the predicted one; False for histories that other
            libraries wrote, which may use one id for all attempts of a retry.
        capabilities: what the host can express beyond the common ground; see the constants here.
        max_actions: most actions that one turn may ask for.
        name_children: give sub-orchestrations a default instance id; False leaves it to the host.
        default_version: of a sub-orchestration that is called without one.
        patches: ids of the patches that the execution has, where all of its history is known: to
            others the answer is no. None to learn the answers from the history that is replayed.
    """

    schedule_at: ScheduleAt = ScheduleAt.CALL
    first_id: int = 1
    retry: RetryMode = RetryMode.CLIENT
    emit: Emit = Emit.NEW
    strict_ids: bool = True
    capabilities: frozenset[str] = frozenset(
        {TAGS, CRITICAL_SECTIONS, SEND_EVENT, NEW_VERSION, PATCHES}
    )
    max_actions: int = 100_000
    name_children: bool = True
    default_version: str | None = None
    patches: frozenset[str] | None = None


class YieldTrace:
    """One yield: what was waited for, and the actions that it reached first.

    Attributes:
        task: the yielded task; the codec walks ``children`` and reads ``action`` of the leaves.
        actions: those that no earlier yield had reached, in the order of their ids.
    """

    __slots__ = ("actions", "task")

    def __init__(self, task: Task[Any], actions: tuple[OrchestratorAction, ...]) -> None:
        self.task = task
        self.actions = actions


class ReplayResult(msgspec.Struct, frozen=True):
    """Outcome of one turn.

    Attributes:
        actions: what the hub shall do, in the order in which the code asked; the completion last.
        custom_status: JSON text to store, None to keep the old one.
        trace: one entry per yield since the start; recorded only for ``Emit.ALL``.
        warnings: texts for the log, for example a resolution that nothing waits for.
        is_complete: the execution is over, whether or not this turn ended it.
    """

    actions: tuple[OrchestratorAction, ...]
    custom_status: str | None
    trace: tuple[YieldTrace, ...]
    warnings: tuple[str, ...]
    is_complete: bool
