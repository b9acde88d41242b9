"""The orchestrator thread: turns in, answers out, and a name for whoever blocks it."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import msgspec
import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.functions.version_match import VersionMatch
from durable_app.protocol import (
    CompleteOrchestration,
    ExecutionStarted,
    OrchestrationStatus,
    OrchestratorStarted,
    ScheduleTask,
    TaskCompleted,
    TaskScheduled,
)
from durable_app.replay.environment import ReplayEnv
from durable_app.telemetry import current_invocation
from durable_app.worker import orchestrators
from durable_app.worker.invocations import Invocations
from durable_app.worker.orchestrators import OrchestratorThread
from durable_app.worker.sessions import Sessions
from tests.unit.taskhub.builders import NOW
from tests.unit.worker.rig import TIMEOUT_S, Console, Desk, a_turn, beginning, unobserved

app = df.DFApp()
gate = threading.Event()
runs: list[str] = []


@app.orchestration_trigger(context_name="context")
def ends(context):
    return 7


@app.orchestration_trigger(context_name="context")
def fails(context):
    raise ValueError("broken")


@app.orchestration_trigger(context_name="context")
def interrupts(context):
    raise KeyboardInterrupt("enough")


@app.orchestration_trigger(context_name="context")
def chain(context):
    runs.append(context.instance_id)
    yield context.call_activity("pack")
    yield context.call_activity("ship")


@app.orchestration_trigger(context_name="context")
def notes(context):
    try:
        note("first")
        yield context.call_activity("pack")
        note("second")
        yield context.call_activity("ship")
    finally:
        note("cleaned up")


def note(text: str) -> None:
    invocation = current_invocation.get()
    assert invocation is not None
    assert invocation.is_replaying is not None
    runs.append(f"{invocation.function} {text} {invocation.is_replaying()}")


@app.orchestration_trigger(context_name="context")
def waits(context):
    assert gate.wait(TIMEOUT_S)
    return 1


@app.orchestration_trigger(context_name="context")
def leaves_a_task(context):
    context.create_timer(timedelta(seconds=1))
    return 1


@app.orchestration_trigger(context_name="context", version="2.0")
def versioned(context):
    return context.version


@app.orchestration_trigger(context_name="context", orchestration="invoice", version="1.0")
def invoice_1(context):
    yield context.call_activity("pack")


@app.orchestration_trigger(context_name="context", orchestration="invoice", version="2.0")
def invoice_2(context):
    yield context.call_activity("pack")
    yield context.call_activity("ship")


class Office:
    """An orchestrator thread at work."""

    def __init__(
        self, invocations: Invocations | None = None, versions: VersionMatch | None = None
    ) -> None:
        self.desk = Desk()
        self.sessions = Sessions(100, 10_000)
        self.thread = OrchestratorThread(
            index_app(app),
            ReplayEnv(),
            self.sessions,
            SystemClock(),
            invocations or unobserved(),
            versions or VersionMatch(),
        )

    def __enter__(self) -> Office:
        runs.clear()
        gate.clear()
        self.thread.start(self.desk)
        return self

    def __exit__(self, *_: object) -> None:
        gate.set()
        self.thread.stop()
        self.thread._thread.join(TIMEOUT_S)
        self.thread._watchdog.join(TIMEOUT_S)

    def run(self, request):
        self.thread.submit(request)
        return self.desk.next_result()

    def settled(self) -> int:
        """Pending turns once all that was submitted has been handed back."""
        self.run(a_turn("ends"))
        self.thread.stop()
        # The watchdog hands back, too: where the machine was so busy that a turn seemed to block
        # it may still be at it when the orchestrator thread has ended.
        self.thread._thread.join(TIMEOUT_S)
        self.thread._watchdog.join(TIMEOUT_S)
        assert not self.thread._thread.is_alive()
        assert not self.thread._watchdog.is_alive()
        return self.thread.pending


def test_a_turn_is_answered():
    with Office() as office:
        turn = a_turn("ends")
        response = office.run(turn)
        assert response.token == turn.token
        (action,) = response.actions
        assert (action.status, action.result) == (OrchestrationStatus.COMPLETED, "7")
        assert office.settled() == 0


@pytest.mark.parametrize(
    ("name", "error_type"),
    [
        ("fails", "ValueError"),
        ("interrupts", "KeyboardInterrupt"),
        ("nobody", "OrchestratorNotRegisteredError"),
    ],
)
def test_a_failure_is_a_completion(name, error_type):
    with Office() as office:
        (action,) = office.run(a_turn(name)).actions
        assert isinstance(action, CompleteOrchestration)
        assert action.status is OrchestrationStatus.FAILED
        assert action.failure is not None
        assert action.failure.error_type == error_type


def test_a_version_that_is_not_there_fails():
    with Office() as office:
        (action,) = office.run(a_turn("versioned")).actions
        assert action.status is OrchestrationStatus.FAILED
        assert "version" in action.failure.error_message.lower()


def next_turn(**changes):
    new = (OrchestratorStarted(timestamp=NOW), TaskCompleted(-1, NOW, 1, None))
    values = {"past_count": 3, "requires_history_streaming": True, "new_events": new, **changes}
    return a_turn("chain", **values)


def test_a_warm_execution_goes_on_without_its_history():
    with Office() as office:
        office.run(a_turn("chain"))
        (action,) = office.run(next_turn()).actions
        assert isinstance(action, ScheduleTask)
        assert action.name == "ship"
        assert (runs, office.desk.calls) == (["order-1"], [])


def test_a_cold_one_asks_for_its_history():
    with Office() as office:
        past = [*beginning("chain"), TaskScheduled(1, NOW, "pack")]
        office.desk.histories["order-1"] = past
        office.run(a_turn("chain"))
        office.thread.forget("order-1")
        (action,) = office.run(next_turn()).actions
        assert action.name == "ship"
        assert office.desk.calls == ["load order-1"]


def test_history_may_come_with_the_turn():
    with Office() as office:
        past = (*beginning("chain"), TaskScheduled(1, NOW, "pack"))
        turn = next_turn(past_events=past, requires_history_streaming=False)
        (action,) = office.run(turn).actions
        assert action.name == "ship"


def test_a_turn_whose_history_cannot_be_read_is_given_back(caplog):
    with Office() as office:
        turn = next_turn()
        office.thread.submit(turn)
        token, reason = office.desk.abandoned.get(timeout=TIMEOUT_S)
        assert token == turn.token
        assert reason.startswith("KeyError")
        assert office.settled() == 0
    (record,) = caplog.records
    assert "was lost; it will be tried again" in record.getMessage()


def test_answers_come_in_portions(monkeypatch):
    monkeypatch.setattr(orchestrators, "_PORTION", 2)
    with Office() as office:
        turns = [a_turn("waits"), *(a_turn("ends") for _ in range(4))]
        for turn in turns:
            office.thread.submit(turn)
        gate.set()
        tokens = [office.desk.next_result().token for _ in turns]
        assert tokens == [turn.token for turn in turns]
        assert office.settled() == 0


def test_an_observer_is_told():
    console = Console()
    with Office(Invocations(console, SystemClock())) as office:
        office.run(a_turn("ends"))
        office.run(a_turn("fails"))
    assert console.told[:3] == [("ends", "(null)"), ("ends", None), ("fails", "(null)")]
    assert "ValueError: broken" in str(console.told[3][1])


def test_an_observer_that_fails_changes_nothing():
    with Office(Invocations(Console(is_broken=True), SystemClock())) as office:
        (action,) = office.run(a_turn("ends")).actions
        assert action.result == "7"


def test_warnings_of_the_engine_are_logged(caplog):
    with Office() as office:
        office.run(a_turn("leaves_a_task"))
    assert all(r.getMessage() == "orchestrator_warning" for r in caplog.records)


def test_a_blocking_orchestrator_is_named_once_with_its_line(monkeypatch, caplog):
    monkeypatch.setattr(orchestrators, "_SLOW_S", 0.01)
    caplog.set_level(logging.WARNING)
    with Office() as office:
        office.thread.submit(a_turn("waits"))
        # The watchdog looks several times.
        assert not gate.wait(0.1)
    texts = [r.getMessage() for r in caplog.records]
    assert len(texts) == 1
    assert "'waits' (instance order-1)" in texts[0]
    assert "test_orchestrators.py:" in texts[0]


@pytest.mark.parametrize(
    ("filename", "is_of_user"),
    [
        ("/srv/my_durable_app/function_app.py", True),
        ("/srv/durable_app/function_app.py", True),
        (f"{orchestrators._NOT_OF_USER[0]}replay/engine.py", False),
        (threading.__file__, False),
        ("/srv/.venv/lib/python3.11/site-packages/requests/api.py", False),
        ("<frozen importlib._bootstrap>", False),
    ],
)
def test_whose_code_a_file_is(filename, is_of_user):
    assert orchestrators._is_of_user(filename) is is_of_user


def test_counting_from_two_threads_loses_nothing():
    """The hub's thread adds while the orchestrator thread takes away."""
    with Office() as office:
        for _ in range(2_000):
            office.thread.submit(a_turn("ends"))
        assert office.settled() == 0


def test_without_a_stream_nothing_is_handed_back():
    office = Office()
    office.thread._thread.start()
    office.thread.submit(a_turn("ends"))
    office.thread.submit(next_turn())
    office.thread.stop()
    office.thread._thread.join(TIMEOUT_S)
    assert office.desk.results.empty()
    assert office.thread.pending == 0


def test_what_the_code_logs_is_told_apart_from_what_it_logs_once_more():
    with Office(Invocations(Console(), SystemClock())) as office:
        past = [*beginning("notes"), TaskScheduled(1, NOW, "pack")]
        office.desk.histories["order-1"] = past
        office.run(a_turn("notes"))
        office.thread.forget("order-1")
        new = (OrchestratorStarted(timestamp=NOW), TaskCompleted(-1, NOW, 1, None))
        office.run(a_turn("notes", past_count=3, requires_history_streaming=True, new_events=new))
        office.settled()
    assert runs == [
        "notes first False",
        "notes cleaned up True",
        "notes first True",
        "notes second False",
        "notes cleaned up True",
    ]


def of_version(version: str, instance_id: str = "order-1", name: str = "versioned"):
    turn = a_turn(name, instance_id=instance_id)
    events = [
        msgspec.structs.replace(event, version=version)
        if isinstance(event, ExecutionStarted)
        else event
        for event in turn.new_events
    ]
    return msgspec.structs.replace(turn, new_events=tuple(events))


def test_an_instance_of_another_version_is_left_to_others_with_one_warning(caplog):
    console = Console()
    with Office(
        Invocations(console, SystemClock()), VersionMatch("1.0", "CurrentOrOlder")
    ) as office:
        turns = of_version("2.0"), of_version("2.0", "order-2")
        for turn in turns:
            office.thread.submit(turn)
        assert [office.desk.declined.get(timeout=TIMEOUT_S) for _ in turns] == [
            turn.token for turn in turns
        ]
        assert office.settled() == 0
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "'versioned' has version '2.0'; this host runs version '1.0' and older ones (" in warning
    assert "wait for a host that takes them; the first one is order-1" in warning
    assert not any("versioned" in line for line, _ in console.told)


def test_an_instance_of_another_version_fails_where_the_settings_say_so():
    with Office(versions=VersionMatch("1.0", "Strict", fails=True)) as office:
        failure = office.run(of_version("2.0")).actions[0].failure
    assert failure.error_type == "VersionMismatchError"
    assert "this host runs version '1.0'" in failure.error_message


def test_an_observer_is_told_the_function_of_the_version():
    console = Console()
    with Office(Invocations(console, SystemClock())) as office:
        office.run(of_version("2.0", name="invoice"))
        office.run(msgspec.structs.replace(next_turn(), name="invoice"))
        office.run(of_version("1.0", "order-2", name="invoice"))
        office.run(of_version("3.0", "order-3", name="invoice"))
    assert [name for name, _ in console.told[::2]] == [
        "invoice_2",
        "invoice_2",
        "invoice_1",
        "invoice_1",  # it has no function: the name that Azure's host has for all
    ]


def test_an_instance_of_a_version_that_fits_runs():
    with Office(versions=VersionMatch("2.0")) as office:
        assert office.run(of_version("2.0")).actions[0].result == '"2.0"'
