"""Patterns of the app, tested as its users test theirs: with durable_app.testing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_app.testing import AppRunner, run_entity_operation, run_orchestration
from triggers import approval, counter, monitor

START = datetime(2030, 1, 1, tzinfo=UTC)
EXPENSE = {"employee": "Ada", "amount": "120.50"}


def test_a_monitor_looks_once_in_thirty_days() -> None:
    month_s = timedelta(days=30).total_seconds()
    watch = {"job": "export", "poll_s": month_s, "expires_s": 10 * month_s}

    outcome = run_orchestration(
        monitor.bp, monitor.watch_job, watch, stubs={monitor.is_done: lambda look: look.number == 5}
    )

    assert outcome == {"job": "export", "outcome": "Done", "looks": 5}


def test_a_monitor_gives_up() -> None:
    outcome = run_orchestration(monitor.bp, monitor.watch_job, stubs={"is_done": lambda _: False})

    assert outcome == {"job": "export", "outcome": "Expired", "looks": 120}


@pytest.mark.parametrize(("approved", "outcome"), [(True, "Approved"), (False, "Rejected")])
def test_an_expense_is_decided(approved: bool, outcome: str) -> None:
    async def main() -> Any:
        async with AppRunner(approval.bp) as run:
            instance_id = await run.start(approval.approve_expense, EXPENSE)
            await run.advance(timedelta(hours=71))
            await run.raise_event(instance_id, "Approval", {"approved": approved, "by": "Grace"})
            return await run.result(instance_id)

    assert asyncio.run(main()) == {"outcome": outcome, "by": "Grace"}


def test_an_expense_that_nobody_looks_at_is_escalated() -> None:
    async def main() -> tuple[Any, datetime, list[str]]:
        async with AppRunner(approval.bp, start_at=START) as run:
            outcome = await run.run(approval.approve_expense, EXPENSE)
            return outcome, run.now, [call.name for call in run.calls]

    outcome, ended_at, calls = asyncio.run(main())

    assert outcome == {"outcome": "Escalated", "to": "Ada's manager"}
    assert ended_at == START + timedelta(hours=72)
    assert calls == ["ask_for_approval", "escalate"]


def test_a_counter_celebrates_its_hundreds() -> None:
    reached = run_entity_operation(counter.Counter, "add", 5, 98, key="visits")
    passed = run_entity_operation(counter.Counter, "add", 5, reached.state)

    assert reached.state == 103
    (celebration,) = reached.started
    assert celebration.name == "celebrate"
    assert celebration.input == {"counter": "visits", "count": 103}
    assert (passed.result, passed.started) == (108, [])


def test_a_counter_in_the_app() -> None:
    async def main() -> tuple[Any, int]:
        async with AppRunner(counter.bp) as run:
            for _ in range(3):
                await run.signal_entity("@counter@visits", "add", 50)
            found = await run.client.get_status_by()
            return await run.entity_state("@counter@visits"), len(found)

    assert asyncio.run(main()) == (150, 1)
