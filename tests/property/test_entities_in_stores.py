"""Both stores agree on entities: rows, locks, inboxes, births, queries, cleaning."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from durable_app.ports import EntityQuery, Mark, Store
from durable_app.protocol import (
    CompletionToken,
    EntityBatchResult,
    EntityLockRequested,
    EntityUnlockSent,
    FailureDetails,
    OperationFailure,
    OperationSuccess,
    SendEntityMessage,
    SendSignal,
    StartNewOrchestration,
)
from durable_app.taskhub import entities, lifecycle
from durable_app.taskhub.entities import EntityBatch
from durable_app.taskhub.entity_rows import new_entity
from durable_app.taskhub.instance import Decision, Instance, Message, MessageId, RowChange
from tests.property.entity_messages import IDS, WAITS, entity_messages
from tests.property.store_pair import ENTITIES, StorePair
from tests.unit.taskhub.builders import NOW

STATES = st.sampled_from([None, "0", '""', '"' + "ü" * 3_000 + '"'])
FAILURE = FailureDetails("E", "no")
OUTCOMES = st.sampled_from([OperationSuccess("1", NOW, NOW), OperationFailure(FAILURE, NOW, NOW)])
QUERIES = (
    EntityQuery(),
    EntityQuery(include_transient=True, include_state=False),
    EntityQuery("@a@", include_transient=True, page_size=1),
    EntityQuery(modified_from=NOW + timedelta(seconds=1), include_transient=True),
    EntityQuery(modified_to=NOW + timedelta(seconds=1), include_transient=True),
)


@st.composite
def outcomes(draw: Any) -> EntityBatchResult:
    """What a worker answers to a batch."""
    actions = draw(
        st.lists(
            st.sampled_from(
                [
                    SendSignal(0, ENTITIES[0], "add", "1"),
                    SendSignal(0, ENTITIES[3], "add", "1", NOW + timedelta(seconds=3)),
                    StartNewOrchestration(0, "a", "flow", None, "1"),
                    StartNewOrchestration(0, "b", "flow", None, "1", NOW + timedelta(seconds=3)),
                ]
            ),
            max_size=2,
        )
    )
    results = draw(st.lists(OUTCOMES, min_size=1, max_size=3))
    return EntityBatchResult(CompletionToken("e", 1), tuple(results), tuple(actions), draw(STATES))


class EntityMachine(StorePair):
    """Decides for entities from what the memory store holds, and commits to both."""

    @rule(entity_id=IDS, wait=WAITS)
    def signal(self, entity_id: str, wait: float | None) -> None:
        at = None if wait is None else self.now + timedelta(seconds=wait)
        message = entities.signal_message(entity_id, "add", "1", self.now, self.ids, at)
        decision = Decision(entity_id)
        if self.memory.load(entity_id) is None:
            decision = entities.birth(entity_id, self.now)
        assert self.commit(msgspec.structs.replace(decision, messages=(message,))) == [None]

    @rule(sent=entity_messages(1, "a"))
    def send(self, sent: SendEntityMessage) -> None:
        """An orchestration does it; an unlock alone lets no entity come into being."""
        event: Any = sent.message
        is_request = isinstance(event, EntityLockRequested)
        target = event.lock_set[0] if is_request else event.target_instance_id
        is_unlock = isinstance(event, EntityUnlockSent)
        births = () if is_unlock else (new_entity(target, self.now),)
        message = Message(MessageId(self.ids.next_key()), target, None, event, self.now)
        decision = Decision(target, births=births, messages=(message,))
        assert self.commit(decision) == [None]

    @rule(entity_id=IDS, result=outcomes(), most=st.integers(min_value=1, max_value=3))
    def step_entity(self, entity_id: str, result: EntityBatchResult, most: int) -> None:
        stored = self.memory.load(entity_id)
        if stored is None:
            return
        visible = [m for m in stored.messages if m.visible_at <= self.now]
        step = entities.next_step(stored.instance, visible, self.now, self.ids, most)
        if isinstance(step, EntityBatch):
            for store in self.both:
                store.mark(Mark.INSTANCE, [entity_id])
            step = entities.complete_batch(stored.instance, step, result, self.now, self.ids)
        if step is not None:
            assert self.commit(step) == [None]

    @rule(entity_id=IDS, is_last=st.booleans())
    def lose_a_batch(self, entity_id: str, is_last: bool) -> None:
        stored = self.memory.load(entity_id)
        if stored is None:
            return
        step: Any = entities.next_step(stored.instance, stored.messages, self.now, self.ids, 5)
        if is_last and isinstance(step, EntityBatch):
            decision = entities.give_up_first(stored.instance, step, "x", self.now, self.ids)
        else:
            decision = lifecycle.postpone(stored.instance, self.now)
        assert self.commit(decision) == [None]

    @rule(first=IDS, second=IDS)
    def touch_both_one_too_late(self, first: str, second: str) -> None:
        group: list[Decision] = []
        for entity_id, delta in ((first, 0), (second, 5)):
            row = self.row(entity_id)
            if row is not None:
                decision = lifecycle.postpone(row, self.now)
                revision = decision.expected_revision + delta
                group.append(msgspec.structs.replace(decision, expected_revision=revision))
        self.commit(*group)

    def row(self, instance_id: str) -> Instance | None:
        """As it is stored."""
        stored = self.memory.load(instance_id)
        return stored.instance if stored is not None else None

    @rule(entity_id=IDS)
    def be_born_again(self, entity_id: str) -> None:
        born = new_entity(entity_id, self.now)
        assert self.commit(Decision(entity_id, births=(born,))) == [None]
        self.commit(Decision(entity_id, born, RowChange.INSERT))

    @rule(after=st.sampled_from(["", *ENTITIES]), is_removed=st.booleans())
    def clean(self, after: str, is_removed: bool) -> None:
        found, others = (store.entities(after, 3) for store in self.both)
        assert found == others
        for row in found:
            decision = entities.release_orphan(row, self.now, self.ids)
            assert self.commit(decision) == [None]
        empty = [
            row.instance_id
            for row in found
            if row.entity is not None and row.entity.state is None and row.entity.lock is None
        ]
        if is_removed:
            removed = {store.purge(empty) for store in self.both}
            assert removed == {len(empty)}

    @invariant()
    def both_find_the_same_entities(self) -> None:
        if hasattr(self, "memory"):
            first, second = (_pages(store) for store in self.both)
            assert first == second


def _pages(store: Store) -> list[Any]:
    found: list[Any] = [store.entities("", 10), store.entities(ENTITIES[1], 2)]
    for query in QUERIES:
        page = store.query_entities(query)
        found.append(page)
        while page.continuation_token is not None:
            following = msgspec.structs.replace(query, continuation_token=page.continuation_token)
            page = store.query_entities(following)
            found.append(page)
    return found


TestEntityMachine = EntityMachine.TestCase
TestEntityMachine.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
