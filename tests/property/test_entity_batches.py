"""Where a batch of an entity's operations is cut changes nothing; nor does it if they are async."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from durable_app.protocol import OperationSuccess
from durable_app.replay.entity import EntityDefinition, run_batch, run_batch_async
from durable_app.replay.entity_context import DurableEntity
from tests.unit.replay.entity_rig import NOON, a_class, a_request, signal


class Account(DurableEntity):
    def put(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        self.signal_entity("@log@a", "note", amount)
        return self.get_state(int, 0)

    def fail(self, amount: int) -> None:
        self.put(amount)
        self.start_new_orchestration("ship")
        raise ValueError(str(amount))

    def ship(self, amount: int) -> str:
        return self.start_new_orchestration("ship", amount)


class AsyncAccount(Account):
    async def put(self, amount: int) -> int:  # type: ignore[override]  # the same, awaited
        await asyncio.sleep(0)
        return Account.put(self, amount)

    async def fail(self, amount: int) -> None:  # type: ignore[override]  # the same, awaited
        await self.put(amount)
        raise ValueError(str(amount))


class Outcome(NamedTuple):
    results: list[Any]
    sent: list[Any]
    state: str | None


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "fail", "ship", "delete", "set_state"]),
        st.sampled_from(["0", "1", "-3", '"x"', None]),
    ),
    max_size=8,
)


def outcome_of(batches: list[list[Any]], definition: EntityDefinition, *, is_async: bool) -> Any:
    """Run batches one after the other, each on the state of the last."""
    found = Outcome([], [], None)
    for batch in batches:
        request = a_request(*batch, state=found.state)
        if is_async:
            result = asyncio.run(run_batch_async(definition, request, lambda: NOON))
        else:
            result = run_batch(definition, request, lambda: NOON)
        assert len(result.results) == len(result.operation_infos) == len(batch)
        assert [each.id for each in result.actions] == list(range(len(result.actions)))
        told = [
            each.result
            if isinstance(each, OperationSuccess)
            else (each.failure.error_type, each.failure.error_message)
            for each in result.results
        ]
        sent = [(each.name, each.input, each.instance_id) for each in result.actions]
        found = Outcome(found.results + told, found.sent + sent, result.entity_state)
    return found


@given(OPERATIONS, st.data())
def test_where_a_batch_is_cut_changes_nothing(operations, data):
    asked = [signal(name, text, f"r{i}") for i, (name, text) in enumerate(operations)]
    cut = data.draw(st.integers(0, len(asked)))
    whole = outcome_of([asked], a_class(Account), is_async=False)

    assert outcome_of([asked[:cut], asked[cut:]], a_class(Account), is_async=False) == whole
    assert outcome_of([[each] for each in asked], a_class(Account), is_async=False) == whole
    assert outcome_of([asked], a_class(AsyncAccount), is_async=True) == whole


@given(OPERATIONS)
def test_what_fails_might_as_well_not_have_been_asked_for(operations):
    asked = [signal(name, text, f"r{i}") for i, (name, text) in enumerate(operations)]
    whole = outcome_of([asked], a_class(Account), is_async=False)
    kept = [
        each
        for each, result in zip(asked, whole.results, strict=True)
        if not isinstance(result, tuple)
    ]
    alone = outcome_of([kept], a_class(Account), is_async=False)

    assert (alone.state, alone.sent) == (whole.state, whole.sent)
