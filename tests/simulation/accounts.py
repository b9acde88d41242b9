"""The entities of a world, and what they do.

Every operation has a tag, ``sender|serial``, unique in its world (with a ``d`` at its end where it
is delayed, so that nothing is said about its order). An account writes down the tag of each
operation that it has carried out, with the change of its balance: its state tells what was done,
how often, and in which order.

    add      amount                  read     answers balance and tags
    put      balance, wanted: the change that this should be
    forward  add on another account  begin    starts an orchestration
    fail     fails                   poison   never comes to an end
    slow     add, after a while
    drop     removes the state       flip     (scratch) removes or sets it, adds to an account
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from durable_app.protocol import (
    EntityBatchResult,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityRequest,
    FailureDetails,
    HistoryEvent,
    OperationFailure,
    OperationSuccess,
    SendSignal,
    StartNewOrchestration,
)

ACCOUNTS = ("@account@a", "@account@b", "@account@c")
SCRATCH = "@scratch@x"

#: They leave nothing in the log.
UNLOGGED = frozenset({"fail", "poison", "drop", "flip"})

Operation = EntityOperationSignaled | EntityOperationCalled
Entry = tuple[str, int, int]
"""Tag, change of the balance, the change that was wanted."""


def tag_of(event: Operation) -> str:
    tag: str = json.loads(event.input or "{}")["tag"]
    return tag


def sender_of(tag: str) -> str:
    """Who has sent it; entities that have passed it on are parts of the name."""
    return tag.partition("|")[0]


def execution_of(tag: str) -> str:
    """The orchestration's execution, or the client, from which it comes in the end."""
    return sender_of(tag).partition(">")[0]


def passed_on(tag: str, entity_id: str) -> str:
    """The tag of what an entity sends because of an operation."""
    sender, _, serial = tag.partition("|")
    return f"{sender}>{entity_id}|{serial}"


def log_of(state: str | None) -> list[Entry]:
    """What an account has done, in order."""
    return [tuple(entry) for entry in json.loads(state)["log"]] if state is not None else []


def balance_of(state: str | None) -> int:
    return int(json.loads(state)["balance"]) if state is not None else 0


def is_operation(event: HistoryEvent) -> bool:
    return isinstance(event, (EntityOperationSignaled, EntityOperationCalled))


class _Batch:
    """One batch while it runs."""

    def __init__(self, item: EntityRequest) -> None:
        self.entity_id = item.instance_id
        self.state = item.entity_state
        self.actions: list[SendSignal | StartNewOrchestration] = []

    def run(self, name: str, data: dict[str, Any]) -> Any:
        """One operation; its result."""
        if name == "drop":
            self.state = None
            return None
        if name == "flip":
            self.state = "1" if self.state is None else None
            self._pass_on(data)
            return None
        balance, log = balance_of(self.state), log_of(self.state)
        after = balance
        if name in ("add", "slow"):
            after += data["amount"]
        elif name == "put":
            after = data["balance"]
        elif name == "forward":
            self._pass_on(data)
        elif name == "begin":
            spec = json.dumps(data["spec"])
            number = len(self.actions)
            self.actions.append(StartNewOrchestration(number, data["id"], "program", None, spec))
        log.append((data["tag"], after - balance, data.get("wanted", after - balance)))
        self.state = json.dumps({"balance": after, "log": log})
        return {"balance": after, "tags": [tag for tag, *_ in log] if name == "read" else []}

    def _pass_on(self, data: dict[str, Any]) -> None:
        text = json.dumps({"tag": passed_on(data["tag"], self.entity_id), "amount": data["amount"]})
        self.actions.append(SendSignal(len(self.actions), data["to"], "add", text))


def run_batch(item: EntityRequest, most: int, now: datetime) -> EntityBatchResult | None:
    """Run up to ``most`` operations; None where the first one is poison."""
    batch = _Batch(item)
    results: list[OperationSuccess | OperationFailure] = []
    for event in item.operations[:most]:
        if event.operation == "poison":
            break
        if event.operation == "fail":
            results.append(OperationFailure(FailureDetails("Wanted", "as it says"), now, now))
            continue
        result = batch.run(event.operation, json.loads(event.input or "{}"))
        results.append(OperationSuccess(json.dumps(result), now, now))
    if not results:
        return None
    return EntityBatchResult(item.token, tuple(results), tuple(batch.actions), batch.state)
