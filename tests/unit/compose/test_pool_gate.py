"""What becomes of a worker process's items when its stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from durable_app.compose import pool_gate as module
from durable_app.compose.pool_gate import Gate, GatedStream
from durable_app.errors import ConfigError, TaskHubNotFoundError
from durable_app.ports import Capacity
from durable_app.protocol import ActivityResponse, CompletionToken
from durable_app.scheduler.service import TaskHub

TOKEN = CompletionToken("t", 1)
AMPLE = Capacity(9, 99, 9)


class Hub:
    """Notes what its streams are told. Stands at the place of a task hub."""

    name = "Orders"

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.capacity: Capacity | None = None

    def connect(self, _sink: object, capacity: Capacity, _only: object, **_: object) -> Any:
        self.capacity = capacity
        return self

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.told.append((name, *arguments))


def play(scenario: Callable[[Hub, Gate, Any], Any], share: Capacity = AMPLE) -> Hub:
    """Let a process connect, and see what its hub is told."""

    async def run() -> Hub:
        hub = Hub()
        gate = Gate(cast("TaskHub", hub), share)
        found: Any = await gate.find("orders")
        sink: Any = object()
        done = scenario(hub, gate, found.connect(sink, Capacity(5, 20, 5)))
        if done is not None:
            await done
        return hub

    return asyncio.run(run())


def names(hub: Hub) -> list[str]:
    return [told[0] for told in hub.told]


@pytest.mark.parametrize(("is_lost", "end"), [(True, "lose"), (False, "close")])
def test_a_process_that_ends_takes_its_streams_along(is_lost, end):
    def scenario(_hub: Hub, gate: Gate, _stream: GatedStream) -> None:
        gate.ended(is_lost=is_lost)
        gate.ended(is_lost=True)  # of the one that takes its place, which has no stream yet

    assert names(play(scenario)) == [end]


def test_a_stream_that_ends_before_its_process_is_judged_by_the_end_of_that():
    def scenario(_hub: Hub, gate: Gate, stream: GatedStream) -> None:
        stream.close()
        gate.ended(is_lost=True)

    assert names(play(scenario)) == ["pause", "lose"]


def test_a_process_that_lives_on_without_its_stream_is_no_more_than_disconnected(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)

    async def scenario(_hub: Hub, gate: Gate, stream: GatedStream) -> None:
        stream.close()
        await asyncio.sleep(0.01)
        gate.ended(is_lost=True)

    assert names(play(scenario)) == ["pause", "close"]


def test_a_process_that_drains_keeps_what_it_holds_until_it_ends(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)

    async def scenario(hub: Hub, gate: Gate, stream: GatedStream) -> None:
        gate.drain()
        stream.close()
        await asyncio.sleep(0.01)
        assert set(names(hub)) == {"pause"}
        gate.ended(is_lost=False)

    assert names(play(scenario))[-1] == "close"


def test_a_process_that_is_told_to_drain_after_its_stream_has_ended_keeps_what_it_holds(
    monkeypatch,
):
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)

    async def scenario(hub: Hub, gate: Gate, stream: GatedStream) -> None:
        stream.close()
        gate.drain()
        await asyncio.sleep(0.01)
        assert set(names(hub)) == {"pause"}

    play(scenario)


def test_a_process_gets_no_more_than_its_share_and_than_it_wants():
    hub = play(lambda *_: None, Capacity(2, 100, 0))

    assert hub.capacity == Capacity(2, 20, 0)


def test_all_else_is_the_stream_s_own():
    response = ActivityResponse("a", 1, TOKEN, "1")

    def scenario(_hub: Hub, _gate: Gate, stream: GatedStream) -> None:
        stream.load_history("a", "e")
        stream.complete([response])
        stream.abandon(TOKEN, "why")
        stream.decline(TOKEN)
        stream.put_back(TOKEN)

    assert play(scenario).told == [
        ("load_history", "a", "e"),
        ("complete", [response]),
        ("abandon", TOKEN, "why"),
        ("decline", TOKEN),
        ("put_back", TOKEN),
    ]


def test_there_is_one_hub_which_nobody_can_replace():
    async def scenario(hub: Hub, gate: Gate, _stream: GatedStream) -> None:
        with pytest.raises(TaskHubNotFoundError, match="serves task hub 'Orders' only"):
            await gate.find("others")
        with pytest.raises(ConfigError):
            await gate.create("others")
        with pytest.raises(ConfigError):
            await gate.delete("orders")
        served: Any = await gate.find("ORDERS")
        served.complete(())
        assert hub.told == [("complete", ())]

    play(scenario)
