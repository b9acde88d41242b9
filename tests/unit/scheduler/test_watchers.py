"""Who waits for a status."""

from __future__ import annotations

import pytest

from durable_app.errors import SchedulerUnavailableError
from durable_app.protocol import OrchestrationStatus as Status
from durable_app.scheduler.inputs import WaitFor, Watch
from durable_app.scheduler.watchers import Watchers, is_reached
from tests.unit.scheduler.builders import Reply, row


@pytest.mark.parametrize(
    ("until", "status", "reached"),
    [
        (WaitFor.START, Status.PENDING, False),
        (WaitFor.START, Status.RUNNING, True),
        (WaitFor.COMPLETION, Status.SUSPENDED, False),
        (WaitFor.COMPLETION, Status.FAILED, True),
        (WaitFor.RECOVERY, Status.FAILED, False),
        (WaitFor.RECOVERY, Status.RUNNING, True),
    ],
)
def test_what_counts_as_reached(until: WaitFor, status: Status, reached: bool) -> None:
    assert is_reached(status, until) is reached


def test_an_instance_that_is_far_enough_is_answered_at_once() -> None:
    reply = Reply()

    Watchers().add(Watch("a", WaitFor.COMPLETION, reply), row(status=Status.COMPLETED))

    assert reply.value.status is Status.COMPLETED


def test_watchers_are_answered_by_the_commit_that_gets_there_and_once() -> None:
    watchers, reply = Watchers(), Reply()
    watchers.add(Watch("a", WaitFor.COMPLETION, reply), None)

    for status in (Status.RUNNING, Status.COMPLETED, Status.COMPLETED):
        watchers.committed(row(status=status))

    assert reply.answers == 1


def test_who_waits_no_longer_is_not_answered() -> None:
    watchers, gone, stays = Watchers(), Reply(), Reply()
    for reply in (gone, stays):
        watchers.add(Watch("a", WaitFor.COMPLETION, reply), None)

    watchers.remove("a", gone)
    watchers.committed(row(status=Status.FAILED))

    assert (gone.answers, stays.answers) == (0, 1)


def test_the_end_of_the_hub_answers_everybody() -> None:
    watchers, reply = Watchers(), Reply()
    watchers.add(Watch("a", WaitFor.START, reply), None)

    watchers.close(SchedulerUnavailableError("over"))

    assert isinstance(reply.error, SchedulerUnavailableError)
