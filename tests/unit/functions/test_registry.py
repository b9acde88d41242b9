"""Functions that are added without an app."""

from __future__ import annotations

import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.functions.registry import Registry


def chain(ctx, order_id: int):
    yield order_id


def alone(ctx):
    return None


def double(ctx, number_of: int) -> int:
    return number_of * 2


def plain(number: int) -> int:
    return number


def count(ctx: df.EntityContext, amount: int) -> None:
    """An entity."""


class Account(df.DurableEntity):
    """An entity, too."""


def test_functions_keep_their_names_and_parameters():
    registry = Registry()
    assert [registry.add_orchestrator(each) for each in (chain, alone)] == ["chain", "alone"]
    assert [registry.add_activity(each) for each in (double, plain)] == ["double", "plain"]
    assert [registry.add_entity(count), registry.add_entity(Account)] == ["count", "account"]
    assert registry.add_entity(Account, "Wallet") == "wallet"
    index = registry.index()
    assert list(index.orchestrations) == ["chain", "alone"]
    assert list(index.entities) == ["count", "account", "wallet"]
    activity = index.activities["double"].durable
    assert activity is not None
    assert (activity.parameter, activity.context_parameter) == ("number_of", "ctx")


def test_schedules_are_added_once():
    registry = Registry()
    registry.add_scheduled_tasks()
    registry.add_scheduled_tasks()
    index = registry.index()
    assert list(index.entities) == ["schedule"]
    assert len(index.orchestrations) == 2


def test_a_name_is_there_once():
    registry = Registry()
    registry.add_activity(double)
    assert registry.add_orchestrator(double) == "double"
    with pytest.raises(ValueError, match="A 'double' activity already exists"):
        registry.add_activity(double)
    with pytest.raises(ValueError, match="A lambda has no name"):
        registry.add_activity(lambda ctx, text: text)


def test_what_cannot_be_one_is_refused():
    def nothing():
        return None

    def three(ctx, one, two):
        return None

    with pytest.raises(DefinitionError, match="an orchestrator takes at least one argument"):
        Registry().add_orchestrator(nothing)
    with pytest.raises(DefinitionError, match="takes the input, or context and input"):
        Registry().add_activity(three)
