"""Management URLs."""

import json

from durable_app.client.management import ManagementUrls

BASE = "http://localhost:7071/runtime/webhooks/durabletask"


def test_the_links_of_an_instance():
    links = ManagementUrls("http://localhost:7071/", "my hub", "Storage", "k=1").links("i 1")
    query = "taskHub=my%20hub&connection=Storage&code=k%3D1"
    assert links["id"] == "i 1"
    assert links["statusQueryGetUri"] == f"{BASE}/instances/i%201?{query}"
    assert links["sendEventPostUri"] == f"{BASE}/instances/i%201/raiseEvent/{{eventName}}?{query}"
    assert links["terminatePostUri"] == f"{BASE}/instances/i%201/terminate?reason={{text}}&{query}"


def test_the_origin_is_that_of_the_caller_where_it_is_known():
    urls = ManagementUrls("http://localhost:7071", "h")
    links = urls.links("i", origin="https://my.example:8443/durable")
    assert links["restartPostUri"].startswith("https://my.example:8443/durable/runtime/webhooks/")
    assert urls.links("i", origin="") == urls.links("i")


def test_a_payload_is_a_dict_whose_text_is_json():
    payload = ManagementUrls("http://localhost:7071", "h").links("i")
    assert json.loads(str(payload)) == payload == payload.urls == payload.to_json()
    assert type(payload.urls) is type(payload.to_json()) is dict


def test_a_failure_can_be_asked_for_as_500():
    links = ManagementUrls("http://h", "h").links("i", failure_is_500=True)
    assert links["statusQueryGetUri"].endswith("&returnInternalServerErrorOnFailure=true")


def test_the_binding_is_what_azure_passes():
    binding = ManagementUrls("http://localhost:7071", "h", code="K").binding()
    assert binding["taskHubName"] == "h"
    assert binding["baseUrl"] == BASE
    assert binding["requiredQueryStringParameters"] == "code=K"
    assert binding["managementUrls"]["id"] == "INSTANCEID"
    assert "/instances/INSTANCEID?" in binding["managementUrls"]["statusQueryGetUri"]
    assert binding["creationUrls"]["createNewInstancePostUri"] == (
        f"{BASE}/orchestrators/{{functionName}}[/{{instanceId}}]?code=K"
    )
