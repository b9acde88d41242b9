"""A tiny orchestrator language whose outcome is known beforehand.

A program is JSON: ``{"steps": [...], "rounds": k, "acc": [...]}``. An *execution* is fed history
events one by one and returns actions, so that it makes no difference where a history is cut into
past and new events. Each step appends one entry to ``acc``; after the last step the program goes
round again (continue-as-new, ``rounds`` times) or completes with ``acc`` as its output.

    ["call", v]        activity that returns v             ["timer", s]     wait for s seconds
    ["fails", v]       activity that fails, handled        ["event", n]     wait for an event
    ["retry", k, v]    fails k times; one id for all       ["race", n, s]   event against timer
    ["fan", k]         k activities at once                ["status", t]    custom status
    ["gate", v]        fails (and kills) until it is open  ["leave", s]     work nobody waits for
    ["poison", v]      activity that is always abandoned   ["send", id, v]  event to another one
    ["child", id, p]   sub-orchestration of program p      ["die", v]       fail for good
    ["hedge", v]       a slow activity beside a gate      (entities: see entity_steps)
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec

from durable_app.protocol import (
    EPOCH,
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    EventRaised,
    ExecutionCompleted,
    ExecutionRewound,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorStarted,
    RewindOrchestration,
    ScheduleTask,
    SendEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from tests.simulation import entity_steps

Spec = dict[str, Any]
Wait = Generator[Callable[[], bool], None, Any]

_FAILURES = (TaskFailed, SubOrchestrationInstanceFailed)


class ProgramFailedError(Exception):
    """The program ends as failed."""

    def __init__(self, error_type: str, killer: HistoryEvent | None) -> None:
        super().__init__(error_type)
        self.error_type = error_type
        self.killer = killer


class Execution:
    """One execution of one program: events in, actions out."""

    def __init__(self) -> None:
        self.actions: list[OrchestratorAction] = []
        self.custom_status: str | None = None
        self.acc: list[Any] = []
        self.waits_for: str | None = None
        self.killer: HistoryEvent | None = None
        self.is_over = False
        self.fed = 0
        self.now = EPOCH
        self.instance = OrchestrationInstance("")
        self.asks = False
        self.answers: dict[str, HistoryEvent] = {}
        self._last_id = 0
        self._results: dict[int, HistoryEvent] = {}
        self._events: dict[str, deque[EventRaised]] = defaultdict(deque)
        self._code: Wait | None = None
        self._wait: Callable[[], bool] = lambda: True

    def feed(self, events: Iterable[HistoryEvent]) -> list[OrchestratorAction]:
        """Follow these events; return what the program wants because of them."""
        self.actions = []
        for event in events:
            self.fed += 1
            self._take(event)
            self._advance()
        self.actions = [self._with_events(action) for action in self.actions]
        return self.actions

    def _with_events(self, action: OrchestratorAction) -> OrchestratorAction:
        if not isinstance(action, CompleteOrchestration):
            return action
        if action.status is not OrchestrationStatus.CONTINUED_AS_NEW:
            return action
        # Those of the last turn too that came after what has ended the execution.
        left = tuple(e for queue in self._events.values() for e in queue)
        return msgspec.structs.replace(action, carryover_events=left)

    def _take(self, event: HistoryEvent) -> None:
        match event:
            case OrchestratorStarted():
                self.now = event.timestamp
            case ExecutionStarted():
                self.instance = event.instance or self.instance
                self._code = self._run(json.loads(event.input or "{}"))
            case EventRaised():
                self._events[event.name].append(event)
            case TaskCompleted() | TaskFailed():
                self._results[event.task_scheduled_id] = event
            case SubOrchestrationInstanceCompleted() | SubOrchestrationInstanceFailed():
                self._results[event.task_scheduled_id] = event
            case TimerFired():
                self._results[event.timer_id] = event
            case EntityOperationCompleted() | EntityOperationFailed():
                self.answers[event.request_id] = event
            case EntityLockGranted():
                self.answers[event.critical_section_id] = event
            case _:
                pass

    def _advance(self) -> None:
        while self._code is not None and self._wait():
            try:
                self._wait = next(self._code)
            except StopIteration:
                self._code = None
                self.is_over = True

    # -- the interpreter ---------------------------------------------------------------------

    def _run(self, spec: Spec) -> Wait:
        self.acc = list(spec["acc"])
        try:
            for step in spec["steps"]:
                outcome = yield from self.step(step)
                self.acc.append([step[0], outcome])
        except ProgramFailedError as error:
            self.killer = error.killer
            failure = FailureDetails(error.error_type, "as the program says")
            self._do(CompleteOrchestration(self._id(), OrchestrationStatus.FAILED, None, failure))
            return
        if not spec["rounds"]:
            done = OrchestrationStatus.COMPLETED
            self._do(CompleteOrchestration(self._id(), done, json.dumps(self.acc)))
            return
        again = {**spec, "rounds": spec["rounds"] - 1, "acc": self.acc}
        status = OrchestrationStatus.CONTINUED_AS_NEW
        self._do(CompleteOrchestration(self._id(), status, json.dumps(again)))

    def step(self, step: list[Any]) -> Wait:
        """Carry out one step; its outcome."""
        return _OPS[step[0]](self, *step[1:])

    def _id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _do(self, action: OrchestratorAction) -> None:
        self.actions.append(action)

    def _activity(self, name: str, value: Any, action_id: int | None = None) -> int:
        action_id = action_id or self._id()
        self._results.pop(action_id, None)
        self._do(ScheduleTask(action_id, name, None, json.dumps(value)))
        return action_id

    def _timer(self, seconds: float) -> int:
        action_id = self._id()
        self._do(CreateTimer(action_id, self.now + timedelta(seconds=seconds)))
        return action_id

    def _result(self, action_id: int) -> Generator[Callable[[], bool], None, HistoryEvent]:
        yield lambda: action_id in self._results
        return self._results[action_id]

    def call(self, value: Any) -> Wait:
        event = yield from self._result(self._activity("echo", value))
        if not isinstance(event, TaskCompleted):
            raise ProgramFailedError("Unexpected", event)
        return json.loads(event.result or "null")

    def fails(self, value: Any) -> Wait:
        event = yield from self._result(self._activity("fail", value))
        return _failure_type(event)

    def retry(self, times: int, value: Any) -> Wait:
        action_id = self._activity("fail" if times else "echo", value)
        for attempt in range(1, times + 1):
            yield from self._result(action_id)
            yield from self._result(self._timer(1))
            self._activity("fail" if attempt < times else "echo", value, action_id)
        event = yield from self._result(action_id)
        if not isinstance(event, TaskCompleted):
            raise ProgramFailedError("Unexpected", event)
        return json.loads(event.result or "null")

    def fan(self, count: int) -> Wait:
        ids = [self._activity("echo", number) for number in range(count)]
        yield lambda: all(i in self._results for i in ids)
        return [json.loads(getattr(self._results[i], "result", None) or "null") for i in ids]

    def gate(self, value: Any) -> Wait:
        event = yield from self._result(self._activity("gate", value))
        if isinstance(event, TaskFailed):
            raise ProgramFailedError(_failure_type(event), event)
        return value

    def hedge(self, value: Any) -> Wait:
        slow = self._activity("slow", value)
        event = yield from self._result(self._activity("gate", value))
        if isinstance(event, TaskFailed):
            raise ProgramFailedError(_failure_type(event), event)
        event = yield from self._result(slow)
        return json.loads(getattr(event, "result", None) or "null")

    def poison(self, value: Any) -> Wait:
        event = yield from self._result(self._activity("poison", value))
        return _failure_type(event)

    def timer(self, seconds: float) -> Wait:
        yield from self._result(self._timer(seconds))
        return seconds

    def event(self, name: str) -> Wait:
        self.waits_for = name
        yield lambda: bool(self._events[name])
        self.waits_for = None
        return self._events[name].popleft().input

    def race(self, name: str, seconds: float) -> Wait:
        timer = self._timer(seconds)
        yield lambda: bool(self._events[name]) or timer in self._results
        return self._events[name].popleft().input if self._events[name] else None

    def child(self, instance_id: str | None, spec: Spec) -> Wait:
        action_id = self._id()
        self._do(CreateSubOrchestration(action_id, instance_id, "program", None, json.dumps(spec)))
        event = yield from self._result(action_id)
        if isinstance(event, SubOrchestrationInstanceCompleted):
            return ["ok", json.loads(event.result or "null")]
        kind = _failure_type(event)
        if kind == "GateClosed":
            raise ProgramFailedError(kind, event)
        return ["failed", kind]

    def status(self, text: str) -> Wait:
        yield from ()
        self.custom_status = text
        return text

    def leave(self, seconds: float) -> Wait:
        yield from ()
        self._activity("echo", "left")
        self._timer(seconds)

    def send(self, target: str, value: str) -> Wait:
        yield from ()
        self._do(SendEvent(self._id(), OrchestrationInstance(target), "note", json.dumps(value)))


def die(_run: Execution, _value: str) -> Wait:
    yield from ()
    raise ProgramFailedError("Died", None)


_OPS: dict[str, Callable[..., Wait]] = {
    name: getattr(Execution, name)
    for name in (
        "call",
        "fails",
        "retry",
        "fan",
        "gate",
        "poison",
        "timer",
        "event",
        "race",
        "child",
        "status",
        "leave",
        "send",
        "hedge",
    )
} | {"die": die, **entity_steps.OPS}


def _failure_type(event: HistoryEvent) -> str:
    failure = getattr(event, "failure", None)
    return failure.error_type if failure is not None else "none"


def rewind(past: list[HistoryEvent], new: list[HistoryEvent]) -> list[OrchestratorAction]:
    """The answer to a rewind turn: the history without what killed the execution."""
    old = Execution()
    old.feed(past)
    kept = [e for e in past if not isinstance(e, ExecutionCompleted) and e is not old.killer]
    return [RewindOrchestration(-1, (*kept, *new))]


def is_rewind(new: Iterable[HistoryEvent]) -> bool:
    return any(isinstance(event, ExecutionRewound) for event in new)


# ---------------------------------------------------------------------------------------------
# Random programs, and what may come out of them
# ---------------------------------------------------------------------------------------------

EVENTS = ("go", "stop")


def random_spec(rng: Random, depth: int, targets: list[str]) -> Spec:
    """A program; ``targets`` are ids that it may send events to or take for its children."""
    count = rng.randint(1, 5 if depth == 0 else 3)
    steps = [_random_step(rng, depth, targets) for _ in range(count)]
    steps += entity_steps.last_steps(rng, may_fail=depth == 0)
    if depth == 0 and rng.random() < 0.06:
        steps.append(["die", "end"])
    rounds = rng.choice((0, 0, 0, 1, 2)) if depth == 0 else 0
    return {"steps": steps, "rounds": rounds, "acc": []}


def _random_step(rng: Random, depth: int, targets: list[str]) -> list[Any]:
    value = rng.randint(0, 999)
    makers: list[tuple[float, Callable[[], list[Any]]]] = [
        (6, lambda: ["call", value]),
        (2, lambda: ["fails", value]),
        (3, lambda: ["retry", rng.randint(1, 2), value]),
        (4, lambda: ["fan", rng.randint(2, 6)]),
        (2, lambda: ["gate", f"g{value}"]),
        (1, lambda: ["hedge", f"g{value}"]),
        (1, lambda: ["poison", value]),
        (4, lambda: ["timer", rng.choice((0, 0.005, 1, 20, 400))]),
        (4, lambda: ["event", rng.choice(EVENTS)]),
        (3, lambda: ["race", rng.choice(EVENTS), rng.choice((0.01, 2, 30))]),
        (2, lambda: ["status", f'"s{value}"']),
        (2, lambda: ["leave", rng.choice((1, 60, 3_000))]),
        (1, lambda: ["send", rng.choice(targets), f"n{value}"]),
        *entity_steps.makers(rng),
    ]
    if depth < 2:
        given = rng.choice((None, None, f"shared-{rng.randint(0, 1)}"))
        makers.append((4, lambda: ["child", given, random_spec(rng, depth + 1, targets)]))
    weights, functions = zip(*makers, strict=True)
    step: list[Any] = rng.choices(functions, weights)[0]()
    return step


def mismatch(spec: Spec, acc: Any, *, interfered: bool) -> str | None:
    """What is wrong with an output; None where it is as the program says.

    Args:
        interfered: clients have terminated or replaced instances, so that children may fail.
    """
    wanted = spec["steps"] * (spec["rounds"] + 1)
    if not isinstance(acc, list) or len(acc) != len(wanted):
        return f"{len(wanted)} entries were expected: {acc!r}"
    for step, entry in zip(wanted, acc, strict=True):
        if entry[0] != step[0] or not _fits(step, entry[1], interfered=interfered):
            return f"step {step!r} gave {entry!r}"
    return None


def _fits(step: list[Any], got: Any, *, interfered: bool) -> bool:  # noqa: C901, PLR0911  a table of steps
    match step:
        case ["call", value] | ["gate", value] | ["retry", _, value] | ["hedge", value]:
            return bool(got == value)
        case ["timer", value] | ["status", value]:
            return bool(got == value)
        case ["fails", _]:
            return bool(got == "Wanted")
        case ["poison", _]:
            return bool(got == "PoisonedActivity")
        case ["fan", count]:
            return bool(got == list(range(count)))
        case ["event", _]:
            return isinstance(got, str)
        case ["race", *_]:
            return got is None or isinstance(got, str)
        case ["child", given, spec]:
            if got[0] == "ok":
                return mismatch(spec, got[1], interfered=interfered) is None
            if got[1] == "InstanceExistsError":
                return given is not None
            return got[1] == "OrchestrationTerminated" and interfered
        case _:
            return entity_steps.fits(step, got)


def events_of(acc: list[Any], name: str, spec: Spec) -> list[str]:
    """Payloads of the events of that name that an output tells of, in order."""
    wanted = spec["steps"] * (spec["rounds"] + 1)
    return [
        entry[1]
        for step, entry in zip(wanted, acc, strict=False)
        if step[0] in ("event", "race") and step[1] == name and entry[1] is not None
    ]
