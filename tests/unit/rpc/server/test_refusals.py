"""Which status an error has."""

from __future__ import annotations

import grpc
import pytest

from durable_app import errors
from durable_app.protocol import OrchestrationStatus
from durable_app.rpc.server.refusals import RefusedError, refusal

RUNNING = OrchestrationStatus.RUNNING


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InstanceNotFoundError("one"), "NOT_FOUND"),
        (errors.TaskHubNotFoundError("one"), "NOT_FOUND"),
        (errors.InstanceExistsError("one", RUNNING), "ALREADY_EXISTS"),
        (errors.TaskHubExistsError("one"), "ALREADY_EXISTS"),
        (errors.WrongStatusError("one", RUNNING, "be rewound"), "FAILED_PRECONDITION"),
        (errors.UnsupportedOnHostError("no"), "UNIMPLEMENTED"),
        (errors.SchedulerUnavailableError("later"), "UNAVAILABLE"),
        (errors.StoreUnavailableError("later"), "UNAVAILABLE"),
        (errors.StoreCorruptError("broken"), "DATA_LOSS"),
        (errors.ConfigError("odd"), "INVALID_ARGUMENT"),
        (errors.WireFormatError("odd", "name"), "INVALID_ARGUMENT"),
        (ValueError("odd"), "INVALID_ARGUMENT"),
        (errors.DurableError("else"), "FAILED_PRECONDITION"),
    ],
)
def test_each_error_has_its_status_and_its_text(error, code):
    refused = refusal(error, "Hello")
    assert (refused.code.name, refused.details) == (code, str(error))


def test_what_is_refused_already_stays_so():
    refused = RefusedError(grpc.StatusCode.ABORTED, "so it is")
    assert refusal(refused, "Hello") is refused


def test_what_nobody_foresaw_is_logged_and_not_told(caplog):
    refused = refusal(KeyError("secret"), "Hello")
    assert refused.code is grpc.StatusCode.INTERNAL
    assert "KeyError" in refused.details
    assert "secret" not in refused.details
    assert "Hello failed unexpectedly" in caplog.text
