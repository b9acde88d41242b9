"""Random orchestrators, and a tiny hub that runs them and records history.

A program is a tuple of steps; ``orchestrator_of`` makes a generator function or an
``async def`` of it. What a task
does is in its name (``ok``, or ``fails 2``: the first two attempts), so that the hub needs no code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import msgspec
from hypothesis import strategies as st

from durable_app.entity_id import EntityId
from durable_app.errors import OrchestratorError, TaskFailedError, TaskTimeoutError
from durable_app.protocol import (
    PATCH_MARKER,
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    EventRaised,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorAction,
    OrchestratorStarted,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerCreated,
    TimerFired,
)
from durable_app.protocol import RetryPolicy as HostPolicy
from durable_app.replay.chronicle import recording
from durable_app.replay.engine import Emit, Execution, ReplayEnv, ReplayResult, replay
from durable_app.replay.retry import RetryOptions, RetryPolicy
from durable_app.replay.tasks import TimerTask
from durable_app.replay.waits import ExternalEventTask
from tests.unit.replay.world import NOON, recorded

Program = tuple[Any, ...]

NAMES = st.sampled_from(["ok", "fails 1", "fails 2", "fails 9"])
KEYS = st.sampled_from("ab")
LEAVES = st.one_of(
    st.tuples(st.just("activity"), NAMES),
    st.tuples(st.just("child"), NAMES),
    st.tuples(st.just("retried activity"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("retried child"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("timer"), st.integers(0, 9)),
    st.tuples(st.just("event"), st.sampled_from(["go", "Go", "stop"])),
    st.tuples(st.just("entity"), NAMES, KEYS),
    st.tuples(st.just("judged"), NAMES, st.sampled_from(["ValueError", "KeyError", "jitter"])),
    st.tuples(st.just("timed event"), st.sampled_from(["go", "never"]), st.integers(0, 9)),
    st.tuples(
        st.just("map"), st.lists(NAMES, max_size=4).map(tuple), st.sampled_from([None, 1, 2])
    ),
)
TASKS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("all"), st.lists(inner, max_size=3).map(tuple)),
        st.tuples(st.just("any"), st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
SIMPLE_STEPS = st.one_of(
    TASKS,
    st.tuples(st.just("status")),
    st.tuples(st.just("uuid")),
    st.tuples(st.just("forget"), LEAVES),
    st.tuples(st.just("signal"), KEYS),
    st.tuples(st.just("send")),
    st.tuples(st.just("patch"), KEYS),
    st.tuples(st.just("entity"), NAMES, KEYS),
)
STEPS = st.recursive(
    SIMPLE_STEPS,
    lambda inner: st.one_of(
        st.tuples(st.just("try"), st.lists(inner, max_size=3).map(tuple)),
        st.tuples(
            st.just("locked"),
            st.sets(KEYS, min_size=1).map(sorted).map(tuple),
            st.lists(inner, max_size=3).map(tuple),
        ),
    ),
    max_leaves=6,
)
PROGRAMS = st.tuples(
    st.lists(STEPS, max_size=5).map(tuple),
    st.sampled_from(["return", "again", "raise"]),
    st.sampled_from(["yields", "awaits"]),
)


def orchestrator_of(program: Program) -> Callable[[Any], Any]:
    steps, ending, form = program

    def generator_function(context: Any) -> Any:
        log: list[Any] = []
        serial = count()
        yield from _run(context, steps, log, serial)
        if ending == "again":
            context.continue_as_new(log)
            yield context.call_activity("never")
        if ending == "raise":
            raise LookupError(len(log))
        return log

    return generator_function if form == "yields" else awaiting(generator_function)


def awaiting(generator_function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make an ``async def`` that does what the generator function does."""

    async def orchestrator(context: Any) -> Any:
        generator = generator_function(context)
        resume: Callable[[], Any] = partial(generator.send, None)
        try:
            while True:
                task = resume()
                try:
                    resume = partial(generator.send, await task)
                except Exception as error:  # noqa: BLE001  the program gets whatever it is
                    resume = partial(generator.throw, error)
        except StopIteration as stop:
            return stop.value
        finally:
            generator.close()

    return orchestrator


def _run(  # noqa: C901  it is only a match over the kinds of steps
    context: Any, steps: Program, log: list[Any], serial: Iterator[int]
) -> Generator[Any, Any, None]:
    for step in steps:
        match step:
            case ("status",):
                context.set_custom_status([context.is_replaying, len(log)][1:])
            case ("uuid",):
                log.append([context.new_uuid(), str(context.current_utc_datetime)])
            case ("forget", leaf):
                _task(context, leaf, serial)
            case ("try", inner):
                try:
                    yield from _run(context, inner, log, serial)
                except (TaskFailedError, TaskTimeoutError) as error:
                    log.append(str(error))
            case ("send",):
                context.send_event("other", "go", next(serial))
            case ("patch", key):
                log.append(context.is_patched(key))
            case ("signal", key):
                context.signal_entity(EntityId("e", key), "note", next(serial))
            case ("locked", keys, inner):
                # What a section forbids is an outcome like any other.
                try:
                    with (yield context.lock_entities([EntityId("e", key) for key in keys])):
                        yield from _run(context, inner, log, serial)
                except OrchestratorError as error:
                    log.append(str(error))
            case _:
                task = _task(context, step, serial)
                log.append(_shown(task, (yield task)))
                _cancel(task)
        log.append(len(context.histories))


def _shown(task: Any, result: Any) -> Any:
    return task.children.index(result) if hasattr(result, "is_completed") else str(result)


def _cancel(task: Any) -> None:
    for child in getattr(task, "children", ()):
        _cancel(child)
        if isinstance(child, (TimerTask, ExternalEventTask)):
            child.cancel()


def _task(  # noqa: C901, PLR0911, PLR0912  it is only a match over the kinds of tasks
    context: Any, leaf: Program, serial: Iterator[int]
) -> Any:
    match leaf:
        case ("activity", name):
            return context.call_activity(name, next(serial))
        case ("child", name):
            return context.call_sub_orchestrator(name, next(serial))
        case ("retried activity", name, most):
            return context.call_activity_with_retry(name, RetryOptions(1000, most), next(serial))
        case ("retried child", name, most):
            options = RetryOptions(1000, most, backoff_coefficient=2)
            return context.call_sub_orchestrator_with_retry(name, options, next(serial))
        case ("entity", name, key):
            return context.call_entity(EntityId("e", key), name, next(serial))
        case ("timer", seconds):
            return context.create_timer(timedelta(seconds=seconds))
        case ("judged", name, "jitter"):
            policy = RetryPolicy(
                first_retry_interval=timedelta(seconds=8), max_number_of_attempts=3, jitter=0.5
            )
            return context.call_activity_with_retry(name, policy, next(serial))
        case ("judged", name, kind):
            options = RetryOptions(1000, 3, retry_on=[kind, lambda failure: False])
            return context.call_sub_orchestrator_with_retry(name, options, next(serial))
        case ("timed event", name, seconds):
            limit = timedelta(seconds=seconds)
            return context.wait_for_external_event(name, timeout=limit)
        case ("map", names, most):
            # One name for all, as ``map`` has it; what comes of each call is in its number.
            items = [next(serial) for _ in names]
            return context.map(names[0] if names else "ok", items, concurrency=most)
        case ("event", name):
            return context.wait_for_external_event(name)
        case ("all", inner):
            return context.task_all([_task(context, each, serial) for each in inner])
        case ("any", inner):
            return context.task_any([_task(context, each, serial) for each in inner])
        case _:
            raise AssertionError(leaf)


class Turn:
    """One turn as it was run: the history before it, its events, its outcome."""

    def __init__(self, past: int, new: list[HistoryEvent], result: ReplayResult) -> None:
        self.past = past
        self.new = new
        self.result = result


class Hub:
    """Runs one instance to its end, with the order of events taken from ``choose``.

    Args:
        choose: given n, returns a number from 0 to n - 1.
    """

    def __init__(
        self, program: Program, env: ReplayEnv, choose: Callable[[int], int], *, warm: bool
    ) -> None:
        self.env = env
        self.fn = orchestrator_of(program)
        self.choose = choose
        self.execution = Execution(self.fn, env) if warm else None
        self.history: list[HistoryEvent] = []
        self.turns: list[Turn] = []
        self.pending: list[Callable[[], HistoryEvent]] = []
        self.coming: list[Callable[[], HistoryEvent]] = []
        self.host_actions: list[HistoryEvent] = []
        self.attempts: Counter[str] = Counter()
        self.locked: set[tuple[str, str]] = set()
        self.signals: set[str] = set()
        self.told = 0
        self.next_id = env.first_id
        self.now = NOON

    def run(self) -> ReplayResult:
        instance = OrchestrationInstance("i", "e" * 32)
        result = self._turn([ExecutionStarted(0, NOON, "p", None, None, instance)])
        while not result.is_complete:
            assert len(self.turns) < 200, "it never ends"
            result = self._turn(self._some_events())
        assert not self.locked, "every block is left before the end"
        return result

    def _some_events(self) -> list[HistoryEvent]:
        events: list[HistoryEvent] = []
        for _ in range(1 + self.choose(3)):
            # External events come at any time; when nothing else is under way they must.
            if not self.pending or self.choose(4) == 0:
                name = ("go", "GO", "Stop")[self.choose(3)]
                events.append(EventRaised(-1, self.now, name, str(len(self.turns))))
            else:
                events.append(self.pending.pop(self.choose(len(self.pending)))())
        return events

    def _turn(self, events: list[HistoryEvent]) -> ReplayResult:
        self.now += timedelta(seconds=1)
        new: list[HistoryEvent] = [OrchestratorStarted(-1, self.now), *events]
        if self.execution is None:
            result = replay(self.fn, self.history, new, self.env)
        else:
            result = self.execution.advance((), new)
        self.turns.append(Turn(len(self.history), new, result))
        self.history += new
        self.history += self.host_actions
        self.host_actions = []
        actions = result.actions[self.told :]
        if self.env.emit is Emit.ALL:
            self.told = len(result.actions)
        for action in actions:
            self._record(action)
        # What the host itself began while it delivered is answered in a later turn at the earliest.
        self.pending += self.coming
        self.coming = []
        return result

    def _record(self, action: OrchestratorAction) -> None:
        if isinstance(action, CompleteOrchestration):
            self.history += recorded([action], self.now)
            return
        number = self.next_id
        self.next_id += 1
        if self.env.strict_ids:
            assert action.id == number
        action = msgspec.structs.replace(action, id=number)
        event = recording(action, self.now)
        assert event is not None
        self.history.append(event)
        self._dispatch(action, number)

    def _dispatch(self, action: OrchestratorAction, number: int) -> None:
        match action:
            case CreateTimer():
                self.coming.append(lambda: TimerFired(-1, self.now, number, action.fire_at))
            case ScheduleTask():
                self.coming.append(lambda: self._answer(action, number, child=False))
            case CreateSubOrchestration():
                self.coming.append(lambda: self._answer(action, number, child=True))
            case SendEntityMessage(message=message):
                self._post(message)
            case SendEvent():
                pass
            case _:
                raise AssertionError(action)

    def _post(
        self,
        message: EntityOperationCalled
        | EntityOperationSignaled
        | EntityLockRequested
        | EntityUnlockSent,
    ) -> None:
        match message:
            case EntityOperationCalled():
                self.coming.append(lambda: self._operation(message))
            case EntityLockRequested(critical_section_id=section, lock_set=targets):
                assert not self.locked
                self.locked = {(section, target) for target in targets}
                self.coming.append(lambda: EntityLockGranted(-1, self.now, section))
            case EntityUnlockSent(critical_section_id=section, target_instance_id=target):
                self.locked.remove((section, target or ""))
            case EntityOperationSignaled(request_id=request):
                assert request not in self.signals
                self.signals.add(request)

    def _operation(self, call: EntityOperationCalled) -> HistoryEvent:
        if call.operation in {"ok", "fails 1"}:
            text = json.dumps(f"{call.operation} {call.input}")
            return EntityOperationCompleted(-1, self.now, call.request_id, text)
        failure = FailureDetails("ValueError", f"{call.operation} {call.input}")
        return EntityOperationFailed(-1, self.now, call.request_id, failure)

    def _answer(
        self, action: ScheduleTask | CreateSubOrchestration, number: int, *, child: bool
    ) -> HistoryEvent:
        key = str(action.input)
        if action.name.startswith(PATCH_MARKER):
            return TaskCompleted(-1, self.now, number)
        self.attempts[key] += 1
        failures = int(action.name.removeprefix("fails ")) if action.name != "ok" else 0
        if self.attempts[key] > failures:
            text = json.dumps(f"{action.name} {key}")
            if child:
                return SubOrchestrationInstanceCompleted(-1, self.now, number, text)
            return TaskCompleted(-1, self.now, number, text)
        if action.retry_policy is not None:
            self._host_repeats(action, action.retry_policy)
        failure = FailureDetails("ValueError", f"attempt {self.attempts[key]}")
        if child:
            return SubOrchestrationInstanceFailed(-1, self.now, number, failure)
        return TaskFailed(-1, self.now, number, failure)

    def _host_repeats(
        self, action: ScheduleTask | CreateSubOrchestration, policy: HostPolicy
    ) -> None:
        """Do as the classic host: a timer after every attempt, then perhaps another attempt."""
        tried = self.attempts[str(action.input)]
        delay = policy.first_retry_interval * policy.backoff_coefficient ** (tried - 1)
        number = self.next_id
        self.next_id += 1
        # The turn that this failure is delivered in begins one second from now.
        fire_at = self.now + timedelta(seconds=1) + delay
        self.host_actions.append(TimerCreated(number, self.now, fire_at))
        self.coming.append(lambda: self._host_timer_fires(action, policy, number, fire_at))

    def _host_timer_fires(
        self,
        action: ScheduleTask | CreateSubOrchestration,
        policy: HostPolicy,
        timer_id: int,
        fire_at: datetime,
    ) -> HistoryEvent:
        if self.attempts[str(action.input)] < policy.max_number_of_attempts:
            number = self.next_id
            self.next_id += 1
            event = recording(action, self.now)
            assert event is not None
            self.host_actions.append(msgspec.structs.replace(event, event_id=number))
            self._dispatch(action, number)
        return TimerFired(-1, self.now, timer_id, fire_at)
