"""The hub's rules: sort an inbox, make a turn, decide what follows, merge what belongs together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import TypeVar

from benchmarks.micro.orders import NOW, Ids, newborn, result, schedule, settle, turn_of
from durable_app.taskhub import activity
from durable_app.taskhub.delivery import make_turn, sort_inbox
from durable_app.taskhub.instance import ActivityTask, Decision, Known
from durable_app.taskhub.merge import merge
from durable_app.taskhub.orchestration import complete

TURNS = 2_000
ITEMS = 5_000  # and twice as many: the cost of an item must stay the same
_A = TypeVar("_A")
_R = TypeVar("_R")


class Stopwatch:
    """Seconds per operation, by name."""

    def __init__(self, operations: int) -> None:
        self.figures: dict[str, float] = {}
        self._operations = operations

    def each(self, name: str, rule: Callable[[_A], _R], inputs: Iterable[_A]) -> list[_R]:
        """Apply a rule to every input."""
        began = perf_counter()
        found = [rule(one) for one in inputs]
        self.figures[name] = (perf_counter() - began) / self._operations
        return found

    def once(self, name: str, rule: Callable[[], _R]) -> _R:
        """Apply a rule that deals with all operations at once."""
        began = perf_counter()
        found = rule()
        self.figures[name] = (perf_counter() - began) / self._operations
        return found


def chain_turns() -> dict[str, float]:
    """The same step of many instances, each of which waits for one activity."""
    ids, watch = Ids(), Stopwatch(TURNS)
    knowns: list[Known] = []
    tasks: list[ActivityTask] = []
    for number in range(TURNS):
        known, start = newborn(f"order-{number:06}", ids)
        begun = complete(known, turn_of(known, [start]), schedule("order", 1), NOW, ids)
        settle(known, begun)
        knowns.append(known)
        tasks += begun.tasks
    responses = [(task, result(task)) for task in tasks]
    answer = schedule("order", 2)

    finishes = watch.each(
        "turn: activity.finish", lambda pair: activity.finish(*pair, NOW, ids), responses
    )
    heaps = watch.each(
        "turn: sort_inbox",
        lambda pair: sort_inbox(pair[0].instance, pair[0].work, pair[1].messages),
        zip(knowns, finishes, strict=True),
    )
    turns = watch.each(
        "turn: make_turn",
        lambda pair: make_turn(pair[0].instance, pair[1].events, NOW),
        zip(knowns, heaps, strict=True),
    )
    decisions = watch.each(
        "turn: complete",
        lambda pair: complete(*pair, answer, NOW, ids),
        zip(knowns, turns, strict=True),
    )
    merged = watch.each("turn: merge", merge, zip(finishes, decisions, strict=True))
    assert all(len(one.finished) == len(one.tasks) == 1 for one in merged)
    assert not any(one.messages or one.consumed for one in merged)
    return watch.figures | {"turn: all of it": sum(watch.figures.values())}


def fan_out(size: int) -> dict[str, float]:
    """One instance with many activities; all results are there when its second turn begins."""
    ids, watch = Ids(), Stopwatch(size)
    known, start = newborn("order", ids)
    first, actions = turn_of(known, [start]), schedule("order", 1, size)
    scheduled = watch.once(
        f"item of {size:,}: complete, scheduling",
        lambda: complete(known, first, actions, NOW, ids),
    )
    settle(known, scheduled)
    responses = [(task, result(task)) for task in scheduled.tasks]
    finishes = watch.each(
        f"item of {size:,}: activity.finish",
        lambda pair: activity.finish(*pair, NOW, ids),
        responses,
    )
    inbox = [message for one in finishes for message in one.messages]
    second = watch.once(f"item of {size:,}: sort_inbox, make_turn", lambda: turn_of(known, inbox))
    answer = schedule("order", size + 1)
    decided: Decision = watch.once(
        f"item of {size:,}: complete, results", lambda: complete(known, second, answer, NOW, ids)
    )
    merged = watch.once(f"item of {size:,}: merge", lambda: merge([*finishes, decided]))
    assert len(merged.finished) == size
    assert not merged.messages
    return watch.figures | {f"item of {size:,}: all of it": sum(watch.figures.values())}


CASES = (chain_turns, partial(fan_out, ITEMS), partial(fan_out, 2 * ITEMS))
