"""The management routes of a running host, used as people and scripts use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.harness import WEBHOOK, Host, eventually, write_app

REPAIRABLE_APP = """
from pathlib import Path
import durable_app as df

app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def build(context):
    first = yield context.call_activity(sound, "foundation")
    walls = yield context.task_all([context.call_activity(sound, "wall"),
                                    context.call_sub_orchestrator(roof)])
    return [first, *walls]

@app.orchestration_trigger(context_name="context")
def roof(context):
    beam = yield context.call_activity(sound, "beam")
    tiles = yield context.call_activity(fragile, "tiles")
    return [beam, tiles]

@app.activity_trigger(input_name="part")
def sound(part: str) -> str:
    return part

@app.activity_trigger(input_name="part")
def fragile(part: str) -> str:
    if not Path("repaired").exists():
        raise RuntimeError("broken tiles")
    return part
"""
CLAIM = {"employee": "Ada", "amount": 1}


def with_text(url: str, text: str) -> str:
    return url.replace("{text}", quote(text))


def waiting(host: Host, instance_id: str) -> dict[str, str]:
    """An instance that waits for the event Approval; its management URLs."""
    links = host.begin("approve_expense", CLAIM, instance_id)
    eventually(lambda: host.status(instance_id)["customStatus"], "the question")
    return links


def approve(host: Host, links: dict[str, str]) -> int:
    url = links["sendEventPostUri"].replace("{eventName}", "Approval")
    return host.post(url, {"approved": True, "by": "Grace"}).status


def test_start_by_the_webhook_itself(host: Host) -> None:
    reply = host.post(f"{WEBHOOK}/orchestrators/count_words/direct-1", ["a b"])

    assert reply.status == 202
    assert reply.json["id"] == "direct-1"
    assert host.finished("direct-1")["output"] == {"per_text": [2], "total": 2}


def test_start_and_wait(host: Host) -> None:
    reply = host.post(f"{WEBHOOK}/orchestrators/hello_cities?timeout=10&pollingInterval=1")

    assert (reply.status, reply.json[0]) == (200, "Hello Tokyo!")


def test_terminate(host: Host) -> None:
    links = waiting(host, "terminate-1")

    assert host.post(with_text(links["terminatePostUri"], "enough")).status == 202

    status = host.finished("terminate-1")
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")
    assert host.post(with_text(links["terminatePostUri"], "again")).status == 410
    assert approve(host, links) == 410


def test_suspend_holds_events_until_resume(host: Host) -> None:
    links = waiting(host, "suspend-1")

    assert host.post(with_text(links["suspendPostUri"], "wait")).status == 202
    host.in_status("suspend-1", "Suspended")
    assert approve(host, links) == 202
    assert host.get(links["statusQueryGetUri"]).status == 202
    assert host.status("suspend-1")["runtimeStatus"] == "Suspended"
    assert host.post(with_text(links["resumePostUri"], "go on")).status == 202

    assert host.finished("suspend-1")["output"] == {"outcome": "Approved", "by": "Grace"}


def test_rewind_of_what_has_not_failed_is_refused(host: Host) -> None:
    links = waiting(host, "rewind-1")

    assert host.post(with_text(links["rewindPostUri"], "why not")).status == 400
    approve(host, links)
    host.finished("rewind-1")
    assert host.post(with_text(links["rewindPostUri"], "why not")).status == 410


def test_rewind_runs_again_only_what_has_failed(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(write_app(tmp_path / "app", REPAIRABLE_APP)).start()
    host.post(f"{WEBHOOK}/orchestrators/build/house")
    failed = host.finished("house")
    assert failed["runtimeStatus"] == "Failed"
    assert "broken tiles" in failed["output"]

    (host.folder / "repaired").touch()
    assert host.post(f"{WEBHOOK}/instances/house/rewind?reason=repaired").status == 202
    host.in_status("house", "Completed")

    assert host.status("house")["output"] == ["foundation", "wall", ["beam", "tiles"]]
    assert host.output().count("Executing 'Functions.sound'") == 3
    assert host.output().count("Executing 'Functions.fragile'") == 2


def test_restart_under_a_new_id_and_under_the_same(host: Host) -> None:
    links = host.begin("count_words", ["a b c"], "restart-1")
    first = host.finished("restart-1")

    new = host.post(links["restartPostUri"])
    assert new.status == 202
    assert new.json["id"] != "restart-1"
    assert host.finished(new.json["id"])["output"] == first["output"]

    same = host.post(f"{links['restartPostUri']}&restartWithNewInstanceId=false")
    assert same.json["id"] == "restart-1"
    assert host.finished("restart-1")["output"] == first["output"]


def test_purge(host: Host) -> None:
    links = host.begin("hello_cities", instance_id="purge-1")
    host.finished("purge-1")

    reply = host.request("DELETE", links["purgeHistoryDeleteUri"])

    assert (reply.status, reply.json) == (200, {"instancesDeleted": 1})
    assert host.get(links["statusQueryGetUri"]).status == 404
    assert host.request("DELETE", links["purgeHistoryDeleteUri"]).status == 404


def test_purge_by_filter_leaves_what_runs(app_host: Host) -> None:
    links = waiting(app_host, "stays")
    app_host.run("hello_cities")
    app_host.run("hello_cities")

    assert app_host.request("DELETE", f"{WEBHOOK}/instances/").status == 400
    url = f"{WEBHOOK}/instances/?createdTimeFrom=2020-01-01T00:00:00Z"
    assert app_host.request("DELETE", url).json == {"instancesDeleted": 2}

    assert [row["instanceId"] for row in app_host.get(f"{WEBHOOK}/instances/").json] == ["stays"]
    assert approve(app_host, links) == 202


def test_list_with_filters_and_continuation(host: Host) -> None:
    for number in range(5):
        host.begin("hello_cities", instance_id=f"list-{number}")
    waiting(host, "list-waits")
    for number in range(5):
        host.finished(f"list-{number}")

    found = host.pages(f"{WEBHOOK}/instances/?instanceIdPrefix=list-&top=2")
    assert [len(page) for page in found] == [2, 2, 2]
    ids = [row["instanceId"] for page in found for row in page]
    assert ids == [*(f"list-{number}" for number in range(5)), "list-waits"]

    running = host.get(f"{WEBHOOK}/instances/?instanceIdPrefix=list-&runtimeStatus=Running,Pending")
    assert [row["instanceId"] for row in running.json] == ["list-waits"]
    bare = host.get(f"{WEBHOOK}/instances/?instanceIdPrefix=list-waits&showInput=false").json
    assert bare[0]["input"] is None
    none = host.get(f"{WEBHOOK}/instances/?instanceIdPrefix=list-&createdTimeFrom=2999-01-01")
    assert none.json == []


def test_status_with_history(host: Host) -> None:
    host.finished(host.begin("count_words", ["a b"], "history-1")["id"])

    plain = host.status("history-1")
    assert plain["historyEvents"] is None
    assert plain["input"] == ["a b"]
    assert host.status("history-1", "?showInput=false")["input"] is None
    query = "?showHistory=true&showHistoryOutput=true"
    events: list[dict[str, Any]] = host.status("history-1", query)["historyEvents"]
    kinds = [event["EventType"] for event in events]
    assert kinds == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
    assert (events[1]["FunctionName"], events[1]["Result"]) == ("words_in", 2)
    assert events[2]["OrchestrationStatus"] == "Completed"


def test_failed_instance_is_200_or_500_as_asked(host: Host) -> None:
    order = {"order_id": "F", "retry_ms": 1, "broken": ["ship_order", "refund_card"]}
    links = host.begin("place_order", order)
    host.finished(links["id"])

    assert host.get(links["statusQueryGetUri"]).status == 200
    asked = f"{links['statusQueryGetUri']}&returnInternalServerErrorOnFailure=true"
    assert host.get(asked).status == 500


def test_another_hub_and_unknown_routes_are_refused(host: Host) -> None:
    assert host.get(f"{WEBHOOK}/instances/x?taskHub=other").status == 400
    assert host.get(f"{WEBHOOK}/elsewhere").status == 404
    assert host.get("/api/nothing").status == 404
    assert host.get("/api/orchestrators/hello_cities").status == 404


def test_a_start_that_cannot_be(host: Host) -> None:
    start = f"{WEBHOOK}/orchestrators"
    waiting(host, "taken-1")

    taken = host.post(f"{start}/approve_expense/taken-1", CLAIM)
    unknown = host.post(f"{start}/approve_expanse")
    slash = host.post(f"{start}/hello_cities/a%2Fb")
    hasty = host.post(f"{start}/hello_cities?timeout=1&pollingInterval=2")

    assert [r.status for r in (taken, unknown, slash, hasty)] == [500, 400, 400, 400]
    assert taken.json["ExceptionMessage"] == (
        "An Orchestration instance with the status Running already exists."
    )
    assert hasty.json == {
        "Message": "One or more of the arguments submitted is incorrect",
        "ExceptionMessage": "Total timeout 1 should be bigger than retry timeout 2",
        "ExceptionType": "System.ArgumentException",
        "StackTrace": None,
    }


def test_the_body_of_an_event_must_be_json(host: Host) -> None:
    links = waiting(host, "event-1")
    url = links["sendEventPostUri"].replace("{eventName}", "Approval")

    reply = host.request("POST", url, b"yes", headers={"Content-Type": "text/plain"})

    assert reply.status == 400
    assert reply.json == {"Message": "Only application/json request content is supported"}
    assert approve(host, links) == 202


def test_a_running_instance_is_not_restarted_in_its_place(host: Host) -> None:
    links = waiting(host, "restart-2")

    reply = host.post(f"{links['restartPostUri']}&restartWithNewInstanceId=false")

    assert (reply.status, "already exists" in reply.text) == (500, True)
    assert approve(host, links) == 202


def test_an_unreadable_page_is_refused(host: Host) -> None:
    reply = host.get(f"{WEBHOOK}/instances/", headers={"x-ms-continuation-token": "page 2"})

    assert reply.status == 400


def test_forwarding_headers_are_ignored_unless_host_json_trusts_them(host: Host) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}

    reply = host.request("POST", f"{WEBHOOK}/orchestrators/hello_cities", headers=headers)

    assert "evil" not in reply.text
    assert "evil" not in reply.headers["location"]


def test_the_admin_api(host: Host) -> None:
    assert host.get("/admin/host/ping").status == 200
    assert host.get("/admin/host/status").json["state"] == "Running"
    listed = {function["name"] for function in host.get("/admin/functions").json}
    assert {"hello_cities", "approve_expense", "words_in"} <= listed
    assert host.get("/admin/functions/words_in").json["language"] == "python"
    assert host.post("/admin/functions/words_in", {"input": "a b"}).status == 202
    assert host.post("/admin/functions/nobody", {"input": ""}).status == 404
    assert host.get("/admin/elsewhere").status == 404


def test_pages_of_other_sites_are_refused(host: Host) -> None:
    url = f"{WEBHOOK}/instances/"

    assert host.get(url, headers={"Origin": "http://evil.example"}).status == 403
    assert host.get(url, headers={"Host": "evil.example"}).status == 403
