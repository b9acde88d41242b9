from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest

from durable_app.errors import DefinitionError
from durable_app.functions.index import FunctionFacts
from durable_app.host.triggers.schedule import ScheduleStatus, parse_schedule
from durable_app.host.triggers.values import check_annotation, queue_value, timer_value

if TYPE_CHECKING:
    from decimal import Decimal as Absent

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def facts(handle: Callable[..., Any], trigger: str = "timerTrigger") -> FunctionFacts:
    return FunctionFacts(
        name="tick",
        trigger_type=trigger,
        bindings=({"type": trigger, "name": "value", "direction": "IN"},),
        route=None,
        methods=(),
        auth_level=None,
        is_async=False,
        handle=handle,
        durable=None,
        script_file="function_app.py",
    )


def test_a_timer_request() -> None:
    schedule = parse_schedule("01:00:00")
    status = ScheduleStatus(NOON, schedule.next_after(NOON), NOON)
    value = timer_value(schedule, status, is_past_due=True)
    assert (value.past_due, value.schedule) == (True, {"AdjustForDST": False})
    assert value.schedule_status["Next"] == "2026-05-04T13:00:00.0000000+00:00"
    assert timer_value(schedule, None, is_past_due=False).schedule_status == {}


@pytest.mark.parametrize("body", ["text", b"\xff"])
def test_a_queue_message(body: str | bytes) -> None:
    stamp = "2026-05-04T12:00:00+00:00"
    value = queue_value(
        body,
        {
            "Id": "1",
            "DequeueCount": 2,
            "ExpirationTime": stamp,
            "InsertionTime": stamp,
            "NextVisibleTime": stamp,
            "PopReceipt": "r",
        },
    )
    assert value.get_body() == (body if isinstance(body, bytes) else body.encode())
    assert (value.id, value.dequeue_count, value.pop_receipt) == ("1", 2, "r")
    assert value.insertion_time == value.expiration_time == value.time_next_visible == NOON


def test_annotations_that_azure_accepts() -> None:
    def plain(value):
        return None

    def timer(value: func.TimerRequest) -> None:
        return

    def message(value: func.QueueMessage) -> None:
        return

    def unknown(value: Absent) -> None:
        return

    def several(value: func.TimerRequest | None) -> None:
        return

    for function in (plain, timer, unknown, several):
        check_annotation(facts(function))
    check_annotation(facts(message, "queueTrigger"))
    check_annotation(facts(message, "someTrigger"))


@pytest.mark.parametrize(
    ("trigger", "expected"), [("timerTrigger", "TimerRequest"), ("queueTrigger", "QueueMessage")]
)
def test_annotations_that_azure_refuses(trigger: str, expected: str) -> None:
    def text(value: str) -> None:
        return

    with pytest.raises(DefinitionError, match=f'annotation "str".*functions.{expected}'):
        check_annotation(facts(text, trigger))
