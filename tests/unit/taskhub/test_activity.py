"""What follows from the outcome of an activity."""

from datetime import timedelta

import pytest

from durable_app.protocol import (
    ActivityResponse,
    CompletionToken,
    FailureDetails,
    TaskCompleted,
    TaskFailed,
)
from durable_app.taskhub.activity import back_off, finish, give_up, postponed
from tests.unit.taskhub.builders import EXECUTION, NOW, CountingIds, a_task, later

TOKEN = CompletionToken("t:10", 1)


def test_a_result_is_posted_and_the_task_leaves_the_queue():
    response = ActivityResponse("order-1", 1, TOKEN, '"paid"')
    decision = finish(a_task(), response, NOW, CountingIds())
    [message] = decision.messages
    assert decision.finished == (10,)
    assert decision.instance is None
    assert message.event == TaskCompleted(-1, NOW, 1, '"paid"')
    assert (message.instance_id, message.execution_id, message.key) == ("order-1", EXECUTION, 10)


def test_an_empty_result_is_a_result():
    decision = finish(a_task(), ActivityResponse("order-1", 1, TOKEN), NOW, CountingIds())
    assert decision.messages[0].event == TaskCompleted(-1, NOW, 1, None)


def test_a_failure_counts_even_beside_a_result():
    failure = FailureDetails("ValueError", "no card")
    response = ActivityResponse("order-1", 1, TOKEN, '"ignored"', failure)
    decision = finish(a_task(), response, NOW, CountingIds())
    assert decision.messages[0].event == TaskFailed(-1, NOW, 1, failure)


def test_giving_up_names_the_activity_the_count_and_the_reason():
    decision = give_up(a_task(attempts=10), "its process died", NOW, CountingIds())
    event = decision.messages[0].event
    assert isinstance(event, TaskFailed)
    assert event.failure is not None
    assert event.failure.error_type == "PoisonedActivity"
    assert event.failure.error_message == (
        "Activity 'charge' was given up after 10 attempts that ended without a result; the last"
        " one: its process died"
    )
    assert decision.finished == (10,)


def test_a_lost_attempt_is_counted_and_waits():
    task = postponed(a_task(attempts=2), NOW)
    assert (task.attempts, task.not_before) == (3, later(4))


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (5_000, 60)]
)
def test_back_off_doubles_up_to_a_minute(attempts, seconds):
    assert back_off(attempts) == timedelta(seconds=seconds)
