"""The trace of one execution: the context of what it asks for, and the spans that are over.

Theory of operation. An execution has one span, from its first turn to its last, and one for each
thing that it asks for: from the turn in which it asked to the event that answers. The ids of all
follow from the execution's id, so an action has its context before its span is over, and a turn
that is lost and runs again leads to the same ids. A trace follows the execution from turn to turn
beside the suspended code, or is made again from the whole history; both know the same open work.

A span counts as over in the turn that brings the answer as a new event. What is still open when
the execution ends is over with it: nobody waits for it any more. Timers are the exception: one
that has not fired never did anything.

What must never happen: an event of the past makes a span; two spans have one id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from durable_app.protocol import (
    EPOCH,
    PATCH_MARKER,
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    Event,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationTraceContext,
    OrchestratorAction,
    OrchestratorRequest,
    OrchestratorStarted,
    RewindOrchestration,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TraceContext,
)
from durable_app.replay.spans import (
    COMPLETED,
    FAILED,
    FIRE_AT,
    INPUT,
    INSTANCE_ID,
    OUTPUT,
    STATUS,
    TASK_ID,
    Span,
    SpanKind,
    TraceParent,
    derived_span_id,
    derived_trace_id,
    entity_span,
    event_span,
    span_name,
    task_attributes,
)

Sampler = Callable[[str, str], bool]
"""Whether a trace that begins here is recorded, by its id and the name of its first span."""


_Attributes = dict[str, str | int]
_TIMER: Final = "timer"


class _Open(NamedTuple):
    """Something that was asked for and has no answer yet."""

    id: int
    name: str
    kind: SpanKind
    attributes: _Attributes
    started_at: datetime


class ExecutionTrace:
    """The trace of one execution; see the module's text.

    Args:
        request: of the turn for which it is made.
        past: the history before that turn.
        samples: None where spans go nowhere; a context that came from outside is passed on then.
        shows_payloads: the span of the execution tells its input and its output.
    """

    __slots__ = (
        "_instance_id",
        "_is_sampled",
        "_now",
        "_open",
        "_origin",
        "_own",
        "_parent",
        "_previous",
        "_shows_payloads",
        "_started",
        "_state",
    )

    def __init__(
        self,
        request: OrchestratorRequest,
        past: Sequence[HistoryEvent],
        samples: Sampler | None,
        *,
        shows_payloads: bool = False,
    ) -> None:
        first = (e for part in (past, request.new_events) for e in part)
        started = next((e for e in first if type(e) is ExecutionStarted), None)
        self._started = started or ExecutionStarted(name=request.name)
        self._instance_id = request.instance_id
        self._shows_payloads = shows_payloads
        self._open: dict[int | str, _Open] = {}
        self._now = EPOCH
        self._state = None
        self._parent: TraceContext | None = None
        given = TraceParent.of(self._started.parent_trace_context)
        if given is not None:
            self._parent = self._started.parent_trace_context
            self._state = self._parent.trace_state if self._parent is not None else None
        kept = request.trace_context or OrchestrationTraceContext()
        # Before the first turn is recorded it is that of the execution which this one continues.
        follows = request.past_count == 0
        self._previous = kept.trace_parent if follows else kept.previous
        own = None if follows else kept
        self._origin = None if own is None else own.span_start_time
        self._own = self._found(request, given, own, samples)
        self._is_sampled = samples is not None and self._own is not None and self._own.is_sampled
        for event in past:
            self._pass(event)

    def _found(
        self,
        request: OrchestratorRequest,
        given: TraceParent | None,
        own: OrchestrationTraceContext | None,
        samples: Sampler | None,
    ) -> TraceParent | None:
        """The execution's own span; None where nothing of it is recorded anywhere."""
        if samples is None:
            return given
        span_id = None if own is None else own.span_id
        if span_id is None:
            span_id = derived_span_id(request.execution_id, "execution")
        known = None if own is None or own.trace_parent is None else own.trace_parent
        origin = given or _parsed(known) or _parsed(self._previous)
        if origin is not None:
            return origin._replace(span_id=span_id)
        trace_id = derived_trace_id(request.execution_id)
        return TraceParent(trace_id, span_id, samples(trace_id, self._name))

    @property
    def _name(self) -> str:
        return span_name("orchestration", self._started.name, self._started.version)

    # -- what goes out -----------------------------------------------------------------------

    @property
    def kept(self) -> OrchestrationTraceContext | None:
        """What the hub keeps for the next turn."""
        if self._own is None or not (self._is_sampled or self._parent is None):
            return None
        text = self._own.context().trace_parent
        return OrchestrationTraceContext(self._own.span_id, self._origin, text, self._previous)

    def context_of(self, action_id: int) -> TraceContext | None:
        """The context of what an action asks for."""
        own = self._own
        if own is None:
            return None
        if not self._is_sampled:
            return own.context(self._state)
        span_id = derived_span_id(own.span_id, str(action_id))
        return own._replace(span_id=span_id).context(self._state)

    def stamped(self, actions: Iterable[OrchestratorAction]) -> tuple[OrchestratorAction, ...]:
        """The actions, with the contexts of what they ask for."""
        return tuple(actions if self._own is None else map(self._with_context, actions))

    def _with_context(self, action: OrchestratorAction) -> Any:
        kind = type(action)
        if kind is ScheduleTask or kind is CreateSubOrchestration:
            return msgspec.structs.replace(action, parent_trace_context=self.context_of(action.id))
        if type(action) is SendEntityMessage and type(action.message) in _OPERATIONS:
            message: Any = action.message
            context = self.context_of(action.id)
            message = msgspec.structs.replace(message, parent_trace_context=context)
            return SendEntityMessage(action.id, message)
        if type(action) is RewindOrchestration:
            return RewindOrchestration(action.id, self._after_rewind(action.new_history))
        return action

    def _after_rewind(self, history: Sequence[HistoryEvent]) -> tuple[HistoryEvent, ...]:
        """A history whose execution goes on in another span than the one that has failed.

        What is open in it is dispatched again and gets another span, too.
        """
        if self._own is not None and self._is_sampled:
            self._previous = self._own.context().trace_parent
            self._own = self._own._replace(span_id=derived_span_id(self._own.span_id, "rewind"))
            self._origin = None  # it begins with the turn that is going on
        self._open.clear()
        for event in history:
            self._pass(event)
        again = {entry.id for entry in self._open.values()}
        return tuple(
            msgspec.structs.replace(event, parent_trace_context=self.context_of(event.event_id))
            if type(event) in _DISPATCHED and event.event_id in again
            else event
            for event in history
        )

    # -- what comes in -----------------------------------------------------------------------

    def _pass(self, event: HistoryEvent) -> tuple[_Open, Event] | None:
        """Take note of an event; what it answers, if anything."""
        kind = type(event)
        if kind is OrchestratorStarted:
            self._now = max(self._now, event.timestamp)
            if self._origin is None:
                self._origin = self._now
        elif kind in _ANSWERS:
            found = self._open.pop(_ANSWERS[kind](event), None)
            return None if found is None else (found, event)
        elif kind in _RECORDS:
            self._begin(event.event_id, event)
        return None

    def _begin(self, number: int, asked: Any) -> None:
        """Something was asked for, by an action or the event that records one."""
        if not self._is_sampled:
            return
        kind = type(asked)
        if kind is EntityOperationCalled:
            name, attributes = self._operation(number, asked)
            self._open[asked.request_id] = self._opened(number, name, SpanKind.CLIENT, attributes)
            return
        what = _KINDS[kind]
        is_timer = what == _TIMER
        subject = self._started if is_timer else asked
        if subject.name.startswith(PATCH_MARKER):
            return  # how patches are recorded; nothing runs
        attributes = task_attributes(
            what, subject.name, None if is_timer else asked.version, self._instance_id, number
        )
        if is_timer:
            attributes[FIRE_AT] = asked.fire_at.isoformat()
            name, role = f"orchestration:{subject.name}:{_TIMER}", SpanKind.INTERNAL
        else:
            name, role = span_name(what, asked.name, asked.version), SpanKind.CLIENT
        self._open[number] = self._opened(number, name, role, attributes)

    def _opened(self, number: int, name: str, kind: SpanKind, attributes: _Attributes) -> _Open:
        return _Open(number, name, kind, attributes, self._now)

    def _operation(
        self, number: int, asked: EntityOperationCalled | EntityOperationSignaled
    ) -> tuple[str, _Attributes]:
        name, attributes = entity_span(asked.target_instance_id or "", asked.operation)
        return name, attributes | {INSTANCE_ID: self._instance_id, TASK_ID: number}

    # -- spans -------------------------------------------------------------------------------

    def turn(
        self,
        events: Iterable[HistoryEvent],
        actions: Iterable[OrchestratorAction],
        now: datetime,
    ) -> list[Span]:
        """Take note of a turn, and return the spans that it has brought to their end.

        Args:
            events: new ones.
            actions: what the turn asks for.
            now: at the end of the turn, aware UTC.
        """
        spans: list[Span] = []
        for event in events:
            answered = self._pass(event)
            if answered is not None:
                spans.append(self._answered(*answered))
        if not self._is_sampled:
            return spans
        for action in actions:
            self._ask(action, spans, now)
        return spans

    def _ask(self, action: OrchestratorAction, spans: list[Span], now: datetime) -> None:
        kind = type(action)
        if kind in _OPENING:
            self._begin(action.id, action)
        elif type(action) is SendEvent:
            name, attributes = event_span(action.name, action.instance.instance_id)
            attributes |= {INSTANCE_ID: self._instance_id, TASK_ID: action.id}
            spans.append(self._sent(action.id, name, attributes))
        elif type(action) is SendEntityMessage:
            message = action.message
            if type(message) is EntityOperationCalled:
                self._begin(action.id, message)
            elif type(message) is EntityOperationSignaled:
                spans.append(self._sent(action.id, *self._operation(action.id, message)))
        elif type(action) is CompleteOrchestration:
            ended_at = max(now, self._now)
            spans += (
                self._span(entry, ended_at)
                for entry in self._open.values()
                if entry.kind is not SpanKind.INTERNAL
            )
            spans.append(self._whole(action, ended_at))

    def _answered(self, entry: _Open, event: Event) -> Span:
        failure = None
        if type(event) in _FAILURES:
            failure = getattr(event, "failure", None) or FailureDetails("Unknown", "")
        if entry.kind is not SpanKind.INTERNAL:
            entry.attributes[STATUS] = COMPLETED if failure is None else FAILED
        return self._span(entry, max(event.timestamp, entry.started_at), failure)

    def _sent(self, number: int, name: str, attributes: _Attributes) -> Span:
        return self._span(self._opened(number, name, SpanKind.PRODUCER, attributes), self._now)

    def _span(
        self, entry: _Open, ended_at: datetime, failure: FailureDetails | None = None
    ) -> Span:
        context = self.context_of(entry.id)
        assert context is not None  # noqa: S101  the trace is sampled
        return Span(
            entry.name,
            entry.kind,
            context,
            self._own_context,
            entry.started_at,
            ended_at,
            entry.attributes,
            failure,
        )

    def _whole(self, end: CompleteOrchestration, ended_at: datetime) -> Span:
        """The span of the execution itself."""
        started = self._started
        attributes = task_attributes(
            "orchestration", started.name, started.version, self._instance_id
        )
        attributes[STATUS] = end.status.title
        if self._shows_payloads:
            payloads = ((INPUT, started.input), (OUTPUT, end.result))
            attributes |= {key: text for key, text in payloads if text is not None}
        previous = None if self._previous is None else TraceContext(self._previous)
        return Span(
            self._name,
            SpanKind.SERVER,
            self._own_context,
            self._parent,
            min(self._origin or ended_at, ended_at),
            ended_at,
            attributes,
            end.failure,
            () if previous is None else (previous,),
        )

    @property
    def _own_context(self) -> TraceContext:
        assert self._own is not None  # noqa: S101  asked for only where the trace is sampled
        return self._own.context(self._state)


def _parsed(text: str | None) -> TraceParent | None:
    return None if text is None else TraceParent.of(TraceContext(text))


#: Kind of what asks for something, or records it -> the type of its span.
_KINDS: Final[dict[type, str]] = {
    ScheduleTask: "activity",
    TaskScheduled: "activity",
    CreateSubOrchestration: "orchestration",
    SubOrchestrationInstanceCreated: "orchestration",
    CreateTimer: _TIMER,
    TimerCreated: _TIMER,
}
_OPENING: Final = frozenset({ScheduleTask, CreateSubOrchestration, CreateTimer})
_RECORDS: Final = frozenset(
    {TaskScheduled, SubOrchestrationInstanceCreated, TimerCreated, EntityOperationCalled}
)
_DISPATCHED: Final = _RECORDS - {TimerCreated}
_OPERATIONS: Final = frozenset({EntityOperationCalled, EntityOperationSignaled})
#: Kind of an answer -> what it names of that which it answers.
_ANSWERS: Final[dict[type[Event], Callable[[Any], int | str]]] = {
    TaskCompleted: attrgetter("task_scheduled_id"),
    TaskFailed: attrgetter("task_scheduled_id"),
    SubOrchestrationInstanceCompleted: attrgetter("task_scheduled_id"),
    SubOrchestrationInstanceFailed: attrgetter("task_scheduled_id"),
    TimerFired: attrgetter("timer_id"),
    EntityOperationCompleted: attrgetter("request_id"),
    EntityOperationFailed: attrgetter("request_id"),
}
_FAILURES: Final = frozenset({TaskFailed, SubOrchestrationInstanceFailed, EntityOperationFailed})
