"""A batch: each operation as a whole or not at all, in order, each told once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from durable_app.protocol import (
    EntityBatchRequest,
    FailureDetails,
    OperationFailure,
    OperationInfo,
    OperationRequest,
    OperationSuccess,
    OrchestrationInstance,
)
from durable_app.replay.entity import (
    EntityBatch,
    refused_batch,
    run_batch,
    run_batch_async,
)
from durable_app.replay.entity_context import DurableEntity
from tests.unit.replay.entity_rig import (
    NOON,
    TOKEN,
    a_class,
    a_function,
    a_request,
    call,
    outcomes,
    run,
    signal,
    ticking,
)


class Counter(DurableEntity):
    def add(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def add_and_fail(self, amount: int) -> None:
        self.signal_entity("@log@a", "note", amount)
        self.add(amount)
        raise ValueError("no")

    def tell(self, text: str) -> None:
        self.signal_entity("@log@a", "note", text)

    def strange(self) -> object:
        self.add(1)
        return object()

    def leave(self) -> None:
        raise SystemExit("bye")


class AsyncCounter(DurableEntity):
    async def add(self, amount: int) -> int:
        await asyncio.sleep(0)
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def get(self) -> int:
        return self.get_state(int, 0)

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def wait(self) -> None:
        self.set_state(-1)
        await asyncio.sleep(60)


# -- Order and state ------------------------------------------------------------------------------


def test_each_operation_begins_where_the_last_one_ended():
    result = run(Counter, signal("add", "5"), signal("add", "2"), state="10")
    assert outcomes(result) == ["15", "17"]
    assert (result.entity_state, result.token) == ("17", TOKEN)


def test_a_batch_of_nothing_keeps_the_state():
    result = run(Counter, state="10")
    assert (result.results, result.entity_state) == ((), "10")


@pytest.mark.parametrize("state", ["0", "false", '""', "[]", "null"])
def test_a_falsy_state_is_a_state(state):
    assert run(lambda context: None, "look", state=state).entity_state == state


def test_times_are_those_of_each_operation():
    result = run(Counter, signal("add", "1"), "leave")
    times = [(each.started_at - NOON, each.ended_at - NOON) for each in result.results]
    second = timedelta(seconds=1)
    assert times == [(0 * second, second), (2 * second, 3 * second)]


def test_an_operation_that_fails_leaves_nothing_behind():
    result = run(Counter, signal("add", "1"), signal("add_and_fail", "5"), signal("add", "1"))
    assert outcomes(result) == ["1", "ValueError: no", "2"]
    assert (result.entity_state, result.actions) == ("2", ())


def test_without_rollback_what_it_did_before_it_failed_counts():
    result = run(Counter, signal("add_and_fail", "5"), signal("add", "1"), rollback=False)
    assert outcomes(result) == ["ValueError: no", "6"]
    assert [each.input for each in result.actions] == ["5"]


def test_a_result_that_cannot_be_sent_is_a_failure():
    result = run(Counter, "strange")
    assert "result, operation 'strange' of entity 'counter'" in str(outcomes(result)[0])
    assert result.entity_state is None


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_whatever_an_operation_raises_is_its_failure(error):
    def entity(context):
        raise error

    assert outcomes(run(entity, "look", "look")) == [f"{error.__name__}: "] * 2


def test_ids_of_what_is_sent_count_through_the_batch():
    result = run(Counter, signal("tell", '"a"'), signal("add_and_fail", "5"), signal("tell", '"b"'))
    assert [(each.id, each.input) for each in result.actions] == [(0, '"a"'), (1, '"b"')]


# -- Addresses ------------------------------------------------------------------------------------


def test_calls_are_answered_and_signals_are_not():
    result = run(Counter, call("add", "1", "c"), signal("add", "1", "s"), signal("leave"))
    assert result.operation_infos == (
        OperationInfo("c", OrchestrationInstance("order-1", "e1")),
        OperationInfo("s"),
        OperationInfo("r"),
    )


def test_the_older_form_of_a_request_has_no_addresses():
    request = EntityBatchRequest("@counter@a", "1", (OperationRequest("add", "r", "2"),), TOKEN)
    result = run_batch(a_class(Counter), request, ticking())
    assert (outcomes(result), result.operation_infos) == (["3"], ())


def test_a_refused_batch_fails_every_operation_and_keeps_the_state():
    failure = FailureDetails("EntityNotRegisteredError", "nobody")
    result = refused_batch(a_request("add", "get", state="1"), failure, lambda: NOON)
    assert result.results == (OperationFailure(failure, NOON, NOON),) * 2
    assert (result.entity_state, len(result.operation_infos)) == ("1", 2)


# -- Async ----------------------------------------------------------------------------------------


def run_async(*operations, state=None):
    request = a_request(*operations, state=state)
    return asyncio.run(run_batch_async(a_class(AsyncCounter), request, ticking()))


def test_async_operations_and_plain_ones_take_turns():
    result = run_async(signal("add", "5"), "get", "fail", signal("add", "1"))
    assert outcomes(result) == ["5", "5", "ValueError: no", "6"]
    assert result.entity_state == "6"


def test_async_and_sync_follow_the_same_rules():
    operations = [signal("get"), signal("set_state", "9"), signal("get", "1")]
    request = a_request(*operations, state="3")
    asynchronous = asyncio.run(run_batch_async(a_class(AsyncCounter), request, ticking()))
    synchronous = run_batch(a_class(AsyncCounter), request, ticking())
    assert [type(each) for each in asynchronous.results] == [
        OperationSuccess,
        OperationFailure,
        OperationSuccess,
    ]
    assert outcomes(asynchronous) == outcomes(synchronous)
    assert asynchronous.entity_state == synchronous.entity_state == "3"


def test_a_coroutine_that_nobody_awaits_is_a_failure():
    assert "TypeError: Entity 'counter' returned a coroutine" in str(
        outcomes(run(AsyncCounter, signal("add", "1")))[0]
    )


def test_what_is_no_outcome_passes_through():
    batch = EntityBatch(a_class(AsyncCounter), a_request("wait"), ticking())

    async def cancelled() -> None:
        task = asyncio.ensure_future(
            batch.run_async(lambda error: isinstance(error, asyncio.CancelledError))
        )
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


# -- Cut short ------------------------------------------------------------------------------------

LATE = FailureDetails("TimeoutError", "late")


def test_what_is_done_counts_and_the_running_operation_fails():
    found = []

    def entity(context):
        if context.operation_name == "slow":
            found.append(batch.cut_short(LATE))
            context.set_state("too late")
        context.set_state(context.operation_name)

    batch = EntityBatch(a_function(entity), a_request("first", "slow", "third"), ticking())
    late = batch.run()

    assert outcomes(found[0]) == [None, "TimeoutError: late"]
    assert (found[0].entity_state, len(found[0].operation_infos)) == ('"first"', 2)
    assert batch.is_cut
    # What ran on could change nothing, and the third one did not begin.
    assert "has ended" in str(outcomes(late)[1])
    assert (late.entity_state, len(late.results)) == ('"first"', 2)


def test_a_batch_that_is_done_is_not_cut():
    batch = EntityBatch(a_class(Counter), a_request(signal("add", "1")), ticking())
    result = batch.run()
    assert batch.cut_short(LATE) == result


def test_before_the_first_operation_nothing_has_failed():
    batch = EntityBatch(a_class(Counter), a_request("leave", state="1"), ticking())
    assert batch.cut_short(LATE).results == ()
    assert batch.run().results == ()
