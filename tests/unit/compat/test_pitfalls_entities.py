"""What moved apps stumble over, in lists that users can read: entities and locks.

That ten thousand signals are each applied once and in order, and that crashes lose no lock, is
shown in tests/e2e/test_entities.py and test_entities_crash.py; all rules of locks in
tests/unit/replay/test_locks.py.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_entity_operation, run_orchestration

C = df.EntityId("Counter", "c")

# -- ids ------------------------------------------------------------------------------------------


def test_the_id_of_an_entity_is_a_key_of_a_dict():
    """It can be hashed, compared and sorted."""
    again = df.EntityId("counter", "c")

    assert {C: 1}[again] == 1
    assert {C, again} == {C}
    assert sorted([C, df.EntityId("Account", "z")])[0].key == "z"


def test_the_case_of_an_entitys_name_does_not_matter(app: df.DFApp, play):
    """`Counter` and `counter` are one entity; keys are compared as they are."""

    @app.entity_trigger(context_name="context", entity_name="Counter")
    def count(context):
        context.set_state(context.get_state(lambda: 0) + 1)

    async def story(run: AppRunner):
        for name, key in (("COUNTER", "c"), ("counter", "c"), ("counter", "C")):
            await run.signal_entity(df.EntityId(name, key), "add")
        return await run.entity_state("@counter@c"), await run.entity_state("@Counter@C")

    assert play(story) == (2, 1)


def test_both_names_of_the_class_are_one_class():
    """`EntityId` of 1.x and `EntityInstanceId` of durabletask."""
    assert df.EntityInstanceId is df.EntityId
    assert df.EntityInstanceId.parse("@counter@c") == C


# -- state ----------------------------------------------------------------------------------------


class Account(df.DurableEntity):
    """With a method that fails after it has changed everything it can."""

    def put(self, amount: int) -> int:
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    def fail(self) -> None:
        self.set_state(-1)
        self.signal_entity(C, "add")
        self.start_new_orchestration("audit")
        raise ValueError("no money")

    def Put(self, amount: int) -> str:  # noqa: N802  the capital letter is the test
        return f"another operation: {amount}"

    def change(self) -> list[int]:
        state = self.get_state(list, [])
        state.append(1)
        return state

    def _hidden(self) -> None:
        self.set_state("seen")


def test_an_operation_that_fails_changes_nothing(app: df.DFApp, play):
    """Its state, its signals and its starts are taken back; those before it are kept."""
    app.entity_trigger(context_name="context")(Account)
    ran = []

    @app.entity_trigger(context_name="context")
    def counter(context):
        ran.append("signal")

    @app.orchestration_trigger(context_name="context")
    def audit(context):
        ran.append("start")

    async def story(run: AppRunner):
        await run.signal_entity("@account@a", "put", 5)
        await run.signal_entity("@account@a", "fail")
        await run.signal_entity("@account@a", "put", 2)
        return await run.entity_state("@account@a"), ran

    assert play(story) == (7, [])


@pytest.mark.parametrize("state", [0, "", False, [], {}], ids=repr)
def test_a_falsy_state_is_a_state(app: df.DFApp, play, state):
    """`set_state(0)` keeps 0: the initializer is not asked again, and the entity exists."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        seen = context.get_state(lambda: "initial")
        context.set_state(state)
        context.set_result(seen)

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        first = yield context.call_entity(C, "touch")
        return [first, (yield context.call_entity(C, "touch"))]

    async def story(run: AppRunner):
        seen = await run.run(calls)
        return seen, (await run.client.read_entity_state(C)).entity_exists

    assert play(story) == (["initial", state], True)


def test_a_state_that_is_changed_in_place_is_not_kept_by_itself():
    """`get_state` gives a copy; `set_state` keeps it."""
    done = run_entity_operation(Account, "change", state=[7])

    assert (done.result, done.state) == ([7, 1], [7])


def test_later_changes_of_what_was_given_to_set_state_do_not_count(app: df.DFApp):
    """`set_state` keeps what the value is at the time of the call."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        items = [1]
        context.set_state(items)
        items.append(2)

    assert run_entity_operation(counter, "add").state == [1]


def test_an_entity_knows_whether_it_is_new(app: df.DFApp):
    """`is_newly_constructed` is True for the first operation only."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.set_state(1)
        return context.is_newly_constructed

    assert run_entity_operation(counter, "add").result is True
    assert run_entity_operation(counter, "add", state=0).result is False


# -- operations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation",
    ["set_state", "get_state", "signal_entity", "entity_context", "_hidden", "__init__"],
)
def test_callers_reach_your_own_public_methods_only(app: df.DFApp, play, operation):
    """`set_state` as an operation would let anybody overwrite a state; it is unknown."""
    app.entity_trigger(context_name="context")(Account)

    async def story(run: AppRunner):
        await run.signal_entity("@account@a", "put", 5)
        await run.signal_entity("@account@a", operation, 1_000_000)
        return await run.entity_state("@account@a")

    assert play(story) == 5
    with pytest.raises(AttributeError, match=f"no operation '{operation}'"):
        run_entity_operation(Account, operation, 1)


def test_the_case_of_an_operations_name_matters():
    """`put` and `Put` are two methods; a near miss is told."""
    assert run_entity_operation(Account, "put", 5).result == 5
    assert run_entity_operation(Account, "Put", 5).result == "another operation: 5"
    with pytest.raises(AttributeError, match="Did you mean 'change'"):
        run_entity_operation(Account, "CHANGE")


def test_what_an_entity_function_returns_is_its_result(app: df.DFApp):
    """`set_result` is not needed; where it is called it counts, None included."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        if context.operation_name == "set":
            context.set_result(None)
        return 7

    assert run_entity_operation(counter, "get").result == 7
    assert run_entity_operation(counter, "set").result is None


@pytest.mark.parametrize("given", [0, "", False, [], {}], ids=repr)
def test_falsy_inputs_arrive_at_an_entity(app: df.DFApp, play, given):
    """From orchestrators, from clients and from other entities."""
    seen = []

    @app.entity_trigger(context_name="context")
    def counter(context):
        seen.append(context.get_input())
        if context.operation_name == "pass on":
            context.signal_entity(C, "take", given)

    @app.orchestration_trigger(context_name="context")
    def sends(context):
        context.signal_entity(C, "take", given)
        yield context.call_entity(C, "pass on", given)

    async def story(run: AppRunner):
        await run.client.signal_entity(C, "take", given)
        await run.run(sends)
        await run.settle()

    play(story)
    assert seen == [given] * 4


def test_an_entity_sends_signals_and_starts_orchestrations(app: df.DFApp, play):
    """From functions of one argument, too."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.signal_entity(df.EntityId("log", "l"), "write", context.operation_name)
        context.start_new_orchestration("report", "by an entity", "the-report")

    @app.entity_trigger(context_name="context")
    def log(context):
        context.set_state(context.get_input())

    @app.orchestration_trigger(context_name="context")
    def report(context):
        return context.get_input()

    async def story(run: AppRunner):
        await run.signal_entity(C, "add")
        return await run.entity_state("@log@l"), await run.result("the-report")

    assert play(story) == ("add", "by an entity")


def test_a_signal_can_be_for_later(app: df.DFApp, play):
    """`signal_time=` of a client, to the moment."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.set_state(1)

    async def story(run: AppRunner):
        await run.signal_entity(C, "add", signal_time=run.now + timedelta(days=1))
        await run.advance(timedelta(hours=23))
        before = await run.entity_state(C)
        await run.advance(timedelta(hours=1))
        return before, await run.entity_state(C)

    assert play(story) == (None, 1)


def test_an_operation_may_be_async(app: df.DFApp):
    """`async def` is awaited; its coroutine is not what the caller gets."""

    @app.entity_trigger(context_name="context")
    class Counter(df.DurableEntity):
        async def add(self, number: int) -> int:
            return number + 1

    assert run_entity_operation(Counter, "add", 6).result == 7


def test_an_entity_that_does_not_exist_is_an_error_of_the_call(app: df.DFApp):
    """The caller hears of it; it does not wait for ever."""

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        yield context.call_entity(C, "add")

    with pytest.raises(df.OrchestrationFailedError, match=r"(?i)'counter'"):
        run_orchestration(app, calls)


# -- locks ----------------------------------------------------------------------------------------


def test_two_orchestrations_that_lock_the_same_entities_never_block_each_other(app: df.DFApp, play):
    """The order in which entities are named does not matter."""
    app.entity_trigger(context_name="context")(Account)
    here, there = df.EntityId("Account", "here"), df.EntityId("Account", "there")

    @app.orchestration_trigger(context_name="context")
    def transfer(context):
        entities = [here, there] if context.get_input() else [there, here]
        with (yield context.lock_entities(entities)):
            yield context.create_timer(timedelta(hours=1))
            yield context.call_entity(entities[0], "put", -1)
            return (yield context.call_entity(entities[1], "put", 1))

    async def story(run: AppRunner):
        transfers = [await run.start(transfer, way) for way in (True, False)]
        for each in transfers:
            await run.result(each)
        return await run.entity_state(here), await run.entity_state(there)

    assert play(story) == (0, 0)


def test_a_lock_is_released_when_its_orchestration_fails_or_is_terminated(app: df.DFApp, play):
    """Nobody waits for an entity that a dead orchestration has locked."""
    app.entity_trigger(context_name="context")(Account)

    @app.orchestration_trigger(context_name="context")
    def holds(context):
        with (yield context.lock_entities([df.EntityId("Account", "a")])):
            if context.get_input() == "fail":
                raise ValueError("within the lock")
            yield context.wait_for_external_event("never")

    async def story(run: AppRunner):
        await run.start(holds, "fail")
        stuck = await run.start(holds, "wait")
        await run.signal_entity("@account@a", "put", 5)
        held = await run.entity_state("@account@a")
        await run.terminate(stuck)
        return held, await run.entity_state("@account@a")

    assert play(story) == (None, 5)


def test_a_lock_without_a_yield_is_refused(app: df.DFApp):
    """`with context.lock_entities(...)` would hold nothing."""
    app.entity_trigger(context_name="context")(Account)

    @app.orchestration_trigger(context_name="context")
    def forgets(context):
        with context.lock_entities([df.EntityId("Account", "a")]):
            yield context.create_timer(timedelta(hours=1))

    with pytest.raises(df.OrchestrationFailedError, match=r"with \(yield context.lock_entities"):
        run_orchestration(app, forgets)


# -- reading --------------------------------------------------------------------------------------


def test_the_state_that_a_client_reads_is_a_value(app: df.DFApp, play):
    """Not JSON text that has to be decoded once more."""

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.set_state({"text": '{"looks": "like JSON"}'})

    async def story(run: AppRunner):
        await run.signal_entity(C, "set")
        return (await run.client.read_entity_state(C)).entity_state

    assert play(story) == {"text": '{"looks": "like JSON"}'}
