"""Suspended executions, kept warm.

Theory of operation. After a turn the generator of an orchestration stays suspended in memory. The
next turn continues it with the new events alone, if it stands exactly where the hub's history ends;
otherwise it is thrown away and the whole history is replayed. Both give the same actions.

What must never happen: an execution whose turn was not committed is continued (its position no
longer fits), or a closed generator goes on acting for its instance.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from durable_app.protocol import CompleteOrchestration, OrchestratorRequest

if TYPE_CHECKING:
    from durable_app.replay.engine import Execution
    from durable_app.replay.environment import ReplayResult


class _Session:
    __slots__ = ("execution", "execution_id", "position")

    def __init__(self, execution: Execution, execution_id: str, position: int) -> None:
        self.execution = execution
        self.execution_id = execution_id
        self.position = position


class Sessions:
    """Least-recently-used executions, bounded by their number and by the events they have seen.

    Used by the orchestrator thread alone, as generators must be closed where they run.
    """

    def __init__(self, most: int, most_events: int) -> None:
        """Empty."""
        self._most = most
        self._most_events = most_events
        self._events = 0
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def take(self, request: OrchestratorRequest) -> Execution | None:
        """The execution that can go on with the request's new events; it is no longer kept."""
        session = self._sessions.pop(request.instance_id, None)
        if session is None:
            return None
        self._events -= session.position
        fits = (
            session.execution_id == request.execution_id and session.position == request.past_count
        )
        if fits:
            return session.execution
        session.execution.close()
        return None

    def keep(
        self, request: OrchestratorRequest, execution: Execution, result: ReplayResult
    ) -> None:
        """Keep the execution for its next turn, where it has one."""
        if result.is_complete or any(isinstance(a, CompleteOrchestration) for a in result.actions):
            execution.close()
            return
        position = request.past_count + len(request.new_events) + len(result.actions)
        self._sessions[request.instance_id] = _Session(execution, request.execution_id, position)
        self._events += position
        while len(self._sessions) > self._most or self._events > self._most_events:
            if len(self._sessions) == 1:
                break
            _, oldest = self._sessions.popitem(last=False)
            self._events -= oldest.position
            oldest.execution.close()

    def drop(self, instance_id: str) -> None:
        """The instance was ended from outside."""
        session = self._sessions.pop(instance_id, None)
        if session is not None:
            self._events -= session.position
            session.execution.close()

    def clear(self) -> None:
        """Close all."""
        for instance_id in list(self._sessions):
            self.drop(instance_id)
