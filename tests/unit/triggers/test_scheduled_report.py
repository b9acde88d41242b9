"""The scheduled report: its routes, its runs and their clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func

from durable_app.testing import AppRunner
from triggers import scheduled_report as module

FRIDAY = datetime(2030, 3, 29, 12, tzinfo=UTC)  # the clock steps on Sunday
PLAN = {"cron": "0 7 * * MON-FRI", "time_zone": "Europe/Berlin", "rows": 4}


def play(scene: Callable[[AppRunner], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with AppRunner(module.bp, start_at=FRIDAY) as run:
            return await scene(run)

    return asyncio.run(main())


async def ask(run: AppRunner, function: Any, body: Any = None, **route: str) -> tuple[int, Any]:
    request = func.HttpRequest(
        "POST",
        "http://localhost:7071/api/report-schedules",
        route_params={"name": "sales", **route},
        body=json.dumps(body).encode() if body is not None else b"",
    )
    reply = await function(request, run.client)
    text = reply.get_body().decode()
    is_json = reply.mimetype == "application/json" and text
    return reply.status_code, json.loads(text) if is_json else text


def test_a_report_every_working_day_by_the_readers_clock() -> None:
    async def scene(run: AppRunner) -> Any:
        status, shown = await ask(run, module.schedule_report, PLAN)
        assert (status, shown["next_run_at"]) == (201, "2030-04-01T05:00:00+00:00")
        await run.advance(timedelta(days=7))
        reports = [
            await run.result(state.instance_id)
            for state in await run.client.get_all_orchestration_states()
            if state.name == "scheduled_report"
        ]
        return [report["text"] for report in reports]

    texts = play(scene)

    assert texts == [f"sales, 2030-04-0{day}: 1000 in total" for day in range(1, 6)]


def test_a_schedule_is_steered() -> None:
    async def scene(run: AppRunner) -> None:
        await ask(run, module.schedule_report, {})
        for action, status in (("pause", 200), ("pause", 409), ("resume", 200), ("dance", 404)):
            answer = await ask(run, module.steer_report_schedule, action=action)
            assert answer[0] == status
        status, links = await ask(run, module.steer_report_schedule, action="trigger")
        assert status == 202
        assert (await run.result(links["id"]))["text"] == "sales, 2030-03-29: 600 in total"
        assert (await ask(run, module.delete_report_schedule))[0] == 204
        assert (await ask(run, module.read_report_schedule))[0] == 404

    play(scene)


def test_what_is_wrong_is_said() -> None:
    async def scene(run: AppRunner) -> None:
        for plan in ({"cron": "61 * * * *"}, {"time_zone": "Mars"}, {"rows": 0}):
            status, text = await ask(run, module.schedule_report, plan)
            assert (status, len(text) > 20) == (400, True)
        for action in ("pause", "trigger"):
            assert await ask(run, module.steer_report_schedule, action=action) == (
                404,
                "There is no such schedule.",
            )

    play(scene)


def test_a_name_that_no_schedule_can_have_is_not_found() -> None:
    async def scene(run: AppRunner) -> list[int]:
        asked = (
            await ask(run, module.schedule_report, {}, name="@sales"),
            await ask(run, module.read_report_schedule, name="@sales"),
            await ask(run, module.steer_report_schedule, name="@sales", action="pause"),
            await ask(run, module.delete_report_schedule, name="@sales"),
        )
        return [status for status, _ in asked]

    assert play(scene) == [400, 404, 404, 404]
