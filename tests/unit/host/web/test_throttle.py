"""How many requests are let in."""

from __future__ import annotations

import asyncio

import pytest

from durable_app.host.web.requests import RefusedError
from durable_app.host.web.throttle import Throttle


def test_without_limits_all_are_let_in_at_once():
    async def scenario() -> None:
        throttle = Throttle()
        async with throttle.admit(), throttle.admit(), throttle.admit():
            pass

    asyncio.run(scenario())


def test_requests_beyond_the_slots_wait_for_one():
    async def scenario() -> list[str]:
        throttle, order = Throttle(concurrent=1), []

        async def second() -> None:
            async with throttle.admit():
                order.append("second in")

        async with throttle.admit():
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0)
            order.append("first out")
        await waiting
        return order

    assert asyncio.run(scenario()) == ["first out", "second in"]


def test_requests_beyond_those_that_may_wait_are_refused():
    async def scenario() -> None:
        throttle = Throttle(outstanding=1)
        async with throttle.admit():
            with pytest.raises(RefusedError) as refused:
                async with throttle.admit():
                    raise AssertionError
            assert refused.value.status == 429
        async with throttle.admit():
            pass

    asyncio.run(scenario())
