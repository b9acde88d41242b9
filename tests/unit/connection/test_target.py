"""Where a remote hub is, and what to do when it cannot be reached."""

from __future__ import annotations

import pytest

from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.failures import LinkFailure
from durable_app.connection.target import HubTarget, advice, find_connection_text
from durable_app.errors import ConfigError

AZURE = "https://x.westus2.durabletask.io"
HTTP_1 = "Failed parsing HTTP/2: Trying to connect an http1.x server (HTTP status 400)"


def target(address: str) -> HubTarget:
    return HubTarget(parse_endpoint(address, "test", encrypted=True), "orders")


def test_it_shows_hub_endpoint_and_kind_but_no_client_id():
    authentication = Authentication(AuthenticationKind.MANAGED_IDENTITY, client_id="me")
    endpoint = parse_endpoint(AZURE, "test", encrypted=True)
    assert str(HubTarget(endpoint, "orders", authentication)) == (
        f"'orders' at {AZURE}:443 (Authentication=ManagedIdentity)"
    )


TEXT = "Endpoint=http://localhost:8080;Authentication=None"


@pytest.mark.parametrize(
    ("wanted", "environ", "expected"),
    [
        (TEXT, {}, (TEXT, "connection string")),
        ("MINE", {"MINE": TEXT}, (TEXT, "MINE")),
        (
            None,
            {"DTS_CONNECTION_STRING": TEXT},
            (TEXT, "DTS_CONNECTION_STRING"),
        ),
        (
            "",
            {"DURABLE_TASK_SCHEDULER_CONNECTION_STRING": TEXT, "DTS_CONNECTION_STRING": "old"},
            (TEXT, "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"),
        ),
    ],
)
def test_a_connection_string_is_given_or_found(wanted, environ, expected):
    assert find_connection_text(wanted, environ) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("MINE", "MINE is not set"),
        (None, "STRING and DTS_CONNECTION_STRING are not set"),
        ("Endpont=http://localhost:8080", "unsupported connection string key 'Endpont'"),
    ],
)
def test_none_is_an_error(wanted, message):
    with pytest.raises(ConfigError, match=message):
        find_connection_text(wanted, {"MINE": " "})


@pytest.mark.parametrize(
    ("address", "failure", "text", "expected"),
    [
        (AZURE, LinkFailure.NOT_A_HUB, "UNIMPLEMENTED", "is no task hub."),
        ("http://localhost:8082", LinkFailure.NOT_A_HUB, "", "8082 is the port of the dashboard"),
        (AZURE, LinkFailure.UNAUTHENTICATED, "", "(401)"),
        (AZURE, LinkFailure.REFUSED, "Hello: NOT_FOUND: no", "no task hub 'orders'"),
        (AZURE, LinkFailure.REFUSED, "PERMISSION_DENIED: no", "Data Contributor"),
        (AZURE, LinkFailure.REFUSED, "INTERNAL: no", "refuses for now"),
        (AZURE, LinkFailure.TRANSPORT, "DNS resolution failed", "private endpoint"),
        ("http://localhost:9", LinkFailure.TRANSPORT, "Connection refused", "func hub start"),
        ("http://far:9", LinkFailure.TRANSPORT, "Connection refused", "listens on far:9."),
        ("http://localhost:8082", LinkFailure.TRANSPORT, "Connection refused", "task hubs listen"),
        ("https://far", LinkFailure.TRANSPORT, "CERTIFICATE_VERIFY_FAILED", "ROOTS_FILE_PATH"),
        ("https://far", LinkFailure.TRANSPORT, "WRONG_VERSION_NUMBER", "use http://far:443"),
        ("https://localhost:8080", LinkFailure.TRANSPORT, "handshake", "http://localhost:8080"),
        ("http://far", LinkFailure.TRANSPORT, "Socket closed", "use https://far:80"),
        ("https://far", LinkFailure.TRANSPORT, "network is unreachable", "firewalls"),
        ("https://far", LinkFailure.TRANSPORT, "odd", ""),
        ("http://localhost:8081", LinkFailure.TRANSPORT, HTTP_1, "no gRPC: correct the port"),
        ("http://localhost:8081", LinkFailure.TRANSPORT, HTTP_1, "listen on 8080 as a rule."),
        ("http://far", LinkFailure.TRANSPORT, HTTP_1, "on https://far."),
        ("http://localhost:8082", LinkFailure.TRANSPORT, HTTP_1, "the port of the dashboard"),
        ("https://localhost:9", LinkFailure.TRANSPORT, "Connection refused", "func hub start"),
    ],
)
def test_each_layer_that_fails_has_its_advice(address, failure, text, expected):
    assert expected in advice(target(address), failure, text)


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (LinkFailure.TRANSPORT, "UNAVAILABLE: Stream removed (Socket closed)"),
        (LinkFailure.TRANSPORT, "UNAVAILABLE: [::1]: Connection refused"),
        (LinkFailure.NOT_A_HUB, "UNIMPLEMENTED"),
    ],
)
def test_tls_is_no_matter_where_it_was_spoken_or_nobody_answers(failure, text):
    assert "TLS" not in advice(target("https://localhost:8680"), failure, text)


def test_a_web_server_on_this_machine_is_no_matter_of_encryption():
    assert "https" not in advice(target("http://localhost:8081"), LinkFailure.TRANSPORT, HTTP_1)


def test_a_hub_of_ones_own_that_demands_a_token_is_no_matter_of_tenants():
    own = HubTarget(parse_endpoint("https://far", "test", encrypted=True), "orders")
    assert "DURABLE_APP_HUB_TOKEN" in advice(own, LinkFailure.UNAUTHENTICATED, "")
    signed_in = own._replace(authentication=Authentication(AuthenticationKind.AZURE_CLI))
    assert "tenant" in advice(signed_in, LinkFailure.UNAUTHENTICATED, "")
