"""An app for azure.durable_functions 2.x runs as it is."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import azure.functions as func
import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration
from tests.unit.compat import app_v2
from tests.unit.compat.app_v2 import app

ORDER = {"item": "book", "pieces": 2}
REFUSED = {
    "reserved": "book #3",
    "weight": 201,
    "because": "no card for book",
    "is_value_error": True,
}
DATA = [
    pytest.param("process_order", ORDER, REFUSED, id="retries, fan-out, a failure"),
    pytest.param("approval", 3, "too late", id="a timer wins"),
    pytest.param("settle", 10, [90, 120, True], id="entities and a lock"),
    pytest.param("rounds", 1, {"squares": [1, 4, 9], "first": 105}, id="one argument"),
]


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch):
    monkeypatch.setitem(app_v2.attempts, "count", 0)


def test_its_imports_are_all_that_was_changed() -> None:
    lines = inspect.getsource(app_v2).splitlines()

    assert [line for line in lines if "durable_app" in line] == [
        "import durable_app as df  # was: import azure.durable_functions as df",
        "import durable_app as entities  # was: from durabletask import entities",
        "import durable_app as task  # was: from durabletask import task",
    ]


@pytest.mark.parametrize(("orchestrator", "given", "expected"), DATA)
def test_its_orchestrators_run(orchestrator: str, given: Any, expected: Any) -> None:
    assert run_orchestration(app, orchestrator, given) == expected


def test_intervals_of_retries_grow() -> None:
    async def process():
        async with AppRunner(app) as run:
            began = run.now
            await run.run("process_order", ORDER)
            assert run.now - began == timedelta(seconds=5 + 10)

    asyncio.run(process())


def test_a_client_steers_an_instance() -> None:
    async def steer():
        async with AppRunner(app) as run:
            return await app_v2.steer(run.client, await run.start("approval", 5))

    assert asyncio.run(steer()) == [
        "SUSPENDED",
        "COMPLETED",
        "TERMINATED: not again",
        "1 purged",
    ]


def test_the_starter_answers_with_links() -> None:
    async def start():
        async with AppRunner(app) as run:
            response = await app_v2.order(
                func.HttpRequest(
                    method="POST",
                    url="http://localhost:7071/api/orders",
                    params={"id": "one"},
                    body=json.dumps(ORDER).encode(),
                ),
                run.client,
            )
            assert await run.result("one") == REFUSED
            return response

    response = asyncio.run(start())
    assert response.status_code == 202
    assert json.loads(response.get_body())["id"] == "one"


def test_a_sync_function_has_a_sync_client() -> None:
    client = Mock(spec=df.SyncDurableFunctionsClient)
    client.get_orchestration_state.side_effect = [
        Mock(runtime_status=df.OrchestrationStatus.COMPLETED, get_output=lambda: 7),
        None,
    ]
    request = func.HttpRequest(
        method="GET", url="http://localhost/api/orders/one", route_params={"id": "one"}, body=b""
    )

    assert app_v2.look(request, client).get_body() == b"COMPLETED: 7"
    assert app_v2.look(request, client).status_code == 404
