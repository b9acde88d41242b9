"""Each pattern of the repository's app, on a real host, with its exact outcome."""

from __future__ import annotations

import re
from typing import Any

from tests.e2e.harness import WEBHOOK, Host, eventually


def test_chaining(host: Host) -> None:
    assert host.run("hello_cities") == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def test_fan_out(host: Host) -> None:
    assert host.run("count_words", ["a b", "", "c d e"]) == {"per_text": [2, 0, 3], "total": 5}


def test_fan_out_without_input_takes_the_sample(host: Host) -> None:
    assert host.run("count_words") == {"per_text": [4, 2, 3], "total": 9}


def test_fan_out_of_nothing(host: Host) -> None:
    assert host.run("count_words", []) == {"per_text": [], "total": 0}


def test_fan_out_of_many(host: Host) -> None:
    result = host.run("count_words", [f"text {number}" for number in range(500)])

    assert result == {"per_text": [2] * 500, "total": 1000}


def test_starter_answers_202_then_200(host: Host) -> None:
    links = host.begin("watch_job", {"poll_s": 0.5, "done_at_look": 2})
    first = host.get(links["statusQueryGetUri"])

    assert first.status == 202
    assert first.headers["location"].split("?")[0] == links["statusQueryGetUri"].split("?")[0]
    assert first.json["runtimeStatus"] in {"Pending", "Running"}
    host.finished(links["id"])
    last = host.get(links["statusQueryGetUri"])
    assert last.status == 200
    assert last.json["runtimeStatus"] == "Completed"


def test_starter_gives_all_management_urls(host: Host) -> None:
    reply = host.post("/api/orchestrators/hello_cities?instance_id=urls-1")

    origin = f"http://localhost:{host.port}/runtime/webhooks/durabletask/instances/urls-1"
    links: dict[str, str] = reply.json
    assert reply.headers["location"] == links["statusQueryGetUri"]
    assert {key: url.split("?")[0].removeprefix(origin) for key, url in links.items()} == {
        "id": "urls-1",
        "statusQueryGetUri": "",
        "sendEventPostUri": "/raiseEvent/{eventName}",
        "terminatePostUri": "/terminate",
        "rewindPostUri": "/rewind",
        "purgeHistoryDeleteUri": "",
        "restartPostUri": "/restart",
        "suspendPostUri": "/suspend",
        "resumePostUri": "/resume",
    }


def test_async_http_api(host: Host) -> None:
    ordered = host.post("/api/reports?colour=blue", {"title": "Sales", "pages": 2})

    assert ordered.status == 202
    location, report_id = ordered.headers["location"], ordered.json["id"]
    assert location == f"http://localhost:{host.port}/api/reports/{report_id}"
    host.finished(report_id)
    ready = host.get(location)
    assert (ready.status, ready.json) == (
        200,
        {"id": report_id, "status": "ready", "report": "Sales, page 1\nSales, page 2\n"},
    )


def test_async_http_api_knows_reports_only(host: Host) -> None:
    host.finished(host.begin("hello_cities", instance_id="no-report")["id"])

    assert host.get("/api/reports/no-report").status == 404
    assert host.get("/api/reports/nothing").status == 404
    refused = host.post("/api/reports", {"title": "Sales", "pages": 0})
    assert refused.status == 400
    assert "pages" in refused.json["error"]


def test_monitor_finds_the_job_done(host: Host) -> None:
    links = host.begin("watch_job", {"job": "export", "poll_s": 0.1, "done_at_look": 4})

    status = host.finished(links["id"])
    assert status["output"] == {"job": "export", "outcome": "Done", "looks": 4}
    assert status["customStatus"]["looks"] == 3


def test_monitor_expires(host: Host) -> None:
    output = host.run("watch_job", {"poll_s": 0.6, "expires_s": 1.0, "done_at_look": 99})

    assert output == {"job": "export", "outcome": "Expired", "looks": 2}


def test_approval_by_event(host: Host) -> None:
    links = host.begin("approve_expense", {"employee": "Ada", "amount": "120.50"})
    eventually(lambda: host.status(links["id"])["customStatus"], "the question")

    sent = host.post(send_uri(links, "approval"), {"approved": True, "by": "Grace"})

    assert sent.status == 202
    status = host.finished(links["id"], timeout_s=5)  # the timer of 72 hours does not hold it
    assert status["output"] == {"outcome": "Approved", "by": "Grace"}
    assert status["customStatus"] == "Waiting for the event Approval"


def test_rejection_by_an_event_that_comes_before_anybody_waits(host: Host) -> None:
    links = host.begin("approve_expense", {"employee": "Ada", "amount": 1})

    host.post(send_uri(links, "Approval"), {"approved": False, "by": "Grace"})

    assert host.finished(links["id"])["output"] == {"outcome": "Rejected", "by": "Grace"}


def test_approval_escalates(host: Host) -> None:
    claim = {"employee": "Ada", "amount": "5000", "patience_s": 0.1}

    assert host.run("approve_expense", claim) == {"outcome": "Escalated", "to": "the board"}


def test_saga_succeeds(host: Host) -> None:
    assert host.run("place_order", {"order_id": "A-1"}) == {
        "status": "Shipped",
        "parcel": "parcel-A-1",
    }


def test_saga_compensates_in_reverse_order(host: Host) -> None:
    order = {"order_id": "A-2", "retry_ms": 20, "broken": ["ship_order"]}

    links = host.begin("place_order", order)

    status = host.finished(links["id"])
    undone = ["payment of A-2 refunded", "stock of A-2 released"]
    assert status["runtimeStatus"] == "Completed"
    assert status["customStatus"] == {"undone": undone}
    assert status["output"] == {
        "status": "Compensated",
        "reason": "ship_order is out of order",
        "undone": undone,
    }
    assert scheduled(host, links["id"]) == [
        "reserve_stock",
        "charge_card",
        *["ship_order"] * 3,
        "refund_card",
        "release_stock",
    ]


def test_saga_with_nothing_to_undo(host: Host) -> None:
    order = {"order_id": "A-3", "retry_ms": 1, "broken": ["reserve_stock"]}

    assert host.run("place_order", order)["undone"] == []


def test_saga_reports_a_failed_compensation(host: Host) -> None:
    order = {"order_id": "A-4", "retry_ms": 1, "broken": ["ship_order", "refund_card"]}

    status = host.finished(host.begin("place_order", order)["id"])

    assert status["runtimeStatus"] == "Failed"
    assert "refund_card is out of order" in status["output"]


def test_pipeline_keeps_its_width(host: Host) -> None:
    before = len(host.output())
    plan = {"rows": 95, "chunk_rows": 10, "width": 3, "chunk_s": 0.05}

    assert host.run("run_pipeline", plan) == {"chunks": 10, "total": sum(n * n for n in range(95))}

    eventually(lambda: "Executed 'Functions.load'" in host.output()[before:], "the last line")
    assert widest(host.output()[before:], "transform") == 3


def test_sub_orchestrations(host: Host) -> None:
    links = host.begin("fulfil_orders", ["B-1", "B-2"])

    assert host.finished(links["id"])["output"] == [
        "parcel with goods of B-1",
        "parcel with goods of B-2",
    ]
    assert scheduled(host, links["id"]) == ["fulfil_order", "fulfil_order"]


def test_eternal_orchestration_keeps_its_id_and_a_short_history(host: Host) -> None:
    links = host.begin("clean_up", {"interval_s": 0.02, "rounds": 5}, instance_id="janitor")

    status = host.finished(links["id"])
    assert status["instanceId"] == "janitor"
    assert status["output"] == {"interval_s": 0.02, "rounds": 5, "rounds_done": 5, "removed": 15}
    assert status["customStatus"] == {"rounds_done": 5, "removed": 15}
    assert scheduled(host, "janitor") == ["remove_old_files"]


def test_scheduled_start(host: Host) -> None:
    assert host.post("/admin/functions/every_morning", {"input": ""}).status == 202

    eventually(lambda: host.get(f"{WEBHOOK}/instances/daily-digest").status == 200, "the digest")
    status = host.finished("daily-digest")
    assert status["output"] == "Tea is ready; Rain at noon"


def test_entity_with_an_http_api(host: Host) -> None:
    counter = "/api/counters/Visits"
    assert host.get(counter).status == 404
    for _ in range(20):
        assert host.post(counter, 5).status == 202
    assert host.post(counter).json == {"added": 1}
    eventually(lambda: host.get(counter).json == {"count": 101}, "the count")

    # The key's case counts, the name's does not.
    assert host.get("/api/counters/visits").status == 404
    assert host.get(f"{WEBHOOK}/entities/COUNTER/Visits").json == 101

    assert host.request("DELETE", counter).status == 202
    eventually(lambda: host.get(counter).json == {"count": 0}, "the reset")
    assert host.post(counter, "many").json == {"error": "The body is a whole number."}


def test_an_operation_starts_an_orchestration_once(host: Host) -> None:
    for amount in (99, 1, 1):
        host.post("/api/counters/once", amount)
    eventually(lambda: host.get("/api/counters/once").json == {"count": 101}, "the count")

    def celebrated() -> list[str]:
        found = host.get(f"{WEBHOOK}/instances").json
        return [each["output"] for each in found if "once" in str(each["output"])]

    eventually(celebrated, "the celebration")
    assert celebrated() == ["once has reached 100"]


def test_transfers_under_a_lock(host: Host) -> None:
    owners = ("ann", "bob", "cleo")
    for owner in owners:
        assert host.run("open_account", {"owner": owner, "amount": 100}) == 100
    links = [
        host.begin("transfer", {"payer": payer, "payee": payee, "amount": 30})
        for payer in owners
        for payee in owners
        for _ in range(3)
    ]
    outcomes = [host.finished(each["id"])["output"] for each in links]

    statuses = [each["status"] for each in outcomes]
    assert statuses.count("Refused") >= 9
    reasons = {each["reason"] for each in outcomes if each["status"] == "Refused"}
    assert "A transfer has two accounts." in reasons
    accounts = [host.get(f"{WEBHOOK}/entities/account/{owner}").json for owner in owners]
    assert sum(each["cents"] for each in accounts) == 300
    changes = sum(each["changes"] for each in accounts)
    assert changes == 3 + 2 * statuses.count("Done")


def test_a_transfer_of_too_much_is_refused(host: Host) -> None:
    host.run("open_account", {"owner": "poor", "amount": 10})
    host.run("open_account", {"owner": "rich", "amount": 0})
    refused = host.run("transfer", {"payer": "poor", "payee": "rich", "amount": 30})
    assert refused == {"status": "Refused", "reason": "poor has too little money."}
    told = host.output()
    assert "Operation 'withdraw' of entity @account@poor failed" in told
    assert "will not run" not in told
    assert host.run("transfer", {"payer": "poor", "payee": "rich", "amount": 10}) == {
        "status": "Done",
        "poor": 0,
        "rich": 10,
    }


def at_the_gate(host: Host, article: dict[str, Any]) -> dict[str, Any]:
    """Order an article; links and progress when it waits for the editor."""
    ordered = host.post("/api/articles", article)
    assert ordered.status == 202
    links: dict[str, Any] = ordered.json

    def progress() -> dict[str, Any] | None:
        shown: dict[str, Any] = host.status(links["id"])["customStatus"] or {}
        return shown if shown.get("stage") == "waiting for the editor" else None

    return {**links, **eventually(progress, "the gate")}


def test_agents_write_what_a_human_approves(host: Host) -> None:
    article = at_the_gate(host, {"text": "Is Rust fast, safe and popular?", "refusals": 1})

    assert article["plan"] == ["Is Rust fast", "safe", "popular"]
    assert (article["done"], article["total"], article["round"]) == (3, 3, 3)
    approved = host.post(f"/api/articles/{article['id']}/approve", {"by": "Grace"})
    assert approved.status == 202
    output = host.finished(article["id"])["output"]
    assert (output["outcome"], output["by"], output["rounds"]) == ("Published", "Grace", 3)
    assert output["link"].startswith("/published/")
    assert scheduled(host, article["id"]) == [
        *["plan_parts"] * 2,
        *["ask_specialist"] * 3,
        *["write_draft", "review_draft"] * 3,
        "show_editor",
        "publish_article",
    ]
    assert host.post(f"/api/articles/{article['id']}/reject").status == 409


def test_agents_write_what_a_human_rejects(host: Host) -> None:
    article = at_the_gate(host, {"text": "Is it cheap?", "rounds": 1})

    assert article["reasons"] == ["No sources."]
    assert host.post(f"/api/articles/{article['id']}/reject").status == 202
    output = host.finished(article["id"])["output"]
    assert (output["outcome"], output["link"]) == ("Rejected", None)


def test_agents_wait_for_a_human_no_longer_than_they_are_told(host: Host) -> None:
    links = host.post("/api/articles", {"text": "Is it cheap?", "patience_s": 0.1}).json

    assert host.finished(links["id"])["output"]["outcome"] == "Expired"
    assert host.post("/api/articles/nobody/approve").status == 404
    assert host.post("/api/articles", {"text": ""}).status == 400


def test_no_reply_is_paid_twice_when_the_host_is_killed(app_host: Host) -> None:
    order = {"text": "Is Rust fast, safe and popular?"}
    article = at_the_gate(app_host, order)

    app_host.kill()
    app_host.start()

    assert app_host.post(f"/api/articles/{article['id']}/approve").status == 202
    output = app_host.finished(article["id"])["output"]
    assert (output["outcome"], output["tokens"]) == ("Published", article["tokens"])
    console = app_host.wait_for_output("Executed 'Functions.publish_article'")
    since_then = re.findall(r"Executing 'Functions\.(\w+)'", console)
    assert set(since_then) == {"approve_article", "write_article", "publish_article"}


def send_uri(links: dict[str, str], event: str) -> str:
    return links["sendEventPostUri"].replace("{eventName}", event)


def scheduled(host: Host, instance_id: str) -> list[str]:
    """Names of all activities and children that ended, in the order of their schedules."""
    history: list[dict[str, Any]] = host.status(instance_id, "?showHistory=true")["historyEvents"]
    ended = [event for event in history if "ScheduledTime" in event]
    return [event["FunctionName"] for event in sorted(ended, key=lambda e: e["ScheduledTime"])]


def widest(output: str, function: str) -> int:
    """Most invocations of a function that were under way at the same time."""
    running = most = 0
    for verb in re.findall(rf"(Executing|Executed) 'Functions\.{function}'", output):
        running += 1 if verb == "Executing" else -1
        most = max(most, running)
    return most
