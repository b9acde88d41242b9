"""The simulation is tested by what it finds: each safeguard is taken away, and must be missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from durable_app.scheduler import steps
from durable_app.scheduler.backlog import Backlog
from durable_app.scheduler.commits import Commits
from durable_app.scheduler.hot import Hot
from durable_app.scheduler.hub import Hub
from durable_app.scheduler.inputs import Disconnect
from durable_app.scheduler.streams import Held, Streams
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub import delivery, orchestration
from durable_app.taskhub.instance import OpenWork
from tests.simulation.planting import is_caught

Patch = pytest.MonkeyPatch
SEEDS = range(1, 601)


def _no_key_comparison(patch: Patch) -> None:
    def accepts(self: OpenWork, event: Any, key: int) -> bool:
        return True

    patch.setattr(OpenWork, "accepts", accepts)


def _no_execution_check(patch: Patch) -> None:
    true_sort = delivery.sort_inbox

    def sort_inbox(instance: Any, work: Any, messages: Any) -> Any:
        forged = [msgspec.structs.replace(m, execution_id=instance.execution_id) for m in messages]
        return true_sort(instance, work, forged)

    patch.setattr(steps, "sort_inbox", sort_inbox)


def _no_revision_fence(patch: Patch) -> None:
    true_apply = MemoryStore._apply

    def apply(self: MemoryStore, decision: Any) -> Any:
        row = self._instances.get(decision.instance_id)
        if row is not None:
            decision = msgspec.structs.replace(decision, expected_revision=row.revision)
        return true_apply(self, decision)

    patch.setattr(MemoryStore, "_apply", apply)


def _state_of_a_failed_commit_is_used(patch: Patch) -> None:
    def failed(self: Commits, hot: Hot, parts: Any, error: Exception) -> None:
        self._state.cache.put(hot)

    patch.setattr(Commits, "_failed", failed)


def _everything_is_consumed(patch: Patch) -> None:
    true_make_turn = delivery.make_turn

    def make_turn(instance: Any, events: Any, now: Any) -> Any:
        turn = true_make_turn(instance, events, now)
        started, *rest = turn.events
        return msgspec.structs.replace(turn, events=(started, *rest[:1]))

    patch.setattr(steps, "make_turn", make_turn)


def _nothing_is_consumed(patch: Patch) -> None:
    true_apply = MemoryStore._apply

    def apply(self: MemoryStore, decision: Any) -> Any:
        return true_apply(self, msgspec.structs.replace(decision, consumed=()))

    patch.setattr(MemoryStore, "_apply", apply)


def _timers_fire_at_once(patch: Patch) -> None:
    def add(self: Hot, message: Any, now: Any) -> None:
        self.visible[message.id] = message

    patch.setattr(Hot, "add", add)


def _acks_before_the_commit(patch: Patch) -> None:
    true_decide = steps.Steps.decide

    def decide(self: Any, hot: Hot, decision: Any, ack: Any = None) -> None:
        true_decide(self, hot, decision)
        if ack is not None:
            ack.send()

    patch.setattr(steps.Steps, "decide", decide)


def _slot_released_twice(patch: Patch) -> None:
    true_release = Streams.release

    def release(self: Streams, token: Any) -> Held | None:
        held = true_release(self, token)
        if held is not None and held.task is not None:
            held.stream.activities -= 1
        return held

    patch.setattr(Streams, "release", release)


def _own_messages_survive(patch: Patch) -> None:
    patch.setattr(orchestration, "own_messages", lambda *_: ())


def _parent_is_not_told(patch: Patch) -> None:
    patch.setattr(orchestration, "notify_parent", lambda *_: ())


def _late_answers_count(patch: Patch) -> None:
    true_held = Streams.held

    def held(self: Streams, token: Any) -> Held | None:
        found = true_held(self, token)
        if found is None:
            same = (h for t, h in self._held.items() if t.target == token.target)
            found = next(same, None)
        return found

    patch.setattr(Streams, "held", held)


def _carried_events_come_last(patch: Patch) -> None:
    patch.setattr(Hot, "_sort_visible", lambda self: None)


def _riding_parts_wait_for_ever(patch: Patch) -> None:
    def collect(self: Commits, *, is_last: bool = False) -> None:
        for hot in list(self._steps.riding.values()):
            if hot.turn is None and hot.parts and not hot.visible:
                self._steps.riding.pop(hot.instance_id)
                self.add_turn(hot, hot.take_parts())

    patch.setattr(Commits, "collect", collect)
    patch.setattr(Commits, "ride_left_s", lambda self: None)


def _nothing_is_given_back(patch: Patch) -> None:
    def on_disconnect(self: Hub, item: Disconnect) -> None:
        self.state.streams.disconnect(item.stream_id)

    true_init = Hub.__init__

    def init(self: Hub, *arguments: Any) -> None:
        true_init(self, *arguments)
        self.serve({Disconnect: lambda item: on_disconnect(self, item)})

    patch.setattr(Hub, "__init__", init)


def _finished_tasks_stay(patch: Patch) -> None:
    true_apply = MemoryStore._apply

    def apply(self: MemoryStore, decision: Any) -> Any:
        return true_apply(self, msgspec.structs.replace(decision, finished=()))

    patch.setattr(MemoryStore, "_apply", apply)


def _tasks_before_their_commit(patch: Patch) -> None:
    true_add = Commits.add_turn

    def add_turn(self: Commits, hot: Hot, parts: Any) -> None:
        true_add(self, hot, parts)
        for task in self._group[-1][2].tasks:
            self._state.backlog.add(task)

    patch.setattr(Commits, "add_turn", add_turn)


def _turns_before_the_commit(patch: Patch) -> None:
    patch.setattr(Hot, "is_ahead", False)


def _tokens_start_again(patch: Patch) -> None:
    patch.setattr(Streams, "number_from", lambda self, nonce: None)


def _restart_forgets_tasks(patch: Patch) -> None:
    patch.setattr(Backlog, "_refill", lambda self, now: False)


BUGS: tuple[Callable[[Patch], None], ...] = (
    _no_key_comparison,
    _no_execution_check,
    _no_revision_fence,
    _state_of_a_failed_commit_is_used,
    _everything_is_consumed,
    _nothing_is_consumed,
    _timers_fire_at_once,
    _acks_before_the_commit,
    _slot_released_twice,
    _own_messages_survive,
    _parent_is_not_told,
    _late_answers_count,
    _carried_events_come_last,
    _riding_parts_wait_for_ever,
    _nothing_is_given_back,
    _finished_tasks_stay,
    _tasks_before_their_commit,
    _turns_before_the_commit,
    _tokens_start_again,
    _restart_forgets_tasks,
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__.strip("_"))
def test_a_planted_bug_is_caught(bug: Callable[[Patch], None], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)

        caught = next((seed for seed in SEEDS if is_caught(seed, tmp_path)), None)

    assert caught is not None
