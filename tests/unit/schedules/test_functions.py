"""Schedules in an app, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import durable_app as df
from durable_app.testing import AppRunner

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

bp = df.Blueprint()
bp.configure_scheduled_tasks()


@bp.orchestration_trigger(context_name="context")
def job(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    given = context.get_input() or {}
    yield context.create_timer(timedelta(seconds=given.get("seconds", 0)))
    if given.get("fails"):
        raise ValueError("no coffee")
    return "done"


class Stage:
    """A runner and a client of its schedules."""

    def __init__(self, run: AppRunner) -> None:
        self.run = run
        self.schedules = df.AsyncScheduledTaskClient(run.client)

    async def schedule(self, **given: Any) -> df.AsyncScheduleClient:
        return await self.schedules.create_schedule(df.ScheduleCreationOptions("s", job, **given))

    async def runs(self) -> dict[str, df.OrchestrationStatus]:
        """The runs of the schedule without the s- in front of their ids."""
        states = await self.run.client.get_all_orchestration_states()
        return {
            state.instance_id[2:]: state.runtime_status for state in states if state.name == "job"
        }


def play(scene: Callable[[Stage], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with AppRunner(bp, start_at=START) as run:
            return await scene(Stage(run))

    return asyncio.run(main())


def test_every_minute_until_it_is_deleted() -> None:
    async def scene(stage: Stage) -> list[str]:
        schedule = await stage.schedule(interval=MINUTE)
        await stage.run.advance(3.5 * MINUTE)
        await schedule.delete()
        await stage.run.advance(DAY)
        assert await stage.schedules.get_schedule("s") is None
        assert await stage.run.entity_state("@schedule@s") is None
        return list(await stage.runs())

    assert play(scene) == [f"2026-01-01T00:0{minute}:00+00:00" for minute in (1, 2, 3)]


@pytest.mark.parametrize(
    ("policy", "runs"),
    [(df.OverlapPolicy.ALLOW, 3), (df.OverlapPolicy.SKIP, 2), (df.OverlapPolicy.BUFFER_ONE, 3)],
)
def test_each_run_has_a_trace_of_its_own(policy: df.OverlapPolicy, runs: int) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def main() -> None:
        async with AppRunner(bp, start_at=START, tracer_provider=provider) as run:
            await Stage(run).schedule(
                interval=MINUTE, overlap=policy, orchestration_input={"seconds": 70}
            )
            await run.advance(4.6 * MINUTE)

    asyncio.run(main())

    traces = [
        span.context.trace_id
        for span in exporter.get_finished_spans()
        if span.context is not None
        and span.name == "orchestration:job"
        and span.kind is SpanKind.SERVER  # those of watchers tell of it as its clients
    ]
    assert len(traces) == len(set(traces)) == runs


def test_every_day_of_a_year_has_its_run_across_both_steps_of_the_clock() -> None:
    zone = ZoneInfo("Europe/Berlin")

    async def scene(stage: Stage) -> list[datetime]:
        await stage.schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
        await stage.run.advance(365 * DAY)
        return [datetime.fromisoformat(each).astimezone(zone) for each in await stage.runs()]

    moments = play(scene)

    assert len({moment.date() for moment in moments}) == len(moments) == 365
    unusual = [moment.isoformat() for moment in moments if f"{moment:%H:%M}" != "02:30"]
    assert unusual == ["2026-03-29T03:30:00+02:00"]
    assert "2026-10-25T02:30:00+01:00" in {moment.isoformat() for moment in moments}


def test_a_paused_schedule_runs_when_it_is_triggered_and_not_else() -> None:
    async def scene(stage: Stage) -> Any:
        schedule = await stage.schedule(interval=MINUTE)
        await schedule.pause()
        await stage.run.advance(10 * MINUTE)
        triggered = await schedule.trigger()
        assert triggered is not None
        outcome = await stage.run.result(triggered)
        with pytest.raises(df.ScheduleInvalidTransitionError, match="'s' is Paused"):
            await schedule.pause()
        await schedule.resume()
        await stage.run.advance(MINUTE)
        return outcome, list(await stage.runs())

    outcome, runs = play(scene)

    assert outcome == "done"
    assert runs == ["manual-2026-01-01T00:10:00+00:00", "2026-01-01T00:11:00+00:00"]


@pytest.mark.parametrize(
    ("policy", "given", "minutes"),
    [
        (df.OverlapPolicy.ALLOW, {"seconds": 150}, [1, 2, 3, 4, 5, 6]),
        (df.OverlapPolicy.SKIP, {"seconds": 150}, [1, 4]),
        (df.OverlapPolicy.BUFFER_ONE, {"seconds": 150}, [1, 2, 4]),
        (df.OverlapPolicy.SKIP, {"seconds": 30, "fails": True}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_overlapping_runs(
    policy: df.OverlapPolicy, given: dict[str, Any], minutes: list[int]
) -> None:
    async def scene(stage: Stage) -> list[str]:
        await stage.schedule(interval=MINUTE, orchestration_input=given, overlap=policy)
        await stage.run.advance(6 * MINUTE)
        return list(await stage.runs())

    assert play(scene) == [f"2026-01-01T00:0{minute}:00+00:00" for minute in minutes]


def test_the_end_of_a_terminated_run_is_noticed() -> None:
    async def scene(stage: Stage) -> Any:
        schedule = await stage.schedule(
            interval=MINUTE,
            orchestration_input={"seconds": 10**6},
            overlap=df.OverlapPolicy.SKIP,
        )
        await stage.run.advance(MINUTE)
        running = (await schedule.describe()).running_instance_id
        assert running == "s-2026-01-01T00:01:00+00:00"
        await stage.run.terminate(running)
        return (await schedule.describe()).running_instance_id

    assert play(scene) is None


def test_runs_that_share_an_id_come_one_after_the_other() -> None:
    async def scene(stage: Stage) -> list[bool]:
        schedule = await stage.schedule(
            interval=MINUTE,
            orchestration_input={"seconds": 150},
            orchestration_instance_id="s-only",
            overlap=df.OverlapPolicy.BUFFER_ONE,
        )
        await stage.run.advance(MINUTE)
        seen = []
        # Every fifth minute a run ends in the moment of an occurrence, which probes its watcher.
        for _ in range(30):
            await stage.run.advance(MINUTE)
            seen.append((await schedule.describe()).running_instance_id == "s-only")
            assert (await stage.runs())["only"] is df.OrchestrationStatus.RUNNING
        return seen

    assert all(play(scene))


@pytest.mark.parametrize("purged", [False, True])
def test_a_run_whose_watcher_is_gone_blocks_one_occurrence_at_most(*, purged: bool) -> None:
    async def scene(stage: Stage) -> list[str]:
        await stage.schedule(
            interval=MINUTE,
            orchestration_input={"seconds": 10**6},
            overlap=df.OverlapPolicy.SKIP,
        )
        await stage.run.advance(MINUTE)
        watcher = (await stage.run.entity_state("@schedule@s"))["WatcherInstanceId"]
        await stage.run.terminate(watcher)
        if purged:
            removed = await stage.run.client.purge_orchestration(watcher)
            assert removed.deleted_instance_count == 2
        await stage.run.advance(2 * MINUTE)
        return list(await stage.runs())

    runs = play(scene)
    # the child's row is purged with its watcher
    assert runs[not purged :] == ["2026-01-01T00:03:00+00:00"]


def test_a_trigger_right_after_another_one_finds_the_run_in_progress() -> None:
    async def scene(stage: Stage) -> Any:
        schedule = await stage.schedule(
            interval=DAY, orchestration_input={"seconds": 60}, overlap=df.OverlapPolicy.SKIP
        )
        outcomes = [await schedule.trigger(), await schedule.trigger()]
        described = await schedule.describe()
        return outcomes, described.running_instance_id, described.next_run_at

    outcomes, running, following = play(scene)

    assert outcomes == [running, None]
    assert following == START + DAY


def test_signals_do_not_need_a_client() -> None:
    async def scene(stage: Stage) -> Any:
        await stage.schedule(interval=MINUTE)
        await stage.run.signal_entity("@schedule@s", "PauseSchedule")
        await stage.run.signal_entity("@schedule@s", "dance")
        await stage.run.signal_entity("@schedule@a/b", "create_schedule", {})
        listed = await stage.schedules.list_schedules()
        return [(each.schedule_id, each.status) for each in listed]

    assert play(scene) == [("s", df.ScheduleStatus.PAUSED)]


def test_a_late_report_does_not_bring_a_schedule_back() -> None:
    async def scene(stage: Stage) -> Any:
        schedule = await stage.schedule(
            interval=MINUTE, orchestration_input={"seconds": 90}, overlap=df.OverlapPolicy.SKIP
        )
        await stage.run.advance(MINUTE)
        await schedule.delete()
        await schedule.delete()
        await stage.run.advance(DAY)
        return await stage.run.client.get_all_entities()

    assert play(scene) == []
