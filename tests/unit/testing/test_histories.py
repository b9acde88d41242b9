"""Histories are kept as files, and hold for the code of today or do not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider

import durable_app as df
from durable_app.protocol import SubOrchestrationInstanceCreated
from durable_app.testing import AppRunner, load_history, replay_history, save_history


def app_with(cities: list[str]) -> df.DFApp:
    app = df.DFApp()

    def tour(context: df.DurableOrchestrationContext) -> Any:
        seen = []
        for city in cities:
            seen.append((yield context.call_activity("visit", city)))  # noqa: PERF401  a yield
        return seen

    def visit(city: str) -> str:
        return city.upper()

    app.orchestration_trigger(context_name="context")(tour)
    app.activity_trigger(input_name="city")(visit)
    return app


def history_of(app: df.DFApp, name: str = "tour", **options: Any) -> list[Any]:
    async def main() -> list[Any]:
        async with AppRunner(app, **options) as run:
            instance_id = await run.start(name)
            return await run.client.get_orchestration_history(instance_id)

    return asyncio.run(main())


def test_code_that_is_the_same_fits(tmp_path: Path) -> None:
    file = tmp_path / "tour.json"
    events = history_of(app_with(["Rome", "Oslo"]))

    save_history(file, events)

    assert load_history(file) == events
    same = app_with(["Rome", "Oslo"])
    for form in (file, str(file), events, json.loads(file.read_text("utf-8"))):
        replay_history(same, form)
    replay_history(same, events, orchestrator="TOUR")


@pytest.mark.parametrize(
    ("cities", "turn", "asked"),
    [(["Oslo", "Rome"], 1, "Oslo"), (["Rome"], 2, "CompleteOrchestration"), ([], 1, "\\[\\]")],
)
def test_code_that_has_changed_is_refused(cities: list[str], turn: int, asked: str) -> None:
    events = history_of(app_with(["Rome", "Oslo"]))

    with pytest.raises(df.NonDeterminismError, match=f"In turn {turn} .*'tour'") as caught:
        replay_history(app_with(cities), events)

    recorded, now = str(caught.value).split("now:")
    assert "ScheduleTask" in recorded
    assert asked.replace("\\", "") in now


def test_what_cannot_be_replayed_is_told() -> None:
    app = app_with(["Rome"])
    events = history_of(app)

    with pytest.raises(df.DefinitionError, match=r"tuor.*tour"):
        replay_history(app, events, orchestrator="tuor")
    with pytest.raises(ValueError, match="no ExecutionStarted"):
        replay_history(app, [])


def test_an_event_that_was_sent_counts() -> None:
    def app_that_tells(whom: str) -> df.DFApp:
        app = df.DFApp()

        def tour(context: df.DurableOrchestrationContext) -> Any:
            yield context.send_event(whom, "arrived", 1)

        app.orchestration_trigger(context_name="context")(tour)
        return app

    events = history_of(app_that_tells("ada"))

    replay_history(app_that_tells("ada"), events)
    with pytest.raises(df.NonDeterminismError, match="grace"):
        replay_history(app_that_tells("grace"), events)


def app_by_train(*, is_asked: bool = True, goes_to: str = "Rome") -> df.DFApp:
    app = app_with([])

    def trip(context: df.DurableOrchestrationContext) -> Any:
        if is_asked and context.is_patched("by train"):
            yield context.call_activity("visit", "station")
        yield context.call_activity("visit", goes_to)

    app.orchestration_trigger(context_name="context")(trip)
    return app


def test_a_patch_is_for_others_than_those_that_came_by_before_it() -> None:
    events = history_of(app_by_train(is_asked=False), "trip")

    replay_history(app_by_train(), events)
    with pytest.raises(df.NonDeterminismError, match="In turn 1"):
        replay_history(app_by_train(goes_to="Oslo"), events)


def test_a_patch_of_the_history_counts() -> None:
    events = history_of(app_by_train(), "trip")

    replay_history(app_by_train(), events)
    with pytest.raises(df.NonDeterminismError, match="patch:by train"):
        replay_history(app_by_train(is_asked=False), events)


def test_traces_and_default_versions_are_the_hosts() -> None:
    app = app_with(["Rome"])

    def parent(context: df.DurableOrchestrationContext) -> Any:
        context.signal_entity(df.EntityId("guide", "a"), "call")
        return (yield context.call_sub_orchestrator("tour"))

    def guide(context: df.DurableEntityContext) -> None:
        context.set_state(1)

    app.orchestration_trigger(context_name="context")(parent)
    app.entity_trigger(context_name="context")(guide)

    events = [
        msgspec.structs.replace(event, version="1.0")
        if isinstance(event, SubOrchestrationInstanceCreated)
        else event
        for event in history_of(app, "parent", tracer_provider=TracerProvider())
    ]

    assert any(getattr(event, "parent_trace_context", None) for event in events)
    replay_history(app, events)


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    with pytest.raises(TypeError, match="get_orchestration_history"):
        save_history(file, [{"EventType": "ExecutionStarted"}])  # type: ignore[list-item]  # refused
    assert not file.exists()
    for text in ("5", "[1]", '[{"a": 1}]', '[{"type": "Nothing"}]'):
        file.write_text(text, "utf-8")
        with pytest.raises(ValueError, match="no history that save_history has written"):
            load_history(file)
