"""Clients of scheduled tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import durable_app as df
from durable_app.client import schedules as module
from durable_app.protocol import FailureDetails
from durable_app.testing import AppRunner
from tests.unit.client.rig import with_client

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
bp = df.Blueprint()
bp.configure_scheduled_tasks()


@bp.orchestration_trigger(context_name="context")
def job(context: df.DurableOrchestrationContext) -> Any:
    return context.get_input()


@bp.orchestration_trigger(context_name="context")
def other(context: df.DurableOrchestrationContext) -> Any:
    return context.get_input()


def options(schedule_id: str = "s", **given: Any) -> df.ScheduleCreationOptions:
    return df.ScheduleCreationOptions(schedule_id, job, HOUR, **given)


def play(scene: Callable[[AppRunner, df.AsyncScheduledTaskClient], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with AppRunner(bp, start_at=START) as run:
            return await scene(run, df.AsyncScheduledTaskClient(run.client))

    return asyncio.run(main())


def test_a_schedule_is_described() -> None:
    async def scene(run: AppRunner, tasks: df.AsyncScheduledTaskClient) -> Any:
        schedule = await tasks.create_schedule(options(orchestration_input={"a": [1]}))
        assert schedule.schedule_id == "s"
        return await tasks.get_schedule("s")

    described = play(scene)

    assert (described.orchestration_name, described.orchestration_input) == ("job", {"a": [1]})
    assert (described.interval, described.status) == (HOUR, df.ScheduleStatus.ACTIVE)
    assert (described.created_at, described.next_run_at) == (START, START + HOUR)


def test_an_update_takes_functions_and_names() -> None:
    async def scene(run: AppRunner, tasks: df.AsyncScheduledTaskClient) -> Any:
        schedule = await tasks.create_schedule(options())
        with pytest.raises(df.DefinitionError, match="'jobs' doesn't exist"):
            await schedule.update(df.ScheduleUpdateOptions("jobs"))
        await schedule.update(df.ScheduleUpdateOptions("other"))
        assert (await schedule.describe()).orchestration_name == "other"
        await schedule.update(df.ScheduleUpdateOptions(job, cron="0 9 * * *"))
        await schedule.update(df.ScheduleUpdateOptions(time_zone="Europe/Berlin"))
        return await schedule.describe()

    described = play(scene)

    assert (described.orchestration_name, described.cron) == ("job", "0 9 * * *")
    assert described.next_run_at == datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_errors_come_back_as_what_they_are() -> None:
    async def scene(run: AppRunner, tasks: df.AsyncScheduledTaskClient) -> None:
        schedule = await tasks.create_schedule(options(end_at=START + HOUR))
        with pytest.raises(df.ScheduleInvalidTransitionError) as refused:
            await schedule.resume()
        assert (refused.value.from_status, refused.value.schedule_id) == ("Active", "s")
        with pytest.raises(df.ScheduleClientValidationError, match="end_at must not be") as bad:
            await schedule.update(df.ScheduleUpdateOptions(start_at=START + 2 * HOUR))
        assert isinstance(bad.value, RuntimeError)
        nobody = tasks.get_schedule_client("nobody")
        for request in (nobody.pause, nobody.resume, nobody.trigger, nobody.describe):
            with pytest.raises(df.ScheduleNotFoundError, match="'nobody'"):
                await request()
        with pytest.raises(df.ScheduleClientValidationError, match="those of 's'"):
            await nobody.create(options())

    play(scene)


def test_schedules_are_listed() -> None:
    async def scene(run: AppRunner, tasks: df.AsyncScheduledTaskClient) -> Any:
        for schedule_id in ("a-1", "a-2", "b-1"):
            await tasks.create_schedule(options(schedule_id))
            await run.advance(HOUR)
        await tasks.get_schedule_client("a-2").pause()

        async def ids(**conditions: Any) -> list[str]:
            found = await tasks.list_schedules(df.ScheduleQuery(**conditions))
            return [each.schedule_id for each in found]

        assert len(await tasks.list_schedules()) == 3
        return (
            await ids(schedule_id_prefix="a-", page_size=1),
            await ids(status=df.ScheduleStatus.PAUSED),
            await ids(created_from=START, created_to=START + 2 * HOUR),
        )

    assert play(scene) == (["a-1", "a-2"], ["a-2"], ["a-2"])


def test_nobody_has_an_id_that_nobody_can_have() -> None:
    async def scene(_run: AppRunner, tasks: df.AsyncScheduledTaskClient) -> Any:
        with pytest.raises(df.ScheduleClientValidationError, match="no @ in front"):
            tasks.get_schedule_client("@a")
        return await tasks.get_schedule("@a"), await tasks.get_schedule("a")

    assert play(scene) == (None, None)


def test_an_app_without_schedules() -> None:
    async def main() -> None:
        async with AppRunner(df.Blueprint()) as run:
            tasks = df.AsyncScheduledTaskClient(run.client)
            with pytest.raises(df.ScheduleError, match="configure_scheduled_tasks"):
                await tasks.get_schedule_client("s").pause()

    asyncio.run(main())


def test_an_answer_that_does_not_come() -> None:
    async def conversation(client: df.DurableFunctionsClient) -> None:
        impatient = df.AsyncScheduledTaskClient(client, operation_timeout=0.01)
        with pytest.raises(TimeoutError, match=r"did not finish within 0\.01 s"):
            await impatient.get_schedule_client("s").pause()

    with_client(conversation)


def test_threads_wait_for_the_same_answers() -> None:
    def converse(client: df.SyncDurableFunctionsClient) -> list[Any]:
        tasks = df.ScheduledTaskClient(client)
        schedule = tasks.create_schedule(options())
        schedule.create(options())
        schedule.update(df.ScheduleUpdateOptions(cron="0 9 * * *"))
        schedule.pause()
        schedule.resume()
        triggered = schedule.trigger()
        told: list[Any] = [schedule.schedule_id, schedule.describe().cron, triggered is not None]
        told.append([each.schedule_id for each in tasks.list_schedules()])
        schedule.delete()
        return [*told, tasks.get_schedule("s")]

    async def scene(run: AppRunner, tasks: df.AsyncScheduledTaskClient) -> Any:
        connection = run.client._connection
        sync = df.SyncDurableFunctionsClient(connection)
        return await asyncio.to_thread(converse, sync)

    assert play(scene) == ["s", "0 9 * * *", True, ["s"], None]


def test_each_kind_of_client_says_which_one_it_needs() -> None:
    with pytest.raises(TypeError, match="in a `def` function use ScheduledTaskClient"):
        df.AsyncScheduledTaskClient(None)  # type: ignore[arg-type]  # what is refused
    with pytest.raises(TypeError, match="use AsyncScheduledTaskClient"):
        df.ScheduledTaskClient(None)  # type: ignore[arg-type]  # what is refused


def test_a_failure_that_is_none_of_a_schedule() -> None:
    for failure in (
        FailureDetails("ValueError", "odd"),
        FailureDetails("ScheduleNotFoundError", "odd"),
    ):
        with pytest.raises(df.ScheduleError, match=r"'pause' of schedule 's' failed: .*: odd"):
            module._raise("s", "pause", failure)
