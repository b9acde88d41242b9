"""What may have killed the process is tried alone; a crash is a new hub over the same store."""

from __future__ import annotations

from typing import Any

from durable_app.protocol import OrchestrationStatus
from durable_app.scheduler.quarantine import ALONE_S
from tests.unit.scheduler.rig import Hands, Rig, answer, ending, result

ATTEMPTS = 4
#: Long enough for what rides to be committed.
RIDE_S = 0.03


def crash(rig: Rig) -> Rig:
    """The process dies and comes again."""
    again = Rig(rig.store, max_attempts=ATTEMPTS, suspect_wait_s=1.0)
    again.time.seconds = rig.time.seconds
    # A rig is made at the first second, and opened at once.
    again.hub.state.quarantine.recover(again.time.now())
    again.send()
    return again


def suspects(*names: str) -> tuple[Rig, Hands]:
    """A hub that begins after its instances have been in flight at three crashes."""
    rig = Rig(max_attempts=ATTEMPTS, suspect_wait_s=1.0)
    for name in names:
        rig.start(name)
    rig.wait(RIDE_S)
    for _ in range(3):
        rig.worker()
        rig.wait(RIDE_S)
        rig = crash(rig)
    return rig, rig.worker()


def turns(hands: Hands) -> list[str]:
    return [turn.instance_id for turn in hands.turns]


def test_what_was_in_flight_at_each_crash_is_tried_after_a_while_one_at_a_time() -> None:
    rig, hands = suspects("a", "b")
    assert turns(hands) == []
    rig.wait(1)
    assert turns(hands) == ["a"]

    rig.send(ending(hands.take_turn()))

    assert turns(hands) == ["b"]
    assert rig.status("a") is OrchestrationStatus.COMPLETED


def test_only_the_guilty_one_is_given_up() -> None:
    rig, hands = suspects("guilty", "innocent")
    rig.wait(1)
    assert turns(hands) == ["guilty"]
    rig = crash(rig)
    hands = rig.worker()
    rig.wait(1)
    rig.send(ending(hands.take_turn()))
    assert rig.status("innocent") is OrchestrationStatus.COMPLETED
    rig.wait(1)
    assert turns(hands) == ["guilty"]

    rig = crash(rig)

    rig.worker()
    rig.wait(RIDE_S)
    stored = rig.store.load("guilty")
    assert stored is not None
    assert stored.instance.failure is not None
    assert stored.instance.failure.error_type == "PoisonedOrchestration"


def test_others_are_held_back_for_some_time() -> None:
    rig, hands = suspects("suspect")
    rig.wait(1)
    rig.start("fresh")
    assert turns(hands) == ["suspect"]
    wait_s = rig.hub.wait_s()
    assert wait_s is not None
    assert wait_s <= ALONE_S

    rig.wait(ALONE_S)

    assert turns(hands) == ["suspect", "fresh"]


def test_what_is_in_flight_may_end_before_a_suspect_goes() -> None:
    rig, hands = suspects("suspect")
    rig.start("fresh")
    rig.wait(1)
    assert turns(hands) == ["fresh"]

    rig.send(ending(hands.take_turn()))

    assert turns(hands) == ["suspect"]


def test_a_suspect_does_not_wait_for_ever_for_what_is_in_flight() -> None:
    rig, hands = suspects("suspect")
    rig.start("slow")
    rig.wait(1)
    rig.wait(ALONE_S)

    assert turns(hands) == ["slow", "suspect"]


def test_the_place_is_free_when_the_worker_of_a_suspect_is_gone() -> None:
    rig, hands = suspects("a", "b")
    rig.wait(1)
    other = rig.worker()

    rig.leave(hands)

    assert len(turns(other)) == 1


def test_a_suspect_that_is_gone_holds_up_nobody() -> None:
    rig, hands = suspects("a", "b", "c")
    rig.wait(1)
    rig.hub.state.cache.drop("b")
    rig.store.purge(["b"])

    rig.send(ending(hands.take_turn()))

    assert turns(hands) == ["c"]


def test_suspects_of_all_kinds_share_the_place() -> None:
    rig = Rig(max_attempts=ATTEMPTS, suspect_wait_s=1.0)
    hands = rig.worker()
    rig.start("caller")
    turn = hands.take_turn()
    rig.send(_calling(rig, turn))
    rig.start("turn")
    rig.wait(RIDE_S)
    for _ in range(3):
        rig = crash(rig)
        hands = rig.worker()
        rig.wait(RIDE_S)
    rig.wait(1)
    assert (turns(hands), hands.activities) == (["turn"], [])

    rig.send(ending(hands.take_turn()))

    assert [activity.name for activity in hands.activities] == ["work"]


def _calling(rig: Rig, turn: Any) -> Any:
    return answer(turn, *rig.scheduling("work"))


def test_a_result_after_a_crash_is_stored_before_the_turn_that_it_leads_to() -> None:
    rig = Rig(max_attempts=ATTEMPTS, suspect_wait_s=1.0)
    hands = rig.worker()
    rig.start("a")
    rig.send(_calling(rig, hands.take_turn()))
    rig = crash(rig)
    hands = rig.worker()

    rig.send(result(hands.take_activity()))

    assert turns(hands) == ["a"]
    stored = rig.store.load("a")
    assert stored is not None
    assert len(stored.messages) == 1
