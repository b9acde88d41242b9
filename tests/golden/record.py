"""Record golden files: ``python -m tests.golden.record [NAME ...]``, all without a name.

Histories come from a real hub with a real worker that runs the app of this repository. The name
``stored`` stands for the stored forms of events, of which only missing ones are added.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import function_app
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.ports import Capacity, StartRequest, WorkFilter, WorkResult, WorkSink, WorkStream
from durable_app.protocol import (
    CompleteOrchestration,
    CompletionToken,
    ExecutionCompleted,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorRequest,
    OrchestratorResponse,
    WorkItem,
)
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.worker.service import Worker, WorkerOptions
from tests.golden.golden import from_readable, to_readable, write_history
from tests.golden.stored import record_forms

_ROOT: Final = Path(__file__).resolve().parents[2]
_TIMEOUT_S: Final = 20
_CONTINUED: Final = OrchestrationStatus.CONTINUED_AS_NEW
Histories = dict[str, Sequence[HistoryEvent]]


class Ledger:
    """Stands between hub and worker and keeps what the hub forgets.

    A continue-as-new removes the history of the execution that it ends; here it is kept, its last
    turn included. Implements ``ports.WorkSource``.
    """

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub
        self._turns: dict[CompletionToken, OrchestratorRequest] = {}
        self.continued: list[list[HistoryEvent]] = []

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> WorkStream:
        witness = _Sink(self, sink)
        stream = self._hub.connect(witness, capacity, only, whole_history=whole_history)
        return _Stream(self, stream)

    def handed_out(self, items: Sequence[WorkItem]) -> None:
        self._turns |= {i.token: i for i in items if isinstance(i, OrchestratorRequest)}

    def handed_back(self, results: Sequence[WorkResult], stream: WorkStream) -> None:
        for result in results:
            if isinstance(result, OrchestratorResponse) and result.actions:
                end = result.actions[-1]
                if isinstance(end, CompleteOrchestration) and end.status is _CONTINUED:
                    turn = self._turns[result.token]
                    past = stream.load_history(turn.instance_id, turn.execution_id)
                    now = turn.new_events[0].timestamp
                    last = ExecutionCompleted(end.id, now, end.status, end.result)
                    self.continued.append([*past, *turn.new_events, last])


class _Sink:
    def __init__(self, ledger: Ledger, sink: WorkSink) -> None:
        self._ledger = ledger
        self._sink = sink
        self.forget = sink.forget

    def push(self, items: Sequence[WorkItem]) -> None:
        self._ledger.handed_out(items)
        self._sink.push(items)


class _Stream:
    def __init__(self, ledger: Ledger, stream: WorkStream) -> None:
        self._ledger = ledger
        self._stream = stream
        self.abandon = stream.abandon
        self.decline = stream.decline
        self.put_back = stream.put_back
        self.load_history = stream.load_history
        self.pause = stream.pause
        self.close = stream.close

    def complete(self, results: Sequence[WorkResult]) -> None:
        self._ledger.handed_back(results, self._stream)
        self._stream.complete(results)


class Stage:
    """A hub and a worker on which one scenario is played; the instance is called like its file."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.hub = TaskHub(MemoryStore(), HubOptions(), clock)
        self.ledger = Ledger(self.hub)
        self._worker = Worker(self.ledger, index_app(function_app.app), WorkerOptions(), clock)

    async def __aenter__(self) -> Stage:
        self.hub.open()
        self._worker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._worker.stop(2.0)
        await self.hub.stop()

    async def start(self, instance_id: str, orchestrator: str, value: Any = None) -> None:
        text = None if value is None else json.dumps(value)
        await self.hub.start(StartRequest(orchestrator, instance_id, text))

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        """Wait for the instance's end and return what it has gone through."""
        state = await self.hub.wait_for_completion(instance_id, timeout_s=_TIMEOUT_S)
        history = await self.hub.history(instance_id)
        assert state is not None, f"{instance_id} does not end"
        assert state.status is OrchestrationStatus.COMPLETED, state.failure
        assert history is not None
        return list(history)


# -- scenarios -----------------------------------------------------------------------------------


def _run(orchestrator: str, value: Any = None) -> Callable[[Stage, str], Awaitable[Histories]]:
    async def scenario(stage: Stage, name: str) -> Histories:
        await stage.start(name, orchestrator, value)
        return {name: await stage.history(name)}

    return scenario


async def _approved(stage: Stage, name: str) -> Histories:
    await stage.start(name, "approve_expense", {"employee": "Ada", "amount": "120.50"})
    while True:
        state = await stage.hub.get(name)
        if state is not None and state.custom_status is not None:
            break
        await asyncio.sleep(0.01)
    await stage.hub.raise_event(name, "approval", json.dumps({"approved": True, "by": "Grace"}))
    return {name: await stage.history(name)}


async def _article_approved(stage: Stage, name: str) -> Histories:
    await stage.start(name, "write_article", {"text": "Is it fast and safe?", "refusals": 1})
    while True:
        state = await stage.hub.get(name)
        if state is not None and "waiting for the editor" in (state.custom_status or ""):
            break
        await asyncio.sleep(0.01)
    decision = {"approved": True, "by": "Grace"}
    await stage.hub.raise_event(name, "EditorDecision", json.dumps(decision))
    return {name: await stage.history(name)}


async def _with_child(stage: Stage, name: str) -> Histories:
    await stage.start(name, "fulfil_orders", ["A-1", "A-2"])
    history: list[Any] = await stage.history(name)
    child_id = next(event.instance_id for event in history if hasattr(event, "instance_id"))
    return {name: history, f"{name}_child": await stage.history(child_id)}


async def _eternal(stage: Stage, name: str) -> Histories:
    await stage.start(name, "clean_up", {"interval_s": 0.02, "rounds": 2})
    last = await stage.history(name)
    (first,) = stage.ledger.continued
    return {name: first, f"{name}_last_round": last}


async def _transfer(stage: Stage, name: str) -> Histories:
    opening = f"{name}_opening"
    await stage.start(opening, "open_account", {"owner": "ada", "amount": 100})
    histories: Histories = {opening: await stage.history(opening)}
    for file_name, amount in ((name, 30), (f"{name}_refused", 300)):
        order = {"payer": "ada", "payee": "grace", "amount": amount}
        await stage.start(file_name, "transfer", order)
        histories[file_name] = await stage.history(file_name)
    return histories


async def _watched_report(stage: Stage, name: str) -> Histories:
    order = {"name": "sales", "rows": 1}
    run = {"name": "scheduled_report", "input": order, "instance_id": f"{name}_run"}
    watch = {"schedule_id": "sales", "run": run}
    await stage.start(name, "scheduled_run_orchestrator", watch)
    return {name: await stage.history(name)}


_SCENARIOS: Final[dict[str, Callable[[Stage, str], Awaitable[Histories]]]] = {
    "agents_approved": _article_approved,
    "agents_expired": _run(
        "write_article", {"text": "Is it cheap?", "rounds": 1, "patience_s": 0.05}
    ),
    "approval_approved": _approved,
    "approval_timed_out": _run(
        "approve_expense", {"employee": "Ada", "amount": "5000", "patience_s": 0.05}
    ),
    "build_report": _run("build_report", {"title": "Sales", "pages": 3}),
    "celebrate": _run("celebrate", {"counter": "visits", "count": 101}),
    "chaining": _run("hello_cities"),
    "eternal": _eternal,
    "fan_out": _run("count_words", ["to be or not to be", "", "that is the question"]),
    "fan_out_sample": _run("count_words"),
    "monitor_done": _run("watch_job", {"job": "export", "poll_s": 0.05, "done_at_look": 3}),
    "monitor_expired": _run("watch_job", {"poll_s": 0.06, "expires_s": 0.1, "done_at_look": 9}),
    "pipeline": _run("run_pipeline", {"rows": 45, "chunk_rows": 10, "width": 2}),
    "saga_compensated": _run(
        "place_order", {"order_id": "A-2", "retry_ms": 10, "broken": ["ship_order"]}
    ),
    "saga_shipped": _run("place_order", {"order_id": "A-1"}),
    "schedule": _run("write_digest"),
    "schedule_operation": _run(
        "execute_schedule_operation_orchestrator",
        {"schedule_id": "sales", "operation": "delete", "input": None},
    ),
    "scheduled_report": _run("scheduled_report", {"name": "sales", "rows": 3}),
    "scheduled_report_watcher": _watched_report,
    "sub_orchestrations": _with_child,
    "transfer": _transfer,
}


async def _record(name: str) -> None:
    async with Stage() as stage:
        histories = await _SCENARIOS[name](stage, name)
    for file_name, history in histories.items():
        write_history(file_name, [_anywhere(event) for event in history])


def _anywhere(event: HistoryEvent) -> Any:
    """Return the event with stack traces that name files from the root of the repository."""
    readable = json.dumps(to_readable(event))
    return from_readable(json.loads(readable.replace(f"{_ROOT}/", "")))


def _scenario_of(name: str) -> str:
    """Return the scenario that writes a file: some write a second one, with a longer name."""
    found = max((key for key in _SCENARIOS if name.startswith(key)), key=len, default=None)
    if found is None:
        raise SystemExit(f"There is no '{name}'; there are: stored {' '.join(_SCENARIOS)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.record", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="files without .json, or stored")
    names: list[str] = parser.parse_args().names or ["stored", *_SCENARIOS]
    if "stored" in names:
        _say(f"new forms of stored events: {', '.join(record_forms()) or 'none'}")
    for scenario in dict.fromkeys(_scenario_of(name) for name in names if name != "stored"):
        asyncio.run(_record(scenario))
        _say(f"recorded: {scenario}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
