"""Both stores, driven through one random sequence by the hub's own rules, always agree."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from durable_app.errors import InstanceExistsError
from durable_app.ports import Mark
from durable_app.protocol import (
    TERMINAL,
    ActivityResponse,
    CompleteOrchestration,
    CompletionToken,
    CreateSubOrchestration,
    CreateTimer,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorResponse,
    RewindOrchestration,
    ScheduleTask,
    SendEvent,
    TaskFailed,
)
from durable_app.taskhub import activity, lifecycle
from durable_app.taskhub.delivery import Turn, is_ready, make_turn, sort_inbox
from durable_app.taskhub.instance import Decision, Known, OpenWork, RowChange, TaskKey
from durable_app.taskhub.orchestration import complete
from tests.property.entity_messages import entity_messages
from tests.property.store_pair import NAMES, StorePair
from tests.unit.taskhub.builders import NOW

#: Shrinking a failure takes longer than a test may.
pytestmark = pytest.mark.timeout(300)

Status = OrchestrationStatus
TOKEN = CompletionToken("i:x", 1)
FAILURE = FailureDetails("E", "no", properties={"n": 1})
PAYLOADS = st.sampled_from([None, '""', '"in"', '"' + "ü" * 3_000 + '"'])
INSTANCES = st.sampled_from(NAMES)
ENDS = st.sampled_from(
    [
        None,
        None,
        CompleteOrchestration(90, Status.COMPLETED, '"' + "o" * 3_000 + '"'),
        CompleteOrchestration(91, Status.FAILED, None, FAILURE),
        CompleteOrchestration(
            92,
            Status.CONTINUED_AS_NEW,
            '"next"',
            new_version="2",
            carryover_events=(EventRaised(-1, NOW, "carried"),),
        ),
    ]
)
CONTROLS = st.sampled_from(
    [
        EventRaised(-1, NOW, "go", '"1"'),
        ExecutionTerminated(-1, NOW, '"stop"', recurse=True),
        ExecutionSuspended(-1, NOW, '"wait"'),
        ExecutionResumed(-1, NOW),
        ExecutionRewound(-1, NOW, "again"),
    ]
)


@st.composite
def actions(draw) -> list[OrchestratorAction]:
    """What a turn asks for; ids are used again, as some SDKs do."""
    some: list[OrchestratorAction] = []
    for action_id in draw(
        st.lists(st.integers(min_value=1, max_value=4), min_size=1, max_size=3, unique=True)
    ):
        kind = draw(st.sampled_from(["task", "timer", "child", "event", "entity"]))
        if kind == "task":
            some.append(ScheduleTask(action_id, "work", None, draw(PAYLOADS)))
        elif kind == "timer":
            seconds = draw(st.integers(min_value=-1, max_value=5))
            some.append(CreateTimer(action_id, NOW + timedelta(seconds=seconds)))
        elif kind == "entity":
            some.append(draw(entity_messages(action_id, draw(INSTANCES))))
        elif kind == "child":
            some.append(CreateSubOrchestration(action_id, draw(INSTANCES), "flow", None, "1"))
        else:
            target = OrchestrationInstance(draw(INSTANCES))
            some.append(SendEvent(action_id, target, "sent", draw(PAYLOADS)))
    end = draw(ENDS)
    return some if end is None else [*some, end]


class StoreMachine(StorePair):
    """Decides from what the memory store holds, and commits to both."""

    def known(self, instance_id: str) -> Known | None:
        stored = self.memory.load(instance_id)
        if stored is None:
            return None
        ended = stored.instance.is_terminal
        history = () if ended else self.memory.read_history(instance_id, None)
        visible = [m for m in stored.messages if m.visible_at <= self.now]
        return Known(stored.instance, OpenWork.of(history), visible)

    # -- clients ---------------------------------------------------------------------------------

    @rule(instance_id=INSTANCES, text=PAYLOADS, wait=st.sampled_from([None, 3]))
    def start(self, instance_id, text, wait):
        start_at = None if wait is None else self.now + timedelta(seconds=wait)
        row = lifecycle.new_instance(
            instance_id, "flow", self.now, self.ids, input=text, start_at=start_at
        )
        row = msgspec.structs.replace(row, tags={"k": "v"})
        replaceable = TERMINAL | {Status.SUSPENDED}
        try:
            known = self.known(instance_id)
            decision = lifecycle.start(row, known, replaceable, self.now, self.ids)
        except InstanceExistsError:
            return
        assert self.commit(decision) == [None]

    @rule(instance_id=INSTANCES, event=CONTROLS)
    def ask(self, instance_id, event):
        decision = lifecycle.post(instance_id, event, self.now, self.ids)
        assert self.commit(decision) == [None]

    @rule(instance_ids=st.lists(INSTANCES, max_size=2, unique=True))
    def purge(self, instance_ids):
        assert self.memory.purge(instance_ids) == self.sqlite.purge(instance_ids)

    # -- the hub ---------------------------------------------------------------------------------

    @rule(wishes=st.lists(actions(), min_size=4, max_size=4))
    def step_all(self, wishes):
        """Everybody who has something to do, in one group."""
        steps = [self.next_step(i, wish) for i, wish in zip(NAMES, wishes, strict=True)]
        group = [decision for decision in steps if decision is not None]
        assert self.commit(*group) == [None] * len(group)

    @rule(instance_id=INSTANCES, wish=actions())
    def step(self, instance_id, wish):
        decision = self.next_step(instance_id, wish)
        if decision is not None:
            assert self.commit(decision) == [None]

    def next_step(self, instance_id: str, wish: list[OrchestratorAction]) -> Decision | None:
        known = self.known(instance_id)
        if known is None or not known.inbox:
            return None
        heaps = sort_inbox(known.instance, known.work, known.inbox)
        outcome: Decision | Turn
        if heaps.strays:
            outcome = Decision(instance_id, consumed=tuple(heaps.strays))
        elif heaps.arrivals:
            outcome = lifecycle.arrive(known, heaps.arrivals[0], self.now, self.ids)
        elif heaps.control:
            outcome = lifecycle.control(known, heaps.control[0], self.now, self.ids)
        elif is_ready(known.instance, heaps.events):
            outcome = make_turn(known.instance, heaps.events, self.now)
        else:
            return None
        return self.answer(known, outcome, wish) if isinstance(outcome, Turn) else outcome

    def answer(self, known: Known, turn: Turn, actions: list[OrchestratorAction]) -> Decision:
        if any(isinstance(event, ExecutionRewound) for event in turn.events):
            past = self.memory.read_history(turn.instance_id, None)
            kept = [e for e in past if not isinstance(e, ExecutionCompleted | TaskFailed)]
            actions = [RewindOrchestration(1, tuple(kept))]
        response = OrchestratorResponse(turn.instance_id, TOKEN, actions, '"status"')
        return complete(known, turn, response, self.now, self.ids)

    @precondition(lambda self: self.memory.tasks(TaskKey(0), 1))
    @rule(number=st.integers(min_value=0, max_value=5), failure=st.sampled_from([None, FAILURE]))
    def finish(self, number, failure):
        tasks = self.memory.tasks(TaskKey(0), 10)
        task = tasks[number % len(tasks)]
        response = ActivityResponse("", task.task_id, TOKEN, '"done"', failure)
        assert self.commit(activity.finish(task, response, self.now, self.ids)) == [None]

    @precondition(lambda self: self.memory.tasks(TaskKey(0), 1))
    @rule()
    def lose(self):
        [task] = self.memory.tasks(TaskKey(0), 1)
        for store in self.both:
            store.mark(Mark.TASK, [task.key])
            store.postpone(activity.postponed(task, self.now))

    @rule(instance_id=INSTANCES)
    def start_a_turn(self, instance_id):
        key = [task.key for task in self.memory.tasks(TaskKey(0), 1)]
        for store in self.both:
            store.mark(Mark.INSTANCE, [instance_id])
            store.mark(Mark.TASK, key)

    @rule(first=INSTANCES, second=INSTANCES)
    def commit_a_group_with_a_stale_one(self, first, second):
        group: list[Decision] = []
        for instance_id, is_stale in ((first, False), (second, True)):
            known = self.known(instance_id)
            if known is not None:
                decision = lifecycle.postpone(known.instance, self.now)
                expected = decision.expected_revision + (7 if is_stale else 0)
                group.append(msgspec.structs.replace(decision, expected_revision=expected))
        self.commit(*group)

    @rule(instance_id=INSTANCES)
    def insert_over_whatever_is_there(self, instance_id):
        row = lifecycle.new_instance(instance_id, "flow", self.now, self.ids)
        self.commit(Decision(instance_id, row, RowChange.INSERT))

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_row_counts_its_history(self):
        for instance_id in NAMES if hasattr(self, "memory") else ():
            stored = self.memory.load(instance_id)
            if stored is not None:
                length = len(self.memory.read_history(instance_id, None))
                assert length == stored.instance.history_count


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
