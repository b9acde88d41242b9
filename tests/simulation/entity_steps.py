"""What programs do with entities; the outcome of each step is known beforehand.

    ["signal", e, n, s]   add n to e, after s seconds (0: at once)
    ["ask", e, op]        call it, and wait          ["fire", e]        call it, and do not wait
    ["wave", [e...]]      call all at once           ["keep", [e...]]   lock, and never release
    ["bet", e, v]         call it beside a gate
    ["move", [e...], n, step, own, hasty]   transfer of n; hasty: lets go before the answers come

A transfer locks two accounts, reads both, does one more step where there is one, and writes both:
were it not alone, the changes would not be those that it wanted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from durable_app.protocol import (
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    SendEntityMessage,
)
from tests.simulation.accounts import ACCOUNTS, SCRATCH

if TYPE_CHECKING:
    from tests.simulation.programs import Execution

Wait = Generator[Callable[[], bool], None, Any]
Step = list[Any]


def _tag(run: Execution, action_id: int, *, is_delayed: bool = False) -> str:
    instance = run.instance
    sender = f"{instance.instance_id}#{(instance.execution_id or '')[:8]}"
    return f"{sender}|{action_id:05d}{'d' if is_delayed else ''}"


def _signal(run: Execution, entity_id: str, operation: str, data: Any, seconds: float = 0) -> str:
    action_id = run._id()
    tag = _tag(run, action_id, is_delayed=seconds > 0)
    at = run.now + timedelta(seconds=seconds) if seconds else None
    text = json.dumps({**data, "tag": tag})
    event = EntityOperationSignaled(-1, run.now, tag, operation, at, text, entity_id)
    run._do(SendEntityMessage(action_id, event))
    return tag


def _call(run: Execution, entity_id: str, operation: str, data: Any) -> str:
    action_id = run._id()
    tag = _tag(run, action_id)
    text = json.dumps({**data, "tag": tag})
    event = EntityOperationCalled(
        -1,
        run.now,
        tag,
        operation,
        None,
        text,
        run.instance.instance_id,
        run.instance.execution_id,
        entity_id,
    )
    run._do(SendEntityMessage(action_id, event))
    return tag


def _answer(run: Execution, tag: str) -> Wait:
    run.asks = True
    yield lambda: tag in run.answers
    run.asks = False
    event = run.answers[tag]
    if isinstance(event, EntityOperationCompleted):
        return json.loads(event.output or "null")
    if isinstance(event, EntityOperationFailed) and event.failure is not None:
        return event.failure.error_type
    return None


def _locked(run: Execution, entities: list[str]) -> Wait:
    """Lock them; what releases them."""
    action_id = run._id()
    section = _tag(run, action_id)
    lock_set = tuple(sorted(entities))
    holder = run.instance.instance_id
    event = EntityLockRequested(-1, run.now, section, lock_set, 0, holder)
    run._do(SendEntityMessage(action_id, event))
    yield from _answer(run, section)

    def release() -> None:
        for entity_id in lock_set:
            unlock = EntityUnlockSent(-1, run.now, section, holder, entity_id)
            run._do(SendEntityMessage(run._id(), unlock))

    return release


def signal(run: Execution, entity_id: str, amount: int, seconds: float) -> Wait:
    yield from ()
    _signal(run, entity_id, "add", {"amount": amount}, seconds)


def ask(run: Execution, entity_id: str, operation: str) -> Wait:
    data = {"amount": 1, "to": ACCOUNTS[0]}
    got = yield from _answer(run, _call(run, entity_id, operation, data))
    return got if isinstance(got, str) else "ok"


def fire(run: Execution, entity_id: str) -> Wait:
    yield from ()
    _call(run, entity_id, "add", {"amount": 1})


def bet(run: Execution, entity_id: str, value: str) -> Wait:
    tag = _call(run, entity_id, "slow", {"amount": 1})
    yield from run.step(["gate", value])
    got = yield from _answer(run, tag)
    return got if isinstance(got, str) else "ok"


def wave(run: Execution, entities: list[str]) -> Wait:
    tags = [_call(run, entity_id, "add", {"amount": 2}) for entity_id in entities]
    for tag in tags:
        yield from _answer(run, tag)
    return len(tags)


def move(
    run: Execution,
    entities: list[str],
    amount: int,
    step: Step | None,
    own: int | None,
    is_hasty: bool,
) -> Wait:
    source, target = entities
    before = _signal(run, source, "add", {"amount": own}) if own is not None else None
    release = yield from _locked(run, entities)
    there = yield from _answer(run, _call(run, source, "read", {}))
    here = yield from _answer(run, _call(run, target, "read", {}))
    if step is not None:
        yield from run.step(step)
    tags = [
        _call(run, source, "put", {"balance": there["balance"] - amount, "wanted": -amount}),
        _call(run, target, "put", {"balance": here["balance"] + amount, "wanted": amount}),
    ]
    if is_hasty:
        release()
    for tag in tags:
        yield from _answer(run, tag)
    if not is_hasty:
        release()
    return "moved" if before is None or before in there["tags"] else "its own signal came later"


def keep(run: Execution, entities: list[str]) -> Wait:
    yield from _locked(run, entities)
    got = yield from _answer(run, _call(run, entities[0], "read", {}))
    return "kept" if isinstance(got, dict) else got


OPS: dict[str, Callable[..., Wait]] = {
    "signal": signal,
    "ask": ask,
    "fire": fire,
    "bet": bet,
    "wave": wave,
    "move": move,
    "keep": keep,
}


def makers(rng: Random) -> list[tuple[float, Callable[[], Step]]]:
    """Random steps with their weights."""

    def within() -> Step | None:
        return rng.choice(
            (None, None, ["timer", rng.choice((0.005, 1, 20))], ["call", 7], ["gate", "g7"])
        )

    return [
        (3, lambda: ["signal", _one(rng), rng.randint(1, 9), rng.choice((0, 0, 0.01, 3, 100))]),
        (3, lambda: ["ask", _one(rng), rng.choice(("add", "add", "forward", "fail", "poison"))]),
        (1, lambda: ["ask", SCRATCH, "flip"]),
        (2, lambda: ["fire", _one(rng)]),
        (2, lambda: ["bet", _one(rng), f"g{rng.randint(0, 999)}"]),
        (1, lambda: ["wave", list(ACCOUNTS)]),
        (6, lambda: ["move", _two(rng), rng.randint(1, 9), within(), _own(rng), _hasty(rng)]),
    ]


def last_steps(rng: Random, *, may_fail: bool) -> list[Step]:
    """An end within a critical section, now and then."""
    kept: list[Step] = [["keep", _two(rng)]]
    ways: list[list[Step]] = [
        [],
        [["timer", 2]],
        [["call", 5]],
        [["gate", "g5"]],
        [["event", "go"]],
    ]
    if may_fail:
        ways.append([["die", "locked"]])
    return kept + rng.choice(ways) if rng.random() < 0.12 else []


def fits(step: Step, got: Any) -> bool:
    """Whether this can come of it."""
    wanted: Any = None
    match step:
        case ["ask", _, "fail"]:
            wanted = "Wanted"
        case ["ask", _, "poison"]:
            wanted = "PoisonedOperation"
        case ["ask", *_] | ["bet", *_]:
            wanted = "ok"
        case ["wave", entities]:
            wanted = len(entities)
        case ["keep", *_]:
            wanted = "kept"
        case ["move", *_]:
            wanted = "moved"
        case _:
            pass
    return bool(got == wanted)


def _one(rng: Random) -> str:
    return rng.choice(ACCOUNTS)


def _own(rng: Random) -> int | None:
    return rng.choice((None, 1))


def _hasty(rng: Random) -> bool:
    return rng.random() < 0.3


def _two(rng: Random) -> list[str]:
    return rng.sample(ACCOUNTS, 2)
