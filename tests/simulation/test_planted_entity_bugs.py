"""Each safeguard of entities is taken away, and must be missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from durable_app.protocol import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityUnlockSent,
)
from durable_app.scheduler import commits, hot, state
from durable_app.scheduler.commits import Commits
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub import delivery, entities, lifecycle, orchestration
from durable_app.taskhub.instance import OpenWork
from tests.simulation.planting import is_caught

Patch = pytest.MonkeyPatch
SEEDS = range(1, 601)


def _locks_outlive_their_execution(patch: Patch) -> None:
    patch.setattr(orchestration, "releases", lambda *_: [])


def _locks_outlive_their_replaced_execution(patch: Patch) -> None:
    patch.setattr(lifecycle, "releases", lambda *_: [])


def _operations_overtake_a_lock_request(patch: Patch) -> None:
    true_step = entities.next_step

    def next_step(instance: Any, messages: Any, *more: Any) -> Any:
        waiting = sorted(messages, key=lambda m: type(m.event) is EntityLockRequested)
        return true_step(instance, waiting, *more)

    patch.setattr(entities, "next_step", next_step)


def _lock_requests_overtake_operations(patch: Patch) -> None:
    true_step = entities.next_step

    def next_step(instance: Any, messages: Any, *more: Any) -> Any:
        waiting = sorted(messages, key=lambda m: type(m.event) is not EntityLockRequested)
        return true_step(instance, waiting, *more)

    patch.setattr(entities, "next_step", next_step)


def _answers_are_not_deduplicated(patch: Patch) -> None:
    true_resolution, true_accepts = delivery._resolution, OpenWork.accepts
    kinds = (EntityOperationCompleted, EntityOperationFailed)

    def resolution(message: Any) -> Any:
        return None if isinstance(message.event, kinds) else true_resolution(message)

    def accepts(self: OpenWork, event: Any, key: int) -> bool:
        return isinstance(event, kinds) or true_accepts(self, event, key)

    patch.setattr(delivery, "_resolution", resolution)
    patch.setattr(OpenWork, "accepts", accepts)


def _messages_of_a_batch_stay(patch: Patch) -> None:
    true_apply = MemoryStore._apply

    def apply(self: MemoryStore, decision: Any) -> Any:
        if decision.instance is not None and decision.instance.entity is not None:
            decision = msgspec.structs.replace(decision, consumed=())
        return true_apply(self, decision)

    patch.setattr(MemoryStore, "_apply", apply)


def _a_whole_batch_is_consumed_for_part_of_its_results(patch: Patch) -> None:
    true_complete = entities.complete_batch

    def complete_batch(instance: Any, batch: Any, *more: Any) -> Any:
        decision = true_complete(instance, batch, *more)
        return msgspec.structs.replace(decision, consumed=batch.messages)

    patch.setattr("durable_app.scheduler.workers_side.complete_batch", complete_batch)


def _state_of_a_failed_commit_is_used(patch: Patch) -> None:
    true_failed = Commits._failed

    def failed(self: Commits, hot: Any, parts: Any, error: Exception) -> None:
        true_failed(self, hot, parts, error)
        if hot.instance.entity is not None:
            self._state.cache.put(hot)

    patch.setattr(Commits, "_failed", failed)


def _unlocks_overtake_calls_of_the_holder(patch: Patch) -> None:
    true_release = entities._release

    def release(instance: Any, waiting: Any, now: Any) -> Any:
        unlocks_first = sorted(waiting, key=lambda m: type(m.event) is not EntityUnlockSent)
        return true_release(instance, unlocks_first, now)

    patch.setattr(entities, "_release", release)


def _a_lock_shuts_nobody_out(patch: Patch) -> None:
    patch.setattr(entities, "_is_call_of", lambda message, _lock: entities_kind(message))


def entities_kind(message: Any) -> bool:
    return not isinstance(message.event, EntityLockRequested | EntityUnlockSent)


def _position_is_not_increased(patch: Patch) -> None:
    true_grant = entities._grant

    def grant(instance: Any, message: Any, event: Any, *more: Any) -> Any:
        decision = true_grant(instance, message, event, *more)
        passed_on = tuple(
            msgspec.structs.replace(m, event=msgspec.structs.replace(m.event, position=0))
            if isinstance(m.event, EntityLockRequested)
            else m
            for m in decision.messages
        )
        return msgspec.structs.replace(decision, messages=passed_on)

    patch.setattr(entities, "_grant", grant)


def _grants_come_with_the_first_lock(patch: Patch) -> None:
    true_grant = entities._grant

    def grant(instance: Any, message: Any, event: Any, now: Any, ids: Any) -> Any:
        decision = true_grant(instance, message, event, now, ids)
        early = msgspec.structs.replace(
            decision.messages[0],
            id=ids.next_key(),
            instance_id=event.parent_instance_id,
            event=EntityLockGranted(-1, now, event.critical_section_id),
        )
        return msgspec.structs.replace(decision, messages=(early, *decision.messages))

    patch.setattr(entities, "_grant", grant)


def _births_are_left_out(patch: Patch) -> None:
    def without(self: Commits, decision: Any) -> Any:
        births = tuple(birth for birth in decision.births if birth.entity is None)
        return msgspec.structs.replace(decision, births=births)

    patch.setattr(Commits, "_without_known_births", without)


def _births_are_left_out_once_known(patch: Patch) -> None:
    true_without = Commits._without_known_births
    known: set[str] = set()

    def without(self: Commits, decision: Any) -> Any:
        births = tuple(birth for birth in decision.births if birth.instance_id not in known)
        known.update(birth.instance_id for birth in births if birth.entity is not None)
        return true_without(self, msgspec.structs.replace(decision, births=births))

    patch.setattr(Commits, "_without_known_births", without)


def _nobody_in_memory_hears_of_delayed_messages(patch: Patch) -> None:
    def announce(self: Commits, message: Any) -> None:
        self._state.wakeups.note(message.visible_at)

    patch.setattr(Commits, "_announce", announce)


def _the_clock_decides_what_is_due(patch: Patch) -> None:
    for module in (hot, commits):
        patch.setattr(module, "is_due", lambda message, now: message.visible_at <= now)


def _the_clock_decides_the_order(patch: Patch) -> None:
    patch.setattr(state, "in_order", lambda messages: messages)


BUGS: tuple[Callable[[Patch], None], ...] = (
    _locks_outlive_their_execution,
    _locks_outlive_their_replaced_execution,
    _operations_overtake_a_lock_request,
    _lock_requests_overtake_operations,
    _answers_are_not_deduplicated,
    _messages_of_a_batch_stay,
    _a_whole_batch_is_consumed_for_part_of_its_results,
    _state_of_a_failed_commit_is_used,
    _unlocks_overtake_calls_of_the_holder,
    _a_lock_shuts_nobody_out,
    _position_is_not_increased,
    _grants_come_with_the_first_lock,
    _births_are_left_out,
    _births_are_left_out_once_known,
    _nobody_in_memory_hears_of_delayed_messages,
    _the_clock_decides_what_is_due,
    _the_clock_decides_the_order,
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__.strip("_"))
def test_a_planted_bug_is_caught(bug: Callable[[Patch], None], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)

        caught = next((seed for seed in SEEDS if is_caught(seed, tmp_path)), None)

    assert caught is not None
