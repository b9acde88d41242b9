"""An app for azure.durable_functions 1.x runs as it is."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration
from tests.unit.compat import app_v1
from tests.unit.compat.app_v1 import app

DATA = [
    pytest.param("chain", {"number": 2}, [8, "Hello Tokyo!"], id="chaining"),
    pytest.param("fan_out", [1, 2, 3], {"sum": 12, "nothing": []}, id="fan-out"),
    pytest.param("approval", None, "escalated", id="a timer wins"),
    pytest.param("persistent", "done", "done at attempt 3", id="retries"),
    pytest.param("compensating", None, "compensated", id="a failure by its text"),
    pytest.param("countdown", 3, "lift off", id="continue as new"),
    pytest.param("shopping", "Ada", [7, 7, True], id="an entity"),
    pytest.param("taxed", None, "1190 1416 EUR", id="a class that converts itself"),
    pytest.param("facts", None, [3, True], id="ids and time"),
]


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch):
    monkeypatch.setitem(app_v1.attempts, "count", 0)


def request(method: str, url: str, body: Any = None, **route: str) -> func.HttpRequest:
    return func.HttpRequest(
        method=method,
        url=f"http://localhost:7071/api/{url}",
        route_params=route,
        body=json.dumps(body).encode(),
    )


def test_its_import_is_all_that_was_changed() -> None:
    lines = inspect.getsource(app_v1).splitlines()

    assert [line for line in lines if "durable_app" in line] == [
        "import durable_app as df  # was: import azure.durable_functions as df"
    ]


@pytest.mark.parametrize(("orchestrator", "given", "expected"), DATA)
def test_its_orchestrators_run(orchestrator: str, given: Any, expected: Any) -> None:
    assert run_orchestration(app, orchestrator, given) == expected


def test_retries_wait_as_the_options_say() -> None:
    async def persist():
        async with AppRunner(app) as run:
            began = run.now
            await run.run("persistent", "done")
            assert run.now - began == timedelta(seconds=10)
            assert len(run.calls) == 3

    asyncio.run(persist())


def test_sub_orchestrations_know_their_parents() -> None:
    async def family():
        async with AppRunner(app) as run:
            parent = await run.start("parent", instance_id="family")
            assert await run.result(parent) == [
                {"id": "family:own", "parent": "family", "input": 1},
                2,
                True,
            ]

    asyncio.run(family())


def test_an_approval_comes_while_it_is_suspended() -> None:
    async def approve():
        async with AppRunner(app) as run:
            waiting = await run.start("approval")
            assert (await run.status(waiting)).custom_status == {"waiting_for": "approval"}
            await run.suspend(waiting, "audit")
            await run.raise_event(waiting, "Approval", True)
            suspended = await run.status(waiting)
            assert suspended.runtime_status is df.OrchestrationRuntimeStatus.Suspended
            await run.resume(waiting)
            assert await run.result(waiting) == {"approved": True}
            assert (await run.status(waiting)).custom_status == "decided"

    asyncio.run(approve())


def test_a_terminated_instance_says_why() -> None:
    async def give_up():
        async with AppRunner(app) as run:
            waiting = await run.start("approval")
            await run.terminate(waiting, "no longer needed")
            ended = await run.status(waiting)
            assert ended.runtime_status is df.OrchestrationRuntimeStatus.Terminated
            assert ended.output == "no longer needed"

    asyncio.run(give_up())


def test_the_state_of_an_entity_is_read_and_removed() -> None:
    async def look():
        async with AppRunner(app) as run:
            basket = df.EntityId("basket", "Ada")
            await run.client.signal_entity(basket, "add", 5)
            await run.settle()
            found = await run.client.read_entity_state(basket)
            assert (found.entity_exists, found.entity_state) == (True, 5)
            await run.client.signal_entity(basket, "clear")
            await run.settle()
            assert not (await run.client.read_entity_state(basket)).entity_exists

    asyncio.run(look())


def test_the_starter_answers_with_links() -> None:
    async def start():
        async with AppRunner(app) as run:
            response = await app_v1.start(
                request(
                    "POST",
                    "orchestrators/chain",
                    {"id": "one", "number": 1},
                    function_name="chain",
                ),
                run.client,
            )
            assert response.status_code == 202
            assert "/instances/one?" in response.headers["Location"]
            assert json.loads(response.get_body())["id"] == "one"
            assert await run.result("one") == [4, "Hello Tokyo!"]
            return await look_at(run, "one"), await look_at(run, "two")

    found, missing = asyncio.run(start())
    status = json.loads(found.get_body())
    assert (status["name"], status["runtimeStatus"]) == ("chain", "Completed")
    assert status["input"] == {"id": "one", "number": 1}
    assert missing.status_code == 404


async def look_at(run: AppRunner, instance_id: str) -> Any:
    found = request("GET", f"status/{instance_id}", instance_id=instance_id)
    return await app_v1.status(found, run.client)
