"""Task hubs of one process: names, making and removing, isolation, restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable_app.clock import SystemClock
from durable_app.compose import hubs as module
from durable_app.compose.hubs import Hubs
from durable_app.errors import ConfigError, TaskHubExistsError, TaskHubNotFoundError
from durable_app.ports import StartRequest


@pytest.fixture(params=["memory", "sqlite"])
def path(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "hub.db"


def run(scenario: Any, path: Any, *names: str, **options: Any) -> Any:
    """Play a scenario on open hubs, which are closed afterwards."""

    async def play() -> Any:
        hubs = Hubs(path, names, SystemClock(), _fatal, **options)
        await hubs.open()
        try:
            return await scenario(hubs)
        finally:
            await hubs.close()
            await hubs.close()

    return asyncio.run(play())


def _fatal(error: BaseException) -> None:
    raise AssertionError(error)


async def start(hubs: Hubs, name: str, instance_id: str) -> None:
    await (await hubs.find(name)).start(StartRequest("order", instance_id))


async def knows(hubs: Hubs, name: str, instance_id: str) -> bool:
    return await (await hubs.find(name)).get(instance_id) is not None


def test_hubs_do_not_see_each_other(path):
    async def scenario(hubs):
        await start(hubs, "first", "a")
        assert await knows(hubs, "first", "a")
        assert not await knows(hubs, "second", "a")

    run(scenario, path, "first", "second")


def test_letter_case_makes_no_difference(path):
    async def scenario(hubs):
        await start(hubs, "MyHub", "a")
        assert await knows(hubs, "myhub", "a")
        assert hubs.names == ["myhub"]

    run(scenario, path, "MYHUB")


def test_a_hub_that_nobody_named_is_not_there(path):
    async def scenario(hubs):
        with pytest.raises(TaskHubNotFoundError, match="DTS_TASK_HUB_NAMES"):
            await hubs.find("other")

    run(scenario, path, "default")


def test_dynamic_hubs_are_made_once_however_many_ask(path):
    async def scenario(hubs):
        found = await asyncio.gather(*(hubs.find("other") for _ in range(5)))
        assert len(set(found)) == 1
        assert hubs.names == ["default", "other"]

    run(scenario, path, "default", is_dynamic=True)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b", "a\nb", "\ud800"])
def test_what_is_no_name_is_refused(name):
    async def scenario(hubs):
        for call in (hubs.find(name), hubs.create(name)):
            with pytest.raises(ConfigError, match="no name for a task hub"):
                await call

    run(scenario, None, "default", is_dynamic=True)


def test_there_are_only_so_many(monkeypatch):
    monkeypatch.setattr(module, "MOST_HUBS", 2)

    async def scenario(hubs):
        await hubs.find("second")
        with pytest.raises(ConfigError, match="as many as one process serves"):
            await hubs.find("third")

    run(scenario, None, "default", is_dynamic=True)


def test_a_hub_can_be_made_removed_and_made_again_empty(path):
    async def scenario(hubs):
        await hubs.create("other")
        await start(hubs, "other", "a")
        with pytest.raises(TaskHubExistsError):
            await hubs.create("Other")
        await hubs.delete("Other")
        with pytest.raises(TaskHubNotFoundError):
            await hubs.find("other")
        with pytest.raises(TaskHubNotFoundError):
            await hubs.delete("other")
        await hubs.create("other")
        assert not await knows(hubs, "other", "a")

    run(scenario, path, "default")


def test_recreate_empties_a_hub(path):
    async def scenario(hubs):
        await start(hubs, "default", "a")
        await hubs.create("default", recreate=True)
        assert not await knows(hubs, "default", "a")

    run(scenario, path, "default")


def test_who_waits_in_a_hub_that_is_removed_hears_of_it(path):
    async def scenario(hubs):
        hub = await hubs.find("default")
        waiting = asyncio.ensure_future(hub.wait_for_completion("nobody"))
        await asyncio.sleep(0.05)
        await hubs.delete("default")
        async with asyncio.timeout(5):
            assert await waiting is None

    run(scenario, path, "default")


def test_hubs_of_a_file_are_there_after_a_restart_and_removed_ones_are_not(tmp_path):
    path = tmp_path / "hub.db"

    async def before(hubs):
        await hubs.create("kept")
        await start(hubs, "kept", "a")
        await hubs.create("gone")
        await hubs.delete("gone")

    async def after(hubs):
        assert hubs.names == ["default", "kept"]
        assert await knows(hubs, "kept", "a")
        assert set(hubs.statistics()) == {"default", "kept"}

    run(before, path, "default")
    run(after, path, "default")


def test_closed_hubs_are_not_found_any_more():
    async def play():
        hubs = Hubs(None, ["default"], SystemClock(), _fatal, is_dynamic=True)
        await hubs.open()
        hubs.end_waits()
        hubs.announce("http://localhost")
        await hubs.close()
        with pytest.raises(TaskHubNotFoundError):
            await hubs.find("default")

    asyncio.run(play())
