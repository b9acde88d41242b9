"""Items on their way to a stream: what a worker must not go on with warm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable_app.rpc.codec.work import UNKNOWN_COUNT, decode_work_item, encode_work_item
from durable_app.rpc.server import outlet as module
from durable_app.rpc.server.outlet import Outlet
from tests.unit.rpc.stub.items import activity, turn

WARM: dict[str, Any] = {"past_count": 3, "requires_history_streaming": True}


def sent(conversation):
    """The lengths of histories that the turns name, as a worker reads them."""

    async def main():
        outlet = Outlet()
        conversation(outlet)
        items = [decode_work_item(encode_work_item(item)) for item in await outlet.take(1.0)]
        return [getattr(item, "past_count", None) for item in items]

    return asyncio.run(main())


def test_the_next_turn_of_a_forgotten_instance_is_a_cold_one():
    def conversation(outlet):
        outlet.push([turn("a", **WARM)])
        outlet.forget("one")
        outlet.push([activity("b"), turn("c", "two", **WARM), turn("d", **WARM), turn("e", **WARM)])

    assert sent(conversation) == [3, None, 3, UNKNOWN_COUNT, 3]


def test_a_first_turn_is_cold_anyway():
    def conversation(outlet):
        outlet.forget("one")
        outlet.push([turn("a")])
        outlet.push([turn("b", **WARM)])

    assert sent(conversation) == [0, 3]


@pytest.mark.parametrize(("most", "count"), [(1, 3), (2, UNKNOWN_COUNT)])
def test_most_of_those_forgotten_never_come_again(monkeypatch, most, count):
    monkeypatch.setattr(module, "_MOST_FORGOTTEN", most)

    def conversation(outlet):
        outlet.forget("one")
        outlet.forget("two")
        outlet.push([turn("a", **WARM)])

    assert sent(conversation) == [count]
