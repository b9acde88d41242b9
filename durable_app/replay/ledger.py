"""What the code asked for, what history says about it, and what is still open.

Theory of operation. Each action enters a queue. An event of history that records an action takes
the first one out and opens it under the recorded id. What is left in the queue at the end of a turn
is new: it is handed back, and opened under its predicted id, because a warm execution never sees
the event that will record it. A resolution finds its task among the open ones.

A message to an entity is not opened under its id: its answer names the id of the request, which the
recorded message tells.

A host that repeats tasks by itself makes timers and schedules that the code did not ask for; they
wait in a second queue (``expect``), because the host writes them between the others.

What must never happen: an action is handed back twice; an id is given twice; anything is recorded
after ``continue_as_new`` or ``close``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from uuid import NAMESPACE_OID, uuid5

import msgspec

from durable_app.errors import OrchestratorError
from durable_app.protocol import (
    CreateSubOrchestration,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    Event,
    OrchestratorAction,
    SendEntityMessage,
    SendEvent,
)
from durable_app.replay.determinism import MATCHING, resembles
from durable_app.replay.environment import Emit, ReplayEnv, ScheduleAt, YieldTrace
from durable_app.replay.mailbox import Mailbox
from durable_app.replay.tasks import (
    RUNNING,
    ActionTask,
    CompositeTask,
    Task,
    TimerTask,
)
from durable_app.replay.waits import ExternalEventTask

if TYPE_CHECKING:
    from durable_app.replay.locks import CriticalSection

EntityMessage = (
    EntityOperationCalled | EntityOperationSignaled | EntityLockRequested | EntityUnlockSent
)

_Renumbered = Any
"""Result of ``msgspec.structs.replace``, which keeps the type of its argument."""

_REQUESTS: Final = uuid5(NAMESPACE_OID, "durable_app.entity_requests")


class Restart(NamedTuple):
    """How an execution starts over.

    Attributes:
        input: JSON text, None for none.
        keeps_events: external events that nobody took go to the new execution.
        version: of the new execution; None for the present one.
    """

    input: str | None
    keeps_events: bool
    version: str | None


class Ledger:
    """The actions of one execution.

    Attributes:
        next_id: id that the next action is predicted to get.
        open: scheduled and not resolved, by id.
        answers: calls of entities and lock requests that wait for an answer, by the id in it.
        section: the critical section that the code is in, None outside of one.
        execution: id of the execution, from which those ids are made.
        mailbox: external events.
        custom_status: JSON text set in the present turn, None if none was.
        restart: set by ``continue_as_new``.
        child_prefix: what default ids of sub-orchestrations begin with, None to give none.
    """

    __slots__ = (
        "_at_call",
        "_hidden",
        "_limit",
        "_log",
        "_marks",
        "_max_actions",
        "_queue",
        "_recorded",
        "_strict",
        "answers",
        "child_prefix",
        "custom_status",
        "execution",
        "mailbox",
        "next_id",
        "open",
        "restart",
        "section",
    )

    def __init__(self, env: ReplayEnv) -> None:
        self._at_call = env.schedule_at is ScheduleAt.CALL
        self._strict = env.strict_ids
        self._max_actions = env.max_actions
        self._limit = env.first_id + env.max_actions
        self._recorded = env.first_id
        self._queue: deque[ActionTask[Any]] = deque()
        self._hidden: deque[ActionTask[Any]] = deque()
        self._log: list[OrchestratorAction] | None = [] if env.emit is Emit.ALL else None
        self._marks: list[tuple[Task[Any], int]] = []
        self.next_id = env.first_id
        self.open: dict[int, ActionTask[Any]] = {}
        self.answers: dict[str, ActionTask[Any]] = {}
        self.section: CriticalSection | None = None
        self.execution = ""
        self.mailbox = Mailbox()
        self.custom_status: str | None = None
        self.restart: Restart | None = None
        self.child_prefix: str | None = None

    # -- the code asks -----------------------------------------------------------------------

    def schedule(self, task: ActionTask[Any]) -> None:
        """Take a task that the code has created; its action has the predicted id."""
        if self._at_call:
            self.place(task)

    def place(self, task: ActionTask[Any]) -> None:
        """Give the task's action the next id and put it into the queue."""
        number = self.next_id
        if number >= self._limit:
            self._refuse(task)
            return
        self.next_id = number + 1
        action = task.action
        if action.id != number:
            task.action = action = self._numbered(action, number)
        task.id = number
        task.is_scheduled = True
        self._queue.append(task)
        if self._log is not None:
            task.position = len(self._log)
            self._log.append(action)

    def reach(self, task: Task[Any]) -> None:
        """Take note that the code yields this task."""
        if not self._at_call:
            self._place_leaves(task)
        if self._log is not None:
            self._marks.append((task, len(self._log)))

    def _place_leaves(self, task: Task[Any]) -> None:
        waiting = [task]
        while waiting:
            reached = waiting.pop()
            if isinstance(reached, CompositeTask):
                waiting.extend(reversed(reached.begun))
            elif isinstance(reached, ActionTask):
                if not reached.is_scheduled:
                    self._place_late(reached)
            elif (
                isinstance(reached, ExternalEventTask)
                and reached.deadline is not None
                and reached.state is RUNNING
            ):
                waiting.append(reached.deadline)

    def _place_late(self, task: ActionTask[Any]) -> None:
        action = task.action
        # A default id is made from the action's own, which two children cannot share.
        if type(action) is CreateSubOrchestration and action.instance_id is None:
            task.action = msgspec.structs.replace(action, instance_id=self.child_id(self.next_id))
        self.place(task)

    def default_child_id(self) -> str | None:
        """Return the default id for a sub-orchestration that is being called."""
        return self.child_id(self.next_id) if self._at_call else None

    def child_id(self, number: int) -> str | None:
        """Return the default id of the sub-orchestration that the numbered action creates."""
        return None if self.child_prefix is None else f"{self.child_prefix}:{number:04x}"

    def wait(self, task: ExternalEventTask[Any]) -> None:
        """Take a wait that the code has created."""
        self.mailbox.wait(task)

    def forget_wait(self, task: ExternalEventTask[Any]) -> None:
        """Take a wait back."""
        self.mailbox.forget(task)

    def cancelled(self, timer: TimerTask) -> None:
        """Mark the action of a timer; only a host that gets all actions is told."""
        if self._log is not None:
            timer.action = action = msgspec.structs.replace(timer.action, is_canceled=True)
            if timer.position >= 0:
                self._log[timer.position] = action

    def continue_as_new(self, restart: Restart) -> None:
        """Take nothing more: the next yield or return starts over."""
        self.restart = restart
        self._limit = -1

    def note_status(self, text: str, *, replaying: bool) -> None:
        """Keep a custom status for the turn's outcome, unless it is an old one."""
        if not replaying:
            self.custom_status = text

    def _refuse(self, task: ActionTask[Any]) -> None:
        if self.restart is None:
            raise OrchestratorError(
                f"The orchestrator asked for more than {self._max_actions} actions in one turn."
                " Look for a loop without yield, or split the work into sub-orchestrations."
            )
        # The execution is over: nothing may come of this task, and the next yield ends it all.
        task.is_scheduled = True

    # -- the host repeats --------------------------------------------------------------------

    def expect(self, task: ActionTask[Any]) -> None:
        """Take an action that the host makes by itself; it has an id, and is never handed back."""
        task.action = self._numbered(task.action, self.next_id)
        self.next_id += 1
        self._hidden.append(task)

    # -- history tells -----------------------------------------------------------------------

    def confirm(self, event: Event) -> bool:
        """Take the action that the event records out of the queue; False if there is none."""
        queue = self._queue
        if queue and not self._hidden:
            task = queue[0]
            action = task.action
            if action.id == event.event_id and MATCHING[type(event)](event, action):
                queue.popleft()
                self.open[action.id] = task
                return True
        return self._confirm_slowly(event)

    def _confirm_slowly(self, event: Event) -> bool:
        agrees = MATCHING[type(event)]
        candidates = [
            (queue, task)
            for queue in (self._queue, self._hidden)
            for task in list(queue)[:1]
            if agrees(event, task.action)
        ]
        # A host that repeats writes its own timers before those of the code, which may have been
        # numbered first: the one that looks like the event is the one, whatever its number.
        candidates.sort(
            key=lambda entry: (
                not resembles(event, entry[1].action),
                entry[1].action.id != event.event_id,
            )
        )
        if not candidates:
            return False
        queue, task = candidates[0]
        if task.action.id != event.event_id:
            if self._strict:
                return False
            self._learn(task, event.event_id)
        queue.popleft()
        self.open[event.event_id] = task
        return True

    def _learn(self, task: ActionTask[Any], number: int) -> None:
        task.action = self._numbered(task.action, number)
        task.id = number
        if self._log is not None and task.position >= 0:
            self._log[task.position] = task.action
        self._recorded = max(self._recorded, number + 1)
        self.next_id = max(self.next_id, number + 1)

    def address(self, message: EntityMessage) -> None:
        """Learn from the recorded message, just confirmed, what its answer will name."""
        task = self.open.pop(message.event_id)
        task.action = action = SendEntityMessage(message.event_id, message)
        if self._log is not None and task.position >= 0:
            self._log[task.position] = action
        self._await_answer(task, message)

    def _await_answer(self, task: ActionTask[Any], message: EntityMessage) -> None:
        if type(message) is EntityOperationCalled:
            self.answers[message.request_id] = task
        elif type(message) is EntityLockRequested:
            self.answers[message.critical_section_id] = task

    def _numbered(self, action: OrchestratorAction, number: int) -> _Renumbered:
        if type(action) is SendEntityMessage:
            name = uuid5(_REQUESTS, f"{self.execution}:{number}")
            return SendEntityMessage(number, _identified(action.message, number, str(name)))
        return msgspec.structs.replace(action, id=number)

    @property
    def awaited_action(self) -> OrchestratorAction | None:
        """What the code asked for first of all that history has not confirmed."""
        for queue in (self._queue, self._hidden):
            if queue:
                return queue[0].action
        return None

    @property
    def queued(self) -> int:
        """How many actions history has not confirmed."""
        return len(self._queue) + len(self._hidden)

    # -- the turn ends -----------------------------------------------------------------------

    def flush(self) -> list[OrchestratorAction]:
        """Open what is in the queue, and return what the host shall be told."""
        new: list[OrchestratorAction] = []
        for task in self._queue:
            if task.action.id < self._recorded:
                # Predicted before a recorded id was learnt that is higher.
                self._learn(task, self.next_id)
            action = task.action
            if type(action) is SendEntityMessage:
                self._await_answer(task, action.message)
            elif type(action) is not SendEvent:
                self.open[action.id] = task
            new.append(action)
        self._queue.clear()
        self._limit = -1 if self.restart is not None else self.next_id + self._max_actions
        return new if self._log is None else list(self._log)

    def trace(self) -> tuple[YieldTrace, ...]:
        """Return the yields since the start, with the actions that each reached first."""
        if self._log is None:
            return ()
        entries: list[YieldTrace] = []
        begin = 0
        for task, end in self._marks:
            entries.append(YieldTrace(task, tuple(self._log[begin:end])))
            begin = end
        return tuple(entries)


class ClosedLedger(Ledger):
    """The ledger of a closed execution: whatever its code still asks for ends it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(ReplayEnv())

    def _end(self, *_args: Any, **_options: Any) -> NoReturn:
        raise GeneratorExit

    schedule = place = wait = forget_wait = cancelled = continue_as_new = note_status = _end


def _identified(message: EntityMessage, number: int, name: str) -> _Renumbered:
    """Return the message as the numbered event that will record it; an unlock has its name."""
    if type(message) is EntityUnlockSent:
        return msgspec.structs.replace(message, event_id=number)
    if type(message) is EntityLockRequested:
        return msgspec.structs.replace(message, event_id=number, critical_section_id=name)
    return msgspec.structs.replace(message, event_id=number, request_id=name)


#: Has no state: every change of it raises.
CLOSED = ClosedLedger()
