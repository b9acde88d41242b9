"""HTTP calls in tests: a stub stands for the web."""

from __future__ import annotations

from typing import Any

import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.testing import run_orchestration

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def poll_a_day(context: df.DurableOrchestrationContext) -> Any:
    response = yield context.call_http("POST", "https://h.example/jobs", 1)
    return [response.status_code, response.content]


@app.orchestration_trigger(context_name="context")
def reach_nobody(context: df.DurableOrchestrationContext) -> Any:
    yield context.call_http("GET", "http://127.0.0.1:1/")


def test_a_stub_stands_for_the_web() -> None:
    asked = []

    async def answer(request: dict[str, Any]) -> Any:
        asked.append((request["method"], request["uri"]))
        if len(asked) < 3:
            again = {**request, "method": "GET", "uri": "https://h.example/status"}
            return {"poll": {"request": again, "afterSeconds": 86_400}}
        return df.DurableHttpResponse(200, content="done")

    stubs = {"BuiltIn__HttpActivity": answer}
    assert run_orchestration(app, poll_a_day, stubs=stubs) == [200, "done"]
    assert asked == [
        ("POST", "https://h.example/jobs"),
        ("GET", "https://h.example/status"),
        ("GET", "https://h.example/status"),
    ]


def test_without_a_stub_the_request_is_made() -> None:
    with pytest.raises(df.OrchestrationFailedError, match="no connection"):
        run_orchestration(app, reach_nobody)


def test_other_names_are_not_known() -> None:
    with pytest.raises(DefinitionError, match="'BuiltIn__Http'"):
        run_orchestration(app, reach_nobody, stubs={"BuiltIn__Http": None})  # type: ignore[dict-item]  # it is not called
