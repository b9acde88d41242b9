"""Functions written for durabletask run as they are; they are registered with decorators."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import Any

import pytest

from durable_app.testing import AppRunner, run_orchestration
from tests.unit.compat import app_durabletask
from tests.unit.compat.app_durabletask import app

ORDER = {"item": "book", "pieces": 2}
DATA = [
    pytest.param("chain", ORDER, {"item": "book", "cost": 40}, id="chaining"),
    pytest.param("fan_out", [1, 2], 6, id="fan-out"),
    pytest.param("careful", None, [True, True, "not today: rain"], id="a failure"),
    pytest.param("approval", None, "timeout", id="a timer wins"),
    pytest.param("parent", None, [6, 6], id="sub-orchestrations"),
    pytest.param("transfer", 5, [45, 1, 0], id="entities and a lock"),
]


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch):
    monkeypatch.setitem(app_durabletask.attempts, "count", 0)


def test_nothing_but_imports_and_registration_was_changed() -> None:
    functions, registration = inspect.getsource(app_durabletask).split("# -- registration")

    assert [line for line in functions.splitlines() if line.startswith("import durable_app")] == [
        "import durable_app as df",
        "import durable_app as entities  # was: from durabletask import entities",
        "import durable_app as task  # was: from durabletask import task",
    ]
    assert "df." not in functions
    assert "df.DFApp()" in registration


@pytest.mark.parametrize(("orchestrator", "given", "expected"), DATA)
def test_its_orchestrators_run(orchestrator: str, given: Any, expected: Any) -> None:
    assert run_orchestration(app, orchestrator, given) == expected


def test_a_retry_policy_and_the_context_of_an_activity() -> None:
    async def be_patient():
        async with AppRunner(app) as run:
            began = run.now
            patient = await run.start("patient", "done", instance_id="one")
            assert (await run.result(patient)).startswith("done in one as task ")
            assert run.now - began == timedelta(seconds=10 + 20)

    asyncio.run(be_patient())


def test_an_orchestration_sends_an_event_to_another() -> None:
    async def ping():
        async with AppRunner(app) as run:
            waiting = await run.start("approval")
            assert (await run.status(waiting)).custom_status == "asking"
            assert await run.run("pinging", waiting) is True
            assert await run.result(waiting) == "gift"

    asyncio.run(ping())


def test_an_event_is_kept_from_round_to_round() -> None:
    async def wait():
        async with AppRunner(app) as run:
            eternal = await run.start("eternal", 3)
            await run.raise_event(eternal, "last", "enough")
            assert await run.result(eternal) == "enough"

    asyncio.run(wait())


def test_an_entity_signals_another() -> None:
    async def reset():
        async with AppRunner(app) as run:
            await run.signal_entity("@counter@clicks", "add", 2)
            await run.signal_entity("@counter@clicks", "reset")
            assert await run.entity_state("@counter@clicks") == 0
            assert await run.entity_state("@account@log") == 49

    asyncio.run(reset())
