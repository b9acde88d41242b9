"""Rules of the management API, parameter by parameter, over a real socket with a real worker."""

import asyncio
import json
from urllib.parse import quote

import pytest

from tests.contract.host_app import APP, talk, write_app

WEBHOOK = "/runtime/webhooks/durabletask"
JSON = {"Content-Type": "application/json"}
MORE = """

@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def nothing(context):
    return None


@app.orchestration_trigger(context_name="context")
def versioned(context):
    return context.version
"""


@pytest.fixture
def folder(tmp_path):
    return write_app(tmp_path, APP + MORE)


def ask(folder, *requests, settle=()):
    """Answers of a fresh host to (method, path below the API, options), one after the other.

    Args:
        settle: what is started before, as (function, id); ``wait`` stays running.
    """

    async def conversation(host, call):
        for name, instance_id in settle:
            await call("POST", f"{WEBHOOK}/orchestrators/{name}/{instance_id}", data=b'"x"')
            status = f"{WEBHOOK}/instances/{instance_id}"
            if name == "wait":
                await shows(call, status, customStatus="waiting")
            else:
                await call.until_done(status)
        answers = []
        for method, path, *options in requests:
            answers.append(await call(method, f"{WEBHOOK}/{path}", **(options or [{}])[0]))
        return answers

    return talk(folder, conversation)


async def shows(call, url, **fields):
    """Poll a status until it has these fields."""
    async with asyncio.timeout(10):
        while True:
            answer = await call("GET", url)
            if fields.items() <= answer.json.items():
                return answer
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "body", "status", "shown"),
    [
        ("echo", b'{"a": [1.50, null]}', 200, {"a": [1.5, None]}),
        ("echo", b"\xef\xbb\xbf[1]", 200, [1]),
        ("echo", b"", 200, None),
        ("echo", b" \n", 200, None),
        ("nothing", b"1", 200, None),
        ("versioned?version=2.0", b"", 200, "2.0"),
        ("versioned", b"", 200, None),
        ("echo/my-id", b"0", 200, 0),
        ("echo/%C3%A4%20%25", b"false", 200, False),
    ],
)
def test_a_start_that_is_waited_for_answers_with_the_bare_output(folder, path, body, status, shown):
    path += ("&" if "?" in path else "?") + "timeout=10&pollingInterval=0.1"
    [answer] = ask(folder, ("POST", f"orchestrators/{path}", {"data": body}))
    assert (answer.status, answer.json) == (status, shown)
    assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 200), ("&returnInternalServerErrorOnFailure=true", 500), ("&showHistory=true", 200)],
)
def test_a_start_that_fails_while_it_is_waited_for(folder, query, status):
    path = f"orchestrators/fail?timeout=10&pollingInterval=1{query}"
    [answer] = ask(folder, ("POST", path))
    assert (answer.status, answer.json["runtimeStatus"]) == (status, "Failed")
    assert (answer.json["historyEvents"] is None) is ("History" not in query)


def test_a_restart_can_be_waited_for(folder):
    query = "restart?timeout=10&pollingInterval=1"
    new, same = ask(
        folder,
        ("POST", f"instances/e/{query}"),
        ("POST", f"instances/e/{query}&restartWithNewInstanceId=FALSE"),
        settle=[("echo", "e")],
    )
    assert (new.status, new.json) == (200, "x")
    assert (same.status, same.json) == (200, "x")


def test_a_restart_has_the_links_of_a_start(folder):
    query = "restart?restartWithNewInstanceId="
    new, same, taken = ask(
        folder,
        ("POST", f"instances/e/{query}maybe"),
        ("POST", f"instances/e/{query}false"),
        ("POST", f"instances/w/{query}false"),
        settle=[("echo", "e"), ("wait", "w")],
    )
    assert (new.status, same.status, taken.status) == (202, 202, 500)
    assert (len(new.json["id"]), same.json["id"]) == (32, "e")
    assert new.headers["Location"] == new.json["statusQueryGetUri"]
    assert taken.json["ExceptionMessage"] == (
        "An Orchestration instance with the status Running already exists."
    )


def test_a_running_instance_is_replaced_where_host_json_says_so(tmp_path):
    options = {"overridableExistingInstanceStates": "AnyState"}
    host_json = json.dumps({"version": "2.0", "extensions": {"durableTask": options}})
    write_app(tmp_path, APP + MORE, host_json)
    again, shown = ask(
        tmp_path,
        ("POST", "orchestrators/echo/w?timeout=10&pollingInterval=1", {"data": b"7"}),
        ("GET", "instances/w"),
        settle=[("wait", "w")],
    )
    assert (again.status, again.json) == (200, 7)
    assert shown.json["name"] == "echo"


@pytest.mark.parametrize(
    ("query", "status", "shown"),
    [
        ("", 200, "x"),
        ("?showInput=FALSE", 200, None),
        ("?showInput=nonsense", 200, "x"),
        ("?SHOWINPUT=false", 200, None),
        ("?returnInternalServerErrorOnFailure=true", 500, "x"),
        ("?returnInternalServerErrorOnFailure=1", 200, "x"),
        ("?connection=Other&code=any&taskHub=DEFAULT", 200, "x"),
    ],
)
def test_the_status_of_a_failed_instance(folder, query, status, shown):
    [answer] = ask(folder, ("GET", f"instances/f{query}"), settle=[("fail", "f")])
    assert (answer.status, answer.json["input"]) == (status, shown)
    assert "Location" not in answer.headers


def test_a_suspended_instance_is_not_finished(folder):
    async def conversation(host, call):
        status = f"{WEBHOOK}/instances/w"
        await call("POST", f"{WEBHOOK}/orchestrators/wait/w")
        await shows(call, status, customStatus="waiting")
        done = [(await call("POST", f"{status}/suspend")).status]
        shown = await shows(call, status, runtimeStatus="Suspended")
        done.append((await call("POST", f"{status}/terminate?reason=a%20b")).status)
        return done, shown, await call.until_done(status)

    done, shown, ended = talk(folder, conversation)
    assert done == [202, 202]
    assert (shown.status, shown.headers["Retry-After"]) == (202, "5")
    assert (ended.status, ended.json["output"]) == (200, "a b")


def test_the_body_of_an_accepted_operation_is_empty(folder):
    answers = ask(
        folder,
        ("POST", "instances/w/raiseEvent/other", {"data": b"", "headers": JSON}),
        ("POST", "instances/w/suspend"),
        ("POST", "instances/w/resume"),
        ("POST", "instances/f/rewind"),
        settle=[("wait", "w"), ("fail", "f")],
    )
    assert [(answer.status, answer.body) for answer in answers] == [(202, b"")] * 4


@pytest.mark.parametrize(
    ("body", "received"), [(b"", None), (b"null", None), (b'"t"', "t"), (b' {"a": 1}', {"a": 1})]
)
def test_what_an_event_carries(folder, body, received):
    async def conversation(host, call):
        status = f"{WEBHOOK}/instances/w"
        await call("POST", f"{WEBHOOK}/orchestrators/wait/w")
        sent = await call("POST", f"{status}/raiseEvent/go", data=body, headers=JSON)
        return sent.status, (await call.until_done(status)).json["output"]

    assert talk(folder, conversation) == (202, received)


def test_the_history_shows_what_was_asked_for(folder):
    show = "instances/g?showHistory=true"
    plain, full = ask(
        folder,
        ("GET", f"{show}&showInput=false"),
        ("GET", f"{show}&showHistoryOutput=true"),
        settle=[("greet", "g")],
    )
    keys = [set(event) - {"Timestamp"} for event in plain.json["historyEvents"]]
    assert keys == [
        {"EventType", "FunctionName", "Correlation", "ScheduledStartTime"},
        {"EventType", "FunctionName", "ScheduledTime"},
        {"EventType", "OrchestrationStatus"},
    ]
    start, task, end = full.json["historyEvents"]
    assert (start["Input"], task["Input"]) == ('"x"', '"x"')
    assert (task["Result"], end["Result"]) == ("Hello x!", "Hello x!")


def test_a_history_with_a_result_of_any_depth(folder):
    deep = "[" * 899 + "]" * 899
    query = "timeout=10&pollingInterval=1&showHistory=true&showHistoryOutput=true"
    _, shown = ask(
        folder,
        ("POST", f"orchestrators/echo/d?{query}", {"data": deep}),
        ("GET", f"instances/d?{query}"),
    )
    assert shown.status == 200
    assert f'"Result":{deep}'.encode() in shown.body


DATES = [
    "2026-01-02T03:04:05.6789012Z",
    "2026-01-02",
    "01/02/2026 03:04:05",
    "2026-01-02T03:04:05+00:00",
]


@pytest.mark.parametrize("date", DATES)
def test_dates_that_filter(folder, date):
    encoded = quote(date, safe="+")
    since, until, gone = ask(
        folder,
        ("GET", f"instances?createdTimeFrom={encoded}"),
        ("GET", f"instances?createdTimeTo={encoded}"),
        ("DELETE", f"instances?createdTimeFrom={encoded}"),
        settle=[("echo", "e")],
    )
    assert ([row["instanceId"] for row in since.json], until.json) == (["e"], [])
    assert (gone.status, gone.json) == (200, {"instancesDeleted": 1})


@pytest.mark.parametrize(
    "query",
    [
        "createdTimeFrom=yesterday",
        "createdTimeTo=31/31/2026",
        "runtimeStatus=nonsense",
        "top=many",
        "showInput=maybe",
        "instanceIdPrefix=",
        "runtimeStatus=Completed&runtimeStatus=Running",
    ],
)
def test_what_cannot_be_parsed_filters_nothing(folder, query):
    [rows] = ask(folder, ("GET", f"instances/?{query}"), settle=[("echo", "e"), ("wait", "w")])
    assert [row["instanceId"] for row in rows.json] == ["e", "w"]


def test_pages_follow_each_other_through_the_header(folder):
    async def conversation(host, call):
        ids = [f"\u00e4{number}" for number in range(3)]
        for instance_id in ids:
            await call("POST", f"{WEBHOOK}/orchestrators/echo/{quote(instance_id)}")
        found, headers = [], {"x-ms-continuation-token": ""}
        for _ in range(3):
            page = await call("GET", f"{WEBHOOK}/instances?top=1", headers=headers)
            found += [row["instanceId"] for row in page.json]
            headers = {"x-ms-continuation-token": page.headers.get("x-ms-continuation-token", "")}
        return found == ids, headers

    assert talk(folder, conversation) == (True, {"x-ms-continuation-token": ""})


@pytest.mark.parametrize("token", ["garbage", "AAAA", "eA=="])
def test_an_unreadable_token_is_refused(folder, token):
    [answer] = ask(folder, ("GET", "instances", {"headers": {"x-ms-continuation-token": token}}))
    assert answer.status == 400
    assert "continuation token" in answer.json["ExceptionMessage"]


@pytest.mark.parametrize(
    "encoded",
    [
        "a%2Fb",
        "%2Fa",
        "a%5Cb",
        "a%23b",
        "a%3Fb",
        "a%0D%0Ab",
        "%7F",
        "%C2%85",
        "%40counter%40a",
        "..%2F..%2Fetc%2Fpasswd",
        "x" * 257,
    ],
)
def test_ids_that_cannot_be(folder, encoded):
    answers = ask(
        folder,
        ("POST", f"orchestrators/echo/{encoded}"),
        ("GET", f"instances/{encoded}"),
        ("DELETE", f"instances/{encoded}"),
        ("POST", f"instances/{encoded}/terminate"),
        ("POST", f"instances/{encoded}/restart"),
        ("POST", f"instances/{encoded}/raiseEvent/go", {"data": b"1", "headers": JSON}),
        ("GET", "instances"),
    )
    assert [answer.status for answer in answers] == [400, 404, 404, 404, 400, 404, 200]
    assert answers[-1].json == []


def test_a_null_character_goes_no_further_than_the_server(folder):
    answers = ask(folder, ("POST", "orchestrators/echo/a%00"), ("GET", "instances/a%00"))
    assert [answer.status for answer in answers] == [400, 400]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "orchestrators/echo"),
        ("PUT", "instances/e"),
        ("POST", "instances/e"),
        ("POST", "instances"),
        ("PATCH", "instances/e"),
        ("GET", "instances/e/terminate"),
        ("DELETE", "instances/e/raiseEvent/go"),
        ("GET", "makeprimary"),
        ("POST", "elsewhere"),
    ],
)
def test_wrong_methods_and_unknown_routes_are_not_found(folder, method, path):
    wrong, right = ask(folder, (method, path), ("POST", "makeprimary"))
    assert (wrong.status, wrong.body) == (404, b"")
    assert (right.status, right.body) == (200, b"")


@pytest.mark.parametrize(
    ("trusts", "begins"), [(True, "https://shop.example/d/"), (False, "http://")]
)
def test_links_behind_a_proxy(tmp_path, trusts, begins):
    options = {"httpSettings": {"useForwardedHost": trusts}}
    host_json = json.dumps({"version": "2.0", "extensions": {"durableTask": options}})
    write_app(tmp_path, APP + MORE, host_json)
    proxy = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Prefix": "/d",
    }
    started, shown = ask(
        tmp_path,
        ("POST", "orchestrators/wait/w", {"headers": proxy}),
        ("GET", "instances/w", {"headers": proxy}),
    )
    assert started.json["terminatePostUri"].startswith(begins)
    assert started.headers["Location"].startswith(begins)
    assert shown.headers["Location"].startswith(begins)
    assert ("shop.example" in shown.headers["Location"]) is trusts


def test_links_carry_the_key_where_keys_are_asked_for(folder):
    async def conversation(host, call):
        links = host.client.create_http_management_payload("none")
        start = links["statusQueryGetUri"].replace("instances/none", "orchestrators/echo/e")
        without = await call("GET", f"{WEBHOOK}/instances/e")
        started = await call("POST", start)
        return without, started, await call.until_done(started.json["statusQueryGetUri"])

    without, started, done = talk(folder, conversation, enable_auth=True)
    assert (without.status, started.status, done.status) == (401, 202, 200)
    assert all("&code=" in url for key, url in started.json.items() if key != "id")
