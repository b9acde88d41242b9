"""Management payloads and answers."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.functions import HttpRequest

import durable_app as df
from tests.unit.client.rig import ORIGIN, with_client

REQUEST = HttpRequest(
    "POST",
    "http://my.example:1/api/start",
    headers={"X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https"},
    body=b"",
)
FLAG = "returnInternalServerErrorOnFailure=true"


def status_url(payload):
    return payload["statusQueryGetUri"]


def test_a_management_payload_is_made_with_and_without_a_request():
    async def conversation(client):
        return [
            client.create_http_management_payload("i"),
            client.create_http_management_payload(instance_id="i"),
            client.create_http_management_payload(None, "i"),
            client.create_http_management_payload(REQUEST, "i"),
            client.get_client_response_links(REQUEST, "i"),
        ]

    payloads = with_client(conversation)
    assert all(isinstance(each, df.HttpManagementPayload) for each in payloads)
    assert payloads[0] == payloads[1] == payloads[2]
    assert payloads[3] == payloads[4]
    assert status_url(payloads[0]).startswith(f"{ORIGIN}/runtime/webhooks/")
    assert status_url(payloads[3]).startswith("http://my.example:1/runtime/webhooks/")


def test_a_failure_is_a_500_of_the_status_url_on_demand():
    async def conversation(client):
        response = client.create_check_status_response(
            REQUEST, "i", return_internal_server_error_on_failure=True
        )
        return response, client.create_http_management_payload(REQUEST, "i", True)

    response, payload = with_client(conversation)
    assert response.headers["Location"] == status_url(payload)
    assert status_url(payload).endswith(f"&{FLAG}")


@pytest.mark.parametrize(
    ("trusted", "origin"), [(False, "http://my.example:1/"), (True, "https://shop.example/")]
)
def test_forwarding_headers_count_where_they_are_trusted(trusted, origin):
    async def conversation(client):
        return client.get_client_response_links(REQUEST, "i")

    links = with_client(conversation, trust_forwarded=trusted)
    assert links["terminatePostUri"].startswith(origin)


def test_a_request_without_an_address_leaves_the_hosts_own():
    async def conversation(client):
        request = cast("Any", SimpleNamespace(url="/api/start", headers={}))
        return client.get_client_response_links(request, "i")

    assert status_url(with_client(conversation)).startswith(ORIGIN)


def test_arguments_that_are_mixed_up_are_refused():
    async def conversation(client):
        with pytest.raises(TypeError, match="request must be the HTTP request, not a str"):
            client.create_http_management_payload("i", "i")
        with pytest.raises(TypeError, match="instance_id is required"):
            client.create_http_management_payload(REQUEST)
        with pytest.raises(TypeError, match="instance_id must be a str, not int"):
            client.create_check_status_response(REQUEST, 5)

    with_client(conversation)


@pytest.mark.parametrize(("flag", "in_url"), [(None, False), (False, False), (True, True)])
def test_an_instance_that_goes_on_is_answered_with_where_to_look(flag, in_url):
    async def conversation(client):
        await client.start_new("f", "i")
        return await client.wait_for_completion_or_create_check_status_response(
            REQUEST, "i", 10, 1, flag
        )

    response = with_client(conversation)
    assert response.status_code == 202
    assert (FLAG in status_url(json.loads(response.get_body()))) is in_url
