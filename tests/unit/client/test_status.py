"""Status objects."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from durable_app.client.status import (
    DurableOrchestrationStatus,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
    output_of,
    parse_status,
)
from durable_app.errors import PayloadError
from durable_app.protocol import FailureDetails, OrchestrationState, OrchestrationStatus

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def state(**fields):
    return OrchestrationState(
        instance_id="i1",
        name="chain",
        created_at=CREATED,
        last_updated_at=CREATED,
        **{"status": OrchestrationStatus.COMPLETED, **fields},
    )


def test_a_status_that_was_not_found_is_false_and_can_be_shown():
    nothing = DurableOrchestrationStatus()
    assert not nothing
    assert nothing.to_json() == {}
    assert nothing.runtime_status is None


def test_payloads_are_decoded_and_falsy_ones_kept():
    status = DurableOrchestrationStatus.from_state(
        state(input='{"a": 1}', output="0", custom_status="false")
    )
    assert status
    assert (status.input_, status.output, status.custom_status) == ({"a": 1}, 0, False)
    assert status.to_json() == {
        "name": "chain",
        "instanceId": "i1",
        "createdTime": "2026-01-02T03:04:05.678000Z",
        "lastUpdatedTime": "2026-01-02T03:04:05.678000Z",
        "output": 0,
        "input": {"a": 1},
        "runtimeStatus": "Completed",
        "customStatus": False,
    }


def test_an_input_that_was_not_asked_for_is_not_shown():
    assert DurableOrchestrationStatus.from_state(state(input="1"), show_input=False).input_ is None


def test_the_output_of_a_failed_instance_is_its_error():
    failed = state(status=OrchestrationStatus.FAILED, failure=FailureDetails("ValueError", "boom"))
    assert output_of(failed) == "Orchestrator function 'chain' failed: ValueError: boom"


def test_a_status_reads_the_hosts_json():
    status = DurableOrchestrationStatus.from_json(
        {
            "name": "n",
            "instanceId": "i",
            "createdTime": "2026-01-02T03:04:05Z",
            "lastUpdatedTime": "2026-01-02T03:04:05Z",
            "runtimeStatus": "Running",
            "historyEvents": [{"EventType": "ExecutionStarted"}],
            "extra": 1,
        }
    )
    assert status.created_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert status.last_updated_time == status.created_time
    assert (status.name, status.instance_id) == ("n", "i")
    assert status.history == [{"EventType": "ExecutionStarted"}]
    assert vars(status)["extra"] == 1
    assert "Running" in repr(status)


def test_a_bare_text_becomes_a_message():
    status = DurableOrchestrationStatus.from_json("no such instance")
    assert not status
    assert vars(status)["message"] == "no such instance"


@pytest.mark.parametrize("status", list(OrchestrationRuntimeStatus))
def test_every_status_has_its_twin_in_the_hub(status):
    assert status.to_status().title == status.value
    assert parse_status(f" {status.value.upper()} ") is status.to_status()


def test_an_unknown_status_is_none():
    assert parse_status("sleeping") is None


def test_a_purge_result_reads_the_hosts_json():
    assert PurgeHistoryResult.from_json({"instancesDeleted": 3}).instances_deleted == 3


def test_a_time_without_zone_is_utc():
    status = DurableOrchestrationStatus.from_json({"createdTime": "2026-01-02T03:04:05.678"})
    assert status.created_time == CREATED


def test_the_history_is_there_where_it_was_asked_for():
    with_history = DurableOrchestrationStatus.from_json({"historyEvents": [{"EventType": "X"}]})
    assert with_history.history == [{"EventType": "X"}]
    assert DurableOrchestrationStatus().history is None


def test_a_purge_result_keeps_what_a_newer_host_adds():
    result = PurgeHistoryResult.from_json({"instancesDeleted": 2, "isComplete": True})
    assert result.instances_deleted == 2
    assert vars(result)["isComplete"] is True


@dataclass
class Order:
    """An order."""

    lines: int


def test_payloads_are_read_as_a_type_on_demand():
    status = DurableOrchestrationStatus.from_state(
        state(input='{"lines": 1}', output='{"lines": 2}', custom_status="[0]")
    )
    assert status.get_input(Order) == Order(1)
    assert status.get_output(Order) == Order(2)
    assert status.get_custom_status(list[bool | int]) == [0]
    assert status.get_output() == {"lines": 2}
    assert DurableOrchestrationStatus().get_input(Order) is None
    with pytest.raises(PayloadError):
        status.get_custom_status(Order)
