"""The durable client and the management API of a running host, over a real socket."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import quote

import pytest

from durable_app.clock import SystemClock
from tests.contract.host_app import talk, write_app

WEBHOOK = "/runtime/webhooks/durabletask"


@pytest.fixture
def folder(tmp_path):
    return write_app(tmp_path)


async def started(call, name, instance_id, body=None):
    answer = await call(
        "POST", f"{WEBHOOK}/orchestrators/{name}/{instance_id}", data=json.dumps(body)
    )
    assert answer.status == 202
    return answer.json


async def running(call, instance_id):
    """An instance that waits for the event ``go``."""
    urls = await started(call, "wait", instance_id)
    await shows(call, instance_id, customStatus="waiting")
    return urls


async def shows(call, instance_id, **fields):
    """Poll the status until it has these fields; return it."""
    async with asyncio.timeout(10):
        while True:
            state = (await call("GET", instance(instance_id))).json
            if fields.items() <= state.items():
                return state
            await asyncio.sleep(0.01)


def instance(instance_id, operation="", **query):
    pairs = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in query.items())
    tail = f"/{operation}" if operation else ""
    return f"{WEBHOOK}/instances/{instance_id}{tail}?{pairs}"


def test_the_main_job_start_poll_result(folder):
    async def conversation(host, call):
        accepted = await call("POST", "/api/start/greet?id=g1", json="Tokyo")
        done = await call.until_done(accepted.json["statusQueryGetUri"])
        return host.origin, accepted, done

    origin, accepted, done = talk(folder, conversation)
    base = f"{origin}{WEBHOOK}/instances/g1"
    hub = "taskHub=default&connection=Storage"
    assert accepted.status == 202
    assert accepted.headers["Retry-After"] == "10"
    assert accepted.headers["Location"] == accepted.json["statusQueryGetUri"]
    assert accepted.json == {
        "id": "g1",
        "statusQueryGetUri": f"{base}?{hub}",
        "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{hub}",
        "terminatePostUri": f"{base}/terminate?reason={{text}}&{hub}",
        "rewindPostUri": f"{base}/rewind?reason={{text}}&{hub}",
        "purgeHistoryDeleteUri": f"{base}?{hub}",
        "restartPostUri": f"{base}/restart?{hub}",
        "suspendPostUri": f"{base}/suspend?reason={{text}}&{hub}",
        "resumePostUri": f"{base}/resume?reason={{text}}&{hub}",
    }
    assert done.status == 200
    assert list(done.json) == [
        "name",
        "instanceId",
        "runtimeStatus",
        "input",
        "customStatus",
        "output",
        "createdTime",
        "lastUpdatedTime",
        "historyEvents",
    ]
    assert done.json["runtimeStatus"] == "Completed"
    assert done.json["input"] == "Tokyo"
    assert done.json["output"] == "Hello Tokyo!"
    assert done.json["historyEvents"] is None
    assert len(done.json["createdTime"]) == len("2026-01-02T03:04:05Z")


def test_the_urls_carry_the_origin_that_the_caller_used(folder):
    async def conversation(host, call):
        port = host.origin.split(":")[-1]
        return port, await call("POST", f"http://127.0.0.1:{port}/api/start/greet", json="x")

    port, accepted = talk(folder, conversation)
    assert accepted.json["statusQueryGetUri"].startswith(f"http://127.0.0.1:{port}{WEBHOOK}/")
    assert len(accepted.json["id"]) == 32


def test_a_sync_function_gets_a_client_that_waits(folder):
    async def conversation(host, call):
        return await call("POST", "/api/sync/greet", json="Oslo"), await call(
            "POST", "/api/sync/fail", json="x"
        )

    done, failed = talk(folder, conversation)
    assert (done.status, done.body) == (200, b"Hello Oslo!")
    assert failed.status == 500
    assert "out of order" in failed.json["output"]


def test_start_over_http(folder):
    async def conversation(host, call):
        start = f"{WEBHOOK}/orchestrators"
        return {
            "plain": await call("POST", f"{start}/greet/a1", data=b'"x"'),
            "waited": await call(
                "POST", f"{start}/greet?timeout=5&pollingInterval=1", data=b'{"a": [1.0]}'
            ),
            "failed": await call("POST", f"{start}/fail/f1?timeout=5&pollingInterval=1"),
            "late": await call("POST", f"{start}/wait/w1?timeout=0&pollingInterval=0"),
            "interval": await call("POST", f"{start}/greet?timeout=1&pollingInterval=2"),
            "json": await call("POST", f"{start}/greet", data=b"{oops"),
            "nan": await call("POST", f"{start}/greet", data=b"NaN"),
            "unknown": await call("POST", f"{start}/nobody"),
            "id": await call("POST", f"{start}/greet/a%2Fb"),
            "running": await call("POST", f"{start}/wait/w1"),
            "again": await call("POST", f"{start}/greet/f1"),
            "hub": await call("POST", f"{start}/greet?taskHub=other"),
        }

    answers = talk(folder, conversation)
    assert {name: answer.status for name, answer in answers.items()} == {
        "plain": 202,
        "waited": 200,
        "failed": 200,
        "late": 202,
        "interval": 400,
        "json": 400,
        "nan": 400,
        "unknown": 400,
        "id": 400,
        "running": 500,
        "again": 202,
        "hub": 400,
    }
    assert "rewindPostUri" not in answers["plain"].json
    assert answers["waited"].json == "Hello {'a': [1.0]}!"
    assert answers["failed"].json["runtimeStatus"] == "Failed"
    assert "Invalid JSON content" in answers["json"].json["ExceptionMessage"]
    assert "The function 'nobody' doesn't exist" in answers["unknown"].json["ExceptionMessage"]
    assert "Total timeout 1 should be bigger" in answers["interval"].json["ExceptionMessage"]
    assert "already exists" in answers["running"].json["ExceptionMessage"]


def test_status_codes_of_a_status(folder):
    async def conversation(host, call):
        urls = await running(call, "w1")
        alive = await call("GET", urls["statusQueryGetUri"])
        await started(call, "fail", "f1")
        failed = await call.until_done(instance("f1"))
        as_500 = await call("GET", instance("f1", returnInternalServerErrorOnFailure="TRUE"))
        quiet = await call("GET", instance("w1", showInput="false"))
        nobody = await call("GET", instance("nobody"))
        return urls, alive, failed, as_500, quiet, nobody

    urls, alive, failed, as_500, quiet, nobody = talk(folder, conversation)
    assert (alive.status, alive.json["runtimeStatus"]) == (202, "Running")
    assert alive.headers["Retry-After"] == "5"
    assert alive.headers["Location"] == urls["statusQueryGetUri"]
    assert (failed.status, as_500.status, nobody.status) == (200, 500, 404)
    assert "out of order" in failed.json["output"]
    assert quiet.json["input"] is None
    assert nobody.body == b""


def test_history_is_projected(folder):
    async def conversation(host, call):
        await started(call, "greet", "g1", "x")
        await call.until_done(instance("g1"))
        plain = await call("GET", instance("g1", showHistory="true", showInput="false"))
        full = await call("GET", instance("g1", showHistory="true", showHistoryOutput="true"))
        return plain.json["historyEvents"], full.json["historyEvents"]

    plain, full = talk(folder, conversation)
    assert [event["EventType"] for event in plain] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    start, task, end = plain
    assert start["FunctionName"] == "greet"
    assert "Input" not in start
    assert (task["FunctionName"], "Result" in task) == ("hello", False)
    assert task["ScheduledTime"] <= task["Timestamp"]
    assert end["OrchestrationStatus"] == "Completed"
    assert full[1]["Result"] == "Hello x!"
    assert full[2]["Result"] == "Hello x!"


def test_events_reach_the_orchestrator(folder):
    async def conversation(host, call):
        await running(call, "w1")
        event = instance("w1", "raiseEvent/GO")
        refused = [
            await call("POST", event, data=b"x", headers={"Content-Type": "text/plain"}),
            await call("POST", event, data=b"{", headers={"Content-Type": "application/json"}),
            await call("POST", instance("nobody", "raiseEvent/go"), json=1),
        ]
        sent = await call("POST", event, json={"ok": 0})
        done = await call.until_done(instance("w1"))
        gone = await call("POST", event, json=1)
        return refused, sent, done, gone

    refused, sent, done, gone = talk(folder, conversation)
    assert [answer.status for answer in refused] == [400, 400, 404]
    assert refused[0].json == {"Message": "Only application/json request content is supported"}
    assert (sent.status, gone.status) == (202, 410)
    assert done.json["output"] == {"ok": 0}


def test_suspend_resume_terminate(folder):
    async def conversation(host, call):
        await running(call, "w1")

        async def status_after(operation, wanted):
            answer = await call("POST", instance("w1", operation, reason="why not"))
            return answer.status, (await shows(call, "w1", runtimeStatus=wanted))["output"]

        steps = [
            await status_after("suspend", "Suspended"),
            await status_after("resume", "Running"),
            await status_after("terminate", "Terminated"),
        ]
        operations = ("terminate", "suspend", "resume", "rewind")
        gone = [(await call("POST", instance("w1", name))).status for name in operations]
        nobody = [(await call("POST", instance("no", name))).status for name in operations]
        return steps, gone, nobody

    steps, gone, nobody = talk(folder, conversation)
    assert steps == [(202, None), (202, None), (202, "why not")]
    assert gone == [410] * 4
    assert nobody == [404] * 4


def test_rewind_and_restart(folder):
    async def conversation(host, call):
        await running(call, "w1")
        await started(call, "fail", "f1")
        await call.until_done(instance("f1"))
        return {
            "rewind a running one": await call("POST", instance("w1", "rewind")),
            "rewind a failed one": await call("POST", instance("f1", "rewind", reason="fixed")),
            "restart": await call("POST", instance("f1", "restart")),
            "restart nobody": await call("POST", instance("no", "restart")),
            "restart a running one": await call(
                "POST", instance("w1", "restart", restartWithNewInstanceId="false")
            ),
            "no such operation": await call("POST", instance("w1", "explode")),
            "wrong method": await call("PUT", instance("w1")),
        }

    answers = talk(folder, conversation)
    assert {name: answer.status for name, answer in answers.items()} == {
        "rewind a running one": 400,
        "rewind a failed one": 202,
        "restart": 202,
        "restart nobody": 400,
        "restart a running one": 500,
        "no such operation": 404,
        "wrong method": 404,
    }
    assert answers["restart"].json["id"] != "f1"
    assert answers["restart nobody"].json["Message"] == (
        "InstanceId does not match a valid orchestration instance."
    )


def test_lists_are_filtered_and_paged(folder):
    async def conversation(host, call):
        for number in range(5):
            await started(call, "greet", f"a{number}", number)
            await call.until_done(instance(f"a{number}"))
        await running(call, "b0")
        first = await call("GET", f"{WEBHOOK}/instances/?top=3&instanceIdPrefix=a")
        token = first.headers["x-ms-continuation-token"]
        second = await call(
            "GET",
            f"{WEBHOOK}/instances?top=3&instanceIdPrefix=a",
            headers={"x-ms-continuation-token": token},
        )
        alive = await call("GET", f"{WEBHOOK}/instances?runtimeStatus=running,nonsense")
        soon = quote((SystemClock().now() + timedelta(minutes=1)).isoformat(), safe="")
        none = await call("GET", f"{WEBHOOK}/instances?createdTimeFrom={soon}")
        every = await call("GET", f"{WEBHOOK}/instances?createdTimeFrom=yesterday&top=x")
        return first, second, alive, none, every

    first, second, alive, none, every = talk(folder, conversation)
    assert [row["instanceId"] for row in first.json] == ["a0", "a1", "a2"]
    assert [row["instanceId"] for row in second.json] == ["a3", "a4"]
    assert "x-ms-continuation-token" not in second.headers
    assert [row["instanceId"] for row in alive.json] == ["b0"]
    assert (none.status, none.json) == (200, [])
    assert len(every.json) == 6


def test_purge(folder):
    async def conversation(host, call):
        for name in ("a1", "a2", "a3"):
            await started(call, "greet", name)
            await call.until_done(instance(name))
        await running(call, "b0")
        many = f"{WEBHOOK}/instances"
        long_ago = "createdTimeFrom=2020-01-01T00:00:00Z"
        return [
            await call("DELETE", instance("a1")),
            await call("DELETE", instance("a1")),
            await call("DELETE", instance("b0")),
            await call("DELETE", many),
            await call("DELETE", f"{many}?{long_ago}&runtimeStatus=Failed"),
            await call("DELETE", f"{many}?{long_ago}"),
            await call("GET", instance("b0")),
        ]

    answers = talk(folder, conversation)
    assert [answer.status for answer in answers] == [200, 404, 404, 400, 404, 200, 202]
    assert answers[0].json == {"instancesDeleted": 1}
    assert answers[5].json == {"instancesDeleted": 2}
    assert answers[3].json == {"Message": "Please provide value for 'createdTimeFrom' parameter."}


def test_other_sites_and_foreign_names_are_refused(folder):
    async def conversation(host, call):
        port = host.origin.split(":")[-1]
        headers = [
            {"Host": f"evil.example:{port}"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": host.origin},
            {"Host": f"127.0.0.1:{port}"},
        ]
        return [(await call("GET", f"{WEBHOOK}/instances", headers=h)).status for h in headers]

    assert talk(folder, conversation) == [403, 403, 403, 200, 200]


@pytest.mark.parametrize("instance_id", ["a b", "100%", "ä&ö=1", "..", "x" * 256])
def test_odd_ids_survive_the_way_through_urls(folder, instance_id):
    async def conversation(host, call):
        client = host.client
        started_id = await client.start_new("greet", instance_id, "x")
        url = client.create_http_management_payload(started_id)["statusQueryGetUri"]
        return (await call.until_done(url)).json["instanceId"]

    assert talk(folder, conversation) == instance_id


def test_the_default_version_is_that_of_instances_and_of_their_children(tmp_path):
    host_json = '{"version": "2.0", "extensions": {"durableTask": {"defaultVersion": "1.5"}}}'
    source = """
from durable_app.functions.app import DFApp

app = DFApp()


@app.orchestration_trigger(context_name="context")
def parent(context):
    children = [context.call_sub_orchestrator("child", version=v) for v in (None, "1.4")]
    return [context.version, *(yield context.task_all(children))]


@app.orchestration_trigger(context_name="context")
def child(context):
    return context.version
"""

    async def conversation(host, call):
        urls = await started(call, "parent", "p")
        return (await call.until_done(urls["statusQueryGetUri"])).json["output"]

    assert talk(write_app(tmp_path, source, host_json), conversation) == ["1.5", "1.5", "1.4"]


@pytest.mark.parametrize("body", ["{", "NaN", "1e999", "[" * 100_000, b"\xff", "1" * 5_000])
def test_a_body_that_nobody_could_read_is_refused(folder, body):
    async def conversation(host, call):
        answer = await call("POST", f"{WEBHOOK}/orchestrators/wait/a", data=body)
        return answer, await call("GET", f"{WEBHOOK}/instances/a")

    refused, nobody = talk(folder, conversation)
    assert (refused.status, nobody.status) == (400, 404)
    assert refused.json["ExceptionMessage"].startswith("Invalid JSON content: ")


@pytest.mark.parametrize("body", ["[" * 899 + "]" * 899, '"\\ud800"', ' {"a": 1} ', "1" * 400])
def test_any_payload_is_shown_in_a_status_and_in_a_list(folder, body):
    async def conversation(host, call):
        await call("POST", f"{WEBHOOK}/orchestrators/wait/a", data=body)
        return await shows(call, "a"), await call("GET", f"{WEBHOOK}/instances")

    state, rows = talk(folder, conversation)
    assert state["input"] == json.loads(body)
    assert [row["input"] for row in rows.json] == [json.loads(body)]
