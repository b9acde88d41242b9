from __future__ import annotations

from dataclasses import dataclass

from durable_app.errors import PayloadError
from tests.unit.replay.world import World, done, raised


@dataclass
class Approval:
    by: str


def test_waits_and_events_meet_in_their_order() -> None:
    def orchestrator(context):
        first = context.wait_for_external_event("Go")
        second = context.wait_for_external_event("gO")
        return (yield context.task_all([second, first]))

    world = World(orchestrator)
    world.turn(raised("go", 1), raised("GO", 2))
    assert world.output == [2, 1]


def test_events_that_come_first_wait_in_their_order() -> None:
    def orchestrator(context):
        got = yield context.wait_for_external_event("go")
        more = yield context.wait_for_external_event("go")
        return [got, more, (yield context.wait_for_external_event("go"))]

    world = World(orchestrator)
    world.turn(raised("other", 0), raised("go", 1), raised("go", 2), raised("go", 3))
    assert world.output == [1, 2, 3]


def test_one_of_several_events_is_left() -> None:
    def orchestrator(context):
        yield context.wait_for_external_event("start")
        first = yield context.wait_for_external_event("go")
        yield context.call_activity("a")
        return [first, (yield context.wait_for_external_event("go"))]

    world = World(orchestrator)
    world.turn(raised("go", 1), raised("go", 2), raised("start"))
    world.turn(done(1))
    assert world.output == [1, 2]


def test_one_of_several_waits_is_cancelled() -> None:
    def orchestrator(context):
        waits = [context.wait_for_external_event("go") for _ in range(3)]
        waits[1].cancel()
        return (yield context.task_all([waits[0], waits[2]]))

    world = World(orchestrator)
    world.turn(raised("go", 1))
    world.turn(raised("go", 2))
    assert world.output == [1, 2]


def test_an_event_is_delivered_once() -> None:
    def orchestrator(context):
        yield context.wait_for_external_event("go")
        yield context.wait_for_external_event("go")

    world = World(orchestrator)
    assert world.turn(raised("go")).actions == ()
    world.turn(raised("go"))
    assert world.output is None


def test_a_payload_is_decoded_as_the_wait_says() -> None:
    def orchestrator(context):
        approval = yield context.wait_for_external_event("approve", Approval)
        return approval.by

    world = World(orchestrator)
    world.turn(raised("approve", {"by": "Ada"}))
    assert world.output == "Ada"


def test_a_payload_that_does_not_fit_raises_at_the_yield() -> None:
    def orchestrator(context):
        wait = context.wait_for_external_event("approve", Approval)
        try:
            yield wait
        except PayloadError:
            return (yield context.wait_for_external_event("approve"))

    world = World(orchestrator)
    world.turn(raised("approve", 5), raised("approve", 6))
    assert world.output == 6
