"""The management API: its routes, parameters, codes and shapes."""

import asyncio
import json

import pytest

from durable_app.client.management import WEBHOOK_PATH
from durable_app.clock import SystemClock
from durable_app.host.api.exchange import ApiRequest
from durable_app.storage.sqlite import SqliteStore
from tests.unit.host.api.rig import ORIGIN, talk

TAKEN = "An Orchestration instance with the status Pending already exists."
PROXY = {
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example",
    "x-forwarded-prefix": "/durable",
}


class BrokenClock(SystemClock):
    """A clock that nobody can read."""

    def now(self):
        raise RuntimeError("no battery")


def asked(method, path, body=b"", headers=None, **options):
    """Answer of one request to a hub that has the pending instance ``i``."""

    async def conversation(call):
        await call("POST", "orchestrators/chain/i", b'{"n": 1}')
        return await call(method, path, body, **(headers or {}))

    return talk(conversation, **options)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "orchestrators/chain", 404),
        ("PUT", "orchestrators/chain/x", 404),
        ("POST", "orchestrators", 404),
        ("POST", "orchestrators/chain/x/y", 404),
        ("POST", "instances", 404),
        ("PUT", "instances", 404),
        ("POST", "instances/i", 404),
        ("PUT", "instances/i", 404),
        ("PATCH", "instances/i", 404),
        ("HEAD", "instances/i", 404),
        ("GET", "instances/i/terminate", 404),
        ("GET", "instances/i/raiseEvent/go", 404),
        ("POST", "instances/i/raiseEvent", 404),
        ("POST", "instances/i/lowerEvent/go", 404),
        ("POST", "instances/i/explode", 404),
        ("POST", "instances/i/raiseEvent/go/now", 404),
        ("GET", "makeprimary", 404),
        ("POST", "makeprimary", 200),
        ("POST", "MakePrimary", 200),
        ("GET", "", 404),
        ("GET", "elsewhere", 404),
        ("GET", "Instances/i", 202),
        ("GET", "INSTANCES/", 200),
        ("PUT", "entities/counter/a", 404),
        ("POST", "entities", 404),
        ("POST", "entities?op=explode", 404),
        ("POST", "entities/counter", 404),
        ("DELETE", "entities/counter", 404),
        ("GET", "entities/counter/a/b", 404),
    ],
)
def test_routes(method, path, status):
    assert asked(method, path).status == status


def test_a_pending_instance_is_to_be_asked_for_again():
    answer = asked("GET", "instances/i?showInput=true&taskHub=H&connection=Any&code=x")
    assert (answer.status, answer.headers["Retry-After"]) == (202, "5")
    assert answer.headers["Location"] == (
        f"{ORIGIN}{WEBHOOK_PATH}/instances/i?showInput=true&taskHub=H&connection=Any&code=x"
    )
    status = json.loads(answer.body)
    assert (status["runtimeStatus"], status["input"]) == ("Pending", {"n": 1})
    assert status["historyEvents"] is None


def test_the_history_of_an_instance_that_has_none_yet():
    assert json.loads(asked("GET", "instances/i?showHistory=True").body)["historyEvents"] == []


def test_another_hub_is_refused():
    answer = asked("GET", "instances/i?taskHub=other")
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "Message": "One or more of the arguments submitted is incorrect",
        "ExceptionMessage": "This host serves task hub 'h', not 'other'.",
        "ExceptionType": "System.ArgumentException",
        "StackTrace": None,
    }


@pytest.mark.parametrize(
    ("path", "body", "message", "reason"),
    [
        ("orchestrators/chain", b"{", "Invalid JSON content", "Invalid JSON content: "),
        ("orchestrators/chian", b"", None, "The function 'chian' doesn't exist"),
        ("orchestrators/chain/@a@b", b"", None, "starts with '@'"),
        ("orchestrators/chain/a%2Fb", b"", None, "contains '/'"),
        ("orchestrators/chain?timeout=1&pollingInterval=2", b"", None, "Total timeout 1 should"),
        (
            "instances/no/restart",
            b"",
            "InstanceId does not match a valid orchestration instance.",
            "'no'",
        ),
        ("instances/i/restart?timeout=1&pollingInterval=2", b"", None, "Total timeout 1 should"),
        ("instances/i/rewind", b"", None, "only failed ones can"),
    ],
)
def test_requests_that_are_wrong(path, body, message, reason):
    answer = asked("POST", path, body)
    error = json.loads(answer.body)
    assert answer.status == 400
    assert list(error) == ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
    assert error["Message"] == (message or "One or more of the arguments submitted is incorrect")
    assert reason in error["ExceptionMessage"]


@pytest.mark.parametrize(
    "path", ["orchestrators/chain/i", "instances/i/restart?restartWithNewInstanceId=false"]
)
def test_an_id_in_use_is_an_error_of_the_server(path):
    answer = asked("POST", path)
    assert answer.status == 500
    assert json.loads(answer.body) == {
        "Message": "Something went wrong while processing your request",
        "ExceptionMessage": TAKEN,
        "ExceptionType": "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
        "StackTrace": None,
    }


def test_an_id_in_use_is_replaced_where_any_state_may_be():
    assert asked("POST", "orchestrators/chain/i", any_state=True).status == 202


def test_a_start_answers_with_links():
    answer = asked("POST", "orchestrators/chain/j", code="K&1")
    links = json.loads(answer.body)
    assert (answer.status, answer.headers["Retry-After"]) == (202, "10")
    assert answer.headers["Location"] == links["statusQueryGetUri"]
    assert list(links) == [
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    ]
    assert all(link.endswith("&code=K%261") for key, link in links.items() if key != "id")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?timeout=0&pollingInterval=0", 202),
        ("?timeout=0.01&pollingInterval=0.01", 202),
        ("?timeout=9", 202),
        ("?pollingInterval=9", 202),
        ("?timeout=soon&pollingInterval=9", 202),
        ("?version=2.0", 202),
        ("?version=", 202),
    ],
)
@pytest.mark.parametrize("path", ["orchestrators/chain/j", "instances/i/restart"])
def test_starts_that_are_not_waited_for(path, query, status):
    assert asked("POST", f"{path}{query}").status == status


def test_the_end_of_a_wait_is_shown_as_a_status_is():
    async def conversation(call):
        start = asyncio.create_task(
            call("POST", "orchestrators/chain/j?timeout=9&pollingInterval=1&showHistory=true", b"5")
        )
        while (await call("GET", "instances/j")).status == 404:  # noqa: ASYNC110  a hub's thread
            await asyncio.sleep(0)
        await call("POST", "instances/j/terminate?reason=enough")
        return await start

    answer = talk(conversation)
    status = json.loads(answer.body)
    assert answer.status == 200
    assert (status["runtimeStatus"], status["output"], status["input"]) == (
        "Terminated",
        "enough",
        5,
    )
    assert isinstance(status["historyEvents"], list)


@pytest.mark.parametrize(
    ("trusts", "origin"), [(True, "https://shop.example/durable"), (False, ORIGIN)]
)
def test_links_honour_a_proxy_only_where_it_is_trusted(trusts, origin):
    start = asked("POST", "orchestrators/chain/j", headers=PROXY, forwarded=trusts)
    status = asked("GET", "instances/i?x=1", headers=PROXY, forwarded=trusts)
    assert start.headers["Location"].startswith(f"{origin}{WEBHOOK_PATH}/instances/j?")
    assert status.headers["Location"] == f"{origin}{WEBHOOK_PATH}/instances/i?x=1"


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        ("i", "application/json", b"1", 202),
        ("i", "application/json; charset=utf-8", b"1", 202),
        ("i", "application/json", b"", 202),
        ("i", "text/plain", b"1", 400),
        ("i", None, b"1", 400),
        ("i", "application/json", b"{", 400),
        ("no", "application/json", b"1", 404),
        ("no", "text/plain", b"1", 404),
    ],
)
def test_events(path, kind, body, status):
    headers = {} if kind is None else {"content_type": kind}
    assert asked("POST", f"instances/{path}/raiseEvent/go", body, headers=headers).status == status


def test_what_has_finished_is_gone():
    async def conversation(call):
        await call("POST", "orchestrators/chain/i")
        await call("POST", "instances/i/terminate")
        await call.hub.wait_for_completion("i")
        paths = ("terminate", "suspend", "resume", "rewind", "raiseEvent/go")
        gone = [(await call("POST", f"instances/i/{path}?reason=r")).status for path in paths]
        return gone, json.loads((await call("GET", "instances/i")).body)["output"]

    assert talk(conversation) == ([410] * 5, None)


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "rewind"])
def test_nobody_can_be_steered(operation):
    assert asked("POST", f"instances/no/{operation}").status == 404


@pytest.mark.parametrize("operation", ["Terminate", "suspend", "resume?reason={text}"])
def test_a_reason_is_optional(operation):
    assert asked("POST", f"instances/i/{operation}").status == 202


@pytest.mark.parametrize(
    "query",
    ["createdTimeFrom=01/02/2026 03:04:05", "createdTimeTo=2999-01-01", "runtimeStatus=pending,x"],
)
def test_filters_of_a_list(query):
    assert [row["instanceId"] for row in json.loads(asked("GET", f"instances?{query}").body)] == [
        "i"
    ]


@pytest.mark.parametrize(
    "query", ["createdTimeFrom=2999-01-01", "createdTimeTo=2026-01-02", "runtimeStatus=Failed"]
)
def test_filters_that_nothing_meets(query):
    assert json.loads(asked("GET", f"instances?{query}").body) == []


def test_pages_of_ids_in_any_script():
    ids = ["\u00e4", "\u4e2d", "\U0001f600"]

    async def conversation(call):
        for instance_id in ids:
            await call.client.start_new("chain", instance_id)
        found: list[str] = []
        headers: dict[str, str] = {}
        while True:
            page = await call("GET", "instances?top=1&showInput=false", **headers)
            found += [row["instanceId"] for row in json.loads(page.body)]
            if not page.headers:
                return found
            headers = {"x_ms_continuation_token": page.headers["x-ms-continuation-token"]}

    assert talk(conversation) == ids


def test_a_page_has_100_rows_unless_said_otherwise():
    async def conversation(call):
        for _ in range(101):
            await call.client.start_new("chain")
        return [
            len(json.loads((await call("GET", f"instances?top={top}")).body))
            for top in ("", "0", "-1", "x", "101", "5000")
        ]

    assert talk(conversation) == [100, 100, 100, 100, 101, 101]


@pytest.mark.parametrize("token", ["garbage", "Z2FyYmFnZQ==", "\u00e4"])
def test_an_unreadable_token_is_refused(token):
    answer = asked("GET", "instances", headers={"x_ms_continuation_token": token})
    assert answer.status == 400
    assert "no continuation token" in json.loads(answer.body)["ExceptionMessage"]


def test_purges():
    async def conversation(call):
        for instance_id in ("a", "b", "c"):
            await call("POST", f"orchestrators/chain/{instance_id}")
        for instance_id in ("a", "b"):
            await call("POST", f"instances/{instance_id}/terminate")
            await call.hub.wait_for_completion(instance_id)
        answers = [
            await call("DELETE", "instances"),
            await call("DELETE", "instances?createdTimeFrom=soon"),
            await call("DELETE", "instances?createdTimeFrom=2999-01-01"),
            await call("DELETE", "instances?createdTimeFrom=2026-01-01&createdTimeTo=2026-01-02"),
            await call("DELETE", "instances?createdTimeFrom=2026-01-01&runtimeStatus=Completed"),
            await call("DELETE", "instances/c"),
            await call("DELETE", "instances/a"),
            await call("DELETE", "instances?createdTimeFrom=2026-01-01&createdTimeTo=soon"),
            await call("DELETE", "instances/b"),
        ]
        return [(answer.status, answer.body) for answer in answers]

    required = json.dumps({"Message": "Please provide value for 'createdTimeFrom' parameter."})
    one = '{"instancesDeleted": 1}'
    assert talk(conversation) == [
        (400, required),
        (400, required),
        *[(404, None)] * 4,
        (200, one),
        (200, one),
        (404, None),
    ]


@pytest.mark.parametrize(
    "text",
    ["a/b", "a\\b", "a#b", "a?b", "a\x00", "a\x1f", "\x7f", "\x85", "@a", "x" * 257, "../x", "/"],
)
def test_ids_that_cannot_be(text):
    encoded = "".join(f"%{byte:02X}" for byte in text.encode())

    async def conversation(call):
        answers = [
            await call("POST", f"orchestrators/chain/{encoded}"),
            await call("GET", f"instances/{encoded}"),
            await call("DELETE", f"instances/{encoded}"),
            await call("POST", f"instances/{encoded}/restart"),
            await call("POST", f"instances/{encoded}/terminate"),
            await call("POST", f"instances/{encoded}/rewind"),
            await call(
                "POST", f"instances/{encoded}/raiseEvent/e", content_type="application/json"
            ),
        ]
        return [answer.status for answer in answers]

    assert talk(conversation) == [400, 404, 404, 400, 404, 404, 404]


def test_a_text_that_cannot_be_stored_is_refused(tmp_path):
    async def conversation(call):
        half = {"version": "\ud800"}
        return await call.api.answer(
            ApiRequest("POST", ("orchestrators", "chain"), half, {}, b"", f"{ORIGIN}/")
        )

    assert talk(conversation, SqliteStore(tmp_path / "h.db", "h")).status == 400


def test_a_hub_that_has_stopped_is_unavailable():
    async def conversation(call):
        await call.hub.stop()
        return await call("GET", "instances/i")

    answer = talk(conversation)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert json.loads(answer.body)["ExceptionType"] == "SchedulerUnavailableError"


def test_whatever_goes_wrong_has_the_shape_of_the_api(caplog):
    answer = asked("DELETE", "instances?createdTimeFrom=2026-01-01", clock=BrokenClock())
    assert answer.status == 500
    assert json.loads(answer.body) == {
        "Message": "Something went wrong while processing your request",
        "ExceptionMessage": "no battery",
        "ExceptionType": "RuntimeError",
        "StackTrace": None,
    }
    assert "management request failed" in caplog.text
