"""One operation of an entity, run by a test."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import durable_app as df
from durable_app.testing import execute_entity, run_entity_operation

NOW = datetime(2030, 1, 1, tzinfo=UTC)
bp = df.Blueprint()


class Money(BaseModel):
    cents: int = 0


@bp.entity_trigger(context_name="context", entity_name="Purse")
def purse(context: df.DurableEntityContext) -> Any:
    money = context.get_state(Money, Money)
    if context.operation_name == "fail":
        raise ValueError(f"{context.entity_name} {context.entity_key}")
    money.cents += context.get_input(int)
    context.set_state(money)
    context.signal_entity("@bank@main", "note", {"cents": 1}, timedelta(hours=1))
    context.signal_entity("@bank@main", "look")
    context.start_new_orchestration("audit", [money.cents], "audit-1")
    return money


@bp.activity_trigger(input_name="name")
def greet(name: str) -> str:
    return name


class Slow(df.DurableEntity):
    async def add(self, amount: int) -> int:
        await asyncio.sleep(0)
        self.set_state(self.get_state(int, 0) + amount)
        return amount


def bare(ctx: df.EntityContext, amount: int) -> int:
    ctx.set_state(amount)
    return amount


def test_result_state_and_what_was_sent() -> None:
    done = run_entity_operation(purse, "add", 3, Money(cents=4), now=NOW)

    assert done.result == {"cents": 7}
    assert done.get_result(Money) == Money(cents=7)
    assert done.state == {"cents": 7}
    assert done.get_state(Money) == Money(cents=7)
    later, at_once = done.signals
    assert later.entity_id == df.EntityId("bank", "main")
    assert later.scheduled_time == NOW + timedelta(hours=1)
    assert later.get_input(Money) == Money(cents=1)
    assert (at_once.operation, at_once.input, at_once.scheduled_time) == ("look", None, None)
    (audit,) = done.started
    assert (audit.name, audit.instance_id, audit.get_input(list[int])) == ("audit", "audit-1", [7])
    assert len(done.actions) == 3


def test_a_failure_is_raised_and_of_its_type() -> None:
    with pytest.raises(df.TaskFailedError, match="purse mine") as caught:
        run_entity_operation(purse, "fail", key="mine")

    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("entity", "operation"), [(Slow, "add"), (bare, "set")])
def test_an_entity_needs_no_decorator(entity: Any, operation: str) -> None:
    done = run_entity_operation(entity, operation, 5)

    assert (done.result, done.state, done.actions) == (5, 5, ())


def test_an_async_entity_runs_beside_an_event_loop() -> None:
    async def main() -> Any:
        return run_entity_operation(Slow, "add", 2, 1).state

    assert asyncio.run(main()) == 3


def test_no_state_is_none_of_any_type() -> None:
    done = execute_entity(Slow, "delete", state=3, entity_name="quick", entity_key="k")

    assert done.state is None
    assert done.get_state(Money) is None


def test_what_is_no_entity_is_refused() -> None:
    with pytest.raises(TypeError, match="is no entity"):
        run_entity_operation(greet, "add")
