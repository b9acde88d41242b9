"""What the methods of 2.x return."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

import durable_app as df
from durable_app.client.state import OrchestrationState, OrchestrationStatus
from durable_app.protocol import FailureDetails
from durable_app.protocol import OrchestrationState as HubState
from durable_app.protocol import OrchestrationStatus as HubStatus

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Order:
    """An order."""

    lines: int


def state(**fields):
    status = fields.pop("status", HubStatus.COMPLETED)
    return OrchestrationState.from_hub(HubState("i1", "chain", status, CREATED, CREATED, **fields))


@pytest.mark.parametrize("status", list(OrchestrationStatus))
def test_every_status_has_its_twin_in_the_hub_and_its_name_as_text(status):
    assert status.to_status() is HubStatus[status.name]
    assert str(status) == status.name
    assert len(OrchestrationStatus) == len(HubStatus)


def test_payloads_are_decoded_on_demand():
    found = state(input='{"lines": 1}', output="0", custom_status='"half"')
    assert found.get_input() == {"lines": 1}
    assert found.get_input(Order) == Order(1)
    assert found.get_output(int) == 0
    assert found.get_custom_status(str) == "half"
    assert state().get_output(Order) is None
    with pytest.raises(df.PayloadError):
        found.get_output(Order)


def test_a_failure_can_be_raised():
    state().raise_if_failed()
    failed = state(status=HubStatus.FAILED, failure=FailureDetails("ValueError", "boom"))
    with pytest.raises(
        df.OrchestrationFailedError, match="'i1' failed: ValueError: boom"
    ) as caught:
        failed.raise_if_failed()
    assert caught.value.failure_details is failed.failure_details
    assert caught.value.failure_details.message == "boom"
