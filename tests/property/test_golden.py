"""Golden files: instances in flight go on after a deployment, and stored events stay readable."""

from __future__ import annotations

from typing import Any

import pytest

import function_app
from durable_app.functions.index import index_app
from durable_app.protocol import CompleteOrchestration, encode_events
from tests.golden.golden import (
    KINDS,
    check_history,
    from_readable,
    history_names,
    read_history,
    start_of,
    to_readable,
    turns_of,
)
from tests.golden.stored import read_forms, read_stored, unset

INDEX = index_app(function_app.app)
FORMS = read_forms()


def code_for(history: list[Any]) -> tuple[Any, Any]:
    """The app's orchestrator that this history belongs to, and the type of its input."""
    started = start_of(history)
    found = INDEX.find("orchestration", started.name)
    assert found is not None, INDEX.unknown("orchestration", started.name)
    assert found.durable is not None
    return found.durable.for_version(started.version)


# -- histories -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", history_names())
def test_instances_in_flight_go_on(name: str) -> None:
    history = read_history(name)

    check_history(name, history, *code_for(history))

    assert isinstance(turns_of(history)[-1].asked[-1], CompleteOrchestration)


def test_every_orchestrator_of_the_app_has_a_history() -> None:
    recorded = {start_of(read_history(name)).name for name in history_names()}

    assert recorded == set(INDEX.orchestrations), (
        "add a scenario to tests/golden/record.py, then: python -m tests.golden.record NAME"
    )


@pytest.mark.parametrize("name", history_names())
def test_a_history_loses_nothing_in_its_file(name: str) -> None:
    history = read_history(name)

    assert [from_readable(to_readable(event)) for event in history] == history


def another_order(context: Any) -> Any:
    yield context.call_activity("say_hello", "Tokyo")
    yield context.call_activity("say_hello", "London")
    yield context.call_activity("say_hello", "Seattle")


def another_activity(context: Any) -> Any:
    yield context.call_activity("greet", "Tokyo")


def one_step_less(context: Any) -> Any:
    tokyo = yield context.call_activity("say_hello", "Tokyo")
    seattle = yield context.call_activity("say_hello", "Seattle")
    return [tokyo, seattle]


def another_output(context: Any) -> Any:
    for city in ("Tokyo", "Seattle", "London"):
        yield context.call_activity("say_hello", city)
    return "done"


@pytest.mark.parametrize(
    ("changed", "turn"),
    [(another_activity, 1), (another_order, 2), (one_step_less, 3), (another_output, 4)],
)
def test_a_changed_orchestrator_is_noticed(changed: Any, turn: int) -> None:
    with pytest.raises(AssertionError) as caught:
        check_history("chaining", read_history("chaining"), changed, None)

    message = str(caught.value)
    assert f"In turn {turn} of tests/golden/chaining.json" in message
    assert "Instances that are in flight when this is deployed would break" in message
    assert "python -m tests.golden.record chaining" in message


# -- stored events -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_stored_form_is_readable_for_ever(kind: str) -> None:
    assert FORMS.get(kind), "python -m tests.golden.record stored"

    for blob, event in FORMS[kind]:
        assert read_stored(blob) == event, "fields are only appended, each with a default"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_newest_form_has_every_field_and_is_what_is_written(kind: str) -> None:
    blob, event = FORMS[kind][-1]

    assert unset(event) == [], "a new field: python -m tests.golden.record stored"
    assert encode_events([event]) == blob


def test_no_kind_of_event_is_dropped() -> None:
    assert set(FORMS) == set(KINDS), "what was stored once must be read for ever"
