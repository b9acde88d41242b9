"""What callers are told about status codes."""

from __future__ import annotations

import pytest

from durable_app.connection.failures import LinkError
from durable_app.errors import (
    SchedulerUnavailableError,
    StoreCorruptError,
    TaskHubNotFoundError,
    UnsupportedOnHostError,
    WireFormatError,
)
from durable_app.rpc.stub.explain import CallRefusedError, explain, hub_not_found

WHOM = "https://one.durabletask.io:443"


@pytest.mark.parametrize(
    ("status", "details", "kind", "texts"),
    [
        ("NOT_FOUND", "no", CallRefusedError, ["NOT_FOUND: no"]),
        ("ALREADY_EXISTS", "no", CallRefusedError, ["no"]),
        ("FAILED_PRECONDITION", "no", CallRefusedError, ["no"]),
        ("INVALID_ARGUMENT", "instanceId: too long", ValueError, ["instance_id: too long"]),
        ("INVALID_ARGUMENT", "version: what?", WireFormatError, ["version: what?"]),
        ("INVALID_ARGUMENT", "too long", WireFormatError, ["too long"]),
        ("RESOURCE_EXHAUSTED", "Sent message larger than max (5 vs. 4)", WireFormatError, ["5 vs"]),
        ("RESOURCE_EXHAUSTED", "quota", SchedulerUnavailableError, ["too much to do"]),
        ("UNIMPLEMENTED", "what?", UnsupportedOnHostError, ["no such call"]),
        ("DATA_LOSS", "torn", StoreCorruptError, ["torn"]),
        ("UNAUTHENTICATED", "who?", LinkError, ["Authentication", WHOM]),
        (
            "PERMISSION_DENIED",
            "no role",
            LinkError,
            ["Durable Task Data Contributor", "IP allow list", WHOM],
        ),
        ("UNAVAILABLE", "refused", SchedulerUnavailableError, ["func hub start", WHOM, "refused."]),
        ("DEADLINE_EXCEEDED", "late", SchedulerUnavailableError, ["too slow", "not known"]),
        ("INTERNAL", "boom.", SchedulerUnavailableError, ["its log", "not known", "boom. "]),
    ],
)
def test_a_status_of_a_change(status, details, kind, texts):
    error = explain(status, details, "StartInstance", WHOM)
    assert type(error) is kind
    assert [text for text in texts if text not in str(error)] == []


@pytest.mark.parametrize("method", ["SignalEntity", "GetEntity"])
def test_an_id_of_an_entity_that_the_hub_does_not_take(method):
    error = explain("INVALID_ARGUMENT", "instanceId: The id is long.", method, WHOM)
    assert (type(error), str(error)) == (ValueError, "entity_id: The id is long.")


@pytest.mark.parametrize("status", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN"])
def test_what_changes_nothing_can_be_repeated(status):
    error = explain(status, "late", "GetInstance", WHOM)
    assert isinstance(error, SchedulerUnavailableError)
    assert error.retriable
    assert "not known" not in str(error)


@pytest.mark.parametrize(
    ("whom", "details", "text"),
    [
        ("http://localhost:8080", "Connection refused", "Nothing listens on localhost:8080."),
        (
            "https://localhost:8080",
            "SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED: self signed certificate",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        ),
        ("https://localhost:8080", "WRONG_VERSION_NUMBER", "use http://localhost:8080"),
        ("http://localhost:8080", "Socket closed", "use https://localhost:8080"),
        ("http://localhost:8082", "Socket closed", "the port of the dashboard"),
        (WHOM, "something new", "check the endpoint and the network"),
    ],
)
def test_what_keeps_a_client_from_the_hub(whom, details, text):
    error = explain("UNAVAILABLE", f"failed to connect: {details}", "GetInstance", whom)
    assert type(error) is SchedulerUnavailableError
    assert text in str(error)


def test_a_hub_that_is_shutting_down_is_no_matter_of_encryption():
    error = explain("UNAVAILABLE", "shutting down", "GetInstance", "https://localhost:8080")
    assert "TLS" not in str(error)


def test_a_task_hub_that_is_missing():
    error = hub_not_found(CallRefusedError("NOT_FOUND", "There is no task hub 'x' here."))
    assert isinstance(error, TaskHubNotFoundError)
    assert str(error).startswith("There is no task hub 'x' here. Check TaskHub")


@pytest.mark.parametrize(
    ("status", "whom", "texts"),
    [
        ("UNAUTHENTICATED", "https://hub:8080", ["DURABLE_APP_HUB_TOKEN to the token that"]),
        ("UNAUTHENTICATED", "http://hub:8080", ["DURABLE_APP_HUB_TOKEN", "--tls-cert", "https://"]),
        ("PERMISSION_DENIED", "http://hub:8080", ["A proxy on the way", "Data Contributor"]),
    ],
)
def test_whom_a_hub_of_ones_own_does_not_let_in(status, whom, texts):
    said = str(explain(status, "no", "StartInstance", whom))
    assert [text for text in texts if text not in said] == []
    assert "tenant" not in said
