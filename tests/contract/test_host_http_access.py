"""CORS, keys, foreign hosts and sites, over real sockets."""

import asyncio

import pytest
from aiohttp import web

from durable_app.host.state import HostState
from durable_app.host.web.access import Access
from durable_app.host.web.cors import cors_policy
from durable_app.host.web.keys import Keys
from tests.contract.http_edge import edge

ORIGIN = "http://localhost:3000"
INSTANCES = "/runtime/webhooks/durabletask/instances"
STATUS = "/admin/host/status"
APIS = (INSTANCES, STATUS)
LEVELS = {"api/open": "ANONYMOUS", "api/mine": "FUNCTION", "api/admin": "ADMIN"}
ALLOW = "access-control-allow-origin"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-a",
}


async def seen(req):
    return web.Response(text=f"{req.method} {req.params.get('code', '')}")


def asked(*requests, access=None, **options):
    """One answer per request, each with method, path and headers."""

    async def main():
        functions = dict.fromkeys(LEVELS, seen)
        async with edge(functions, access=access, levels=LEVELS, **options) as server:
            return [await server.ask(*request) for request in requests]

    return asyncio.run(main())


@pytest.fixture
def keys():
    state = HostState(None)
    yield Keys(state)
    state.close()


# -- CORS -------------------------------------------------------------------------------------


def test_without_cors_a_preflight_is_a_request_like_others():
    function, api = asked(("OPTIONS", "/api/open", PREFLIGHT), ("OPTIONS", STATUS, PREFLIGHT))
    assert (function.status, function.body) == (200, b"OPTIONS ")
    assert ALLOW not in function.headers
    assert api.status == 403


def test_a_preflight_is_answered_for_functions_and_apis_alike():
    access = Access(cors=cors_policy(ORIGIN, credentials=True))
    paths = ("/api/open", "/api/admin", "/api/none", *APIS)
    for found in asked(*(("OPTIONS", path, PREFLIGHT) for path in paths), access=access):
        assert (found.status, found.body) == (204, b"")
        assert found.headers[ALLOW] == ORIGIN
        assert found.headers["access-control-allow-methods"] == "POST"
        assert found.headers["access-control-allow-headers"] == "x-a"
        assert found.headers["access-control-allow-credentials"] == "true"
        assert found.headers["vary"] == "Origin"


def test_every_answer_to_an_allowed_origin_says_so():
    access = Access(cors=cors_policy(ORIGIN))
    paths = ("/api/open", "/api/none", "/", *APIS)
    for found in asked(*(("GET", path, {"Origin": ORIGIN}) for path in paths), access=access):
        assert found.status in {200, 404}
        assert found.headers[ALLOW] == ORIGIN


def test_pages_of_other_sites_call_functions_only():
    access = Access(cors=cors_policy(ORIGIN))
    evil = {"Origin": "http://evil.example"}
    function, *apis = asked(*(("GET", path, evil) for path in ("/api/open", *APIS)), access=access)
    assert function.status == 200
    assert ALLOW not in function.headers
    assert [found.status for found in apis] == [403, 403]
    assert b"Requests from http://evil.example are refused here" in apis[0].body


def test_what_an_answer_says_itself_is_kept():
    async def own(req):
        return web.Response(headers={"Access-Control-Allow-Origin": "https://own.example"})

    async def main():
        access = Access(cors=cors_policy("*"))
        async with edge({"api/own": own}, access=access, custom_headers={"X-C": "1"}) as server:
            return await server.ask("GET", "/api/own", {"Origin": ORIGIN})

    found = asyncio.run(main())
    assert found.headers[ALLOW] == "https://own.example"
    assert found.headers["x-c"] == "1"


# -- foreign hosts and sites ------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_strangers_do_not_reach_the_hosts_own_apis(headers):
    function, *apis = asked(*(("GET", path, headers) for path in ("/api/open", *APIS)))
    assert function.status == 200
    assert [found.status for found in apis] == [403, 403]


def test_names_of_this_machine_do():
    hosts = ("localhost", "127.0.0.1:7071", "[::1]:7071", "my.example:7071")
    access = Access(hosts=frozenset({"my.example"}))
    found = asked(*(("GET", STATUS, {"Host": host}) for host in hosts), access=access)
    assert [answer.status for answer in found] == [200] * 4


# -- keys -------------------------------------------------------------------------------------


def test_without_enable_auth_everything_is_open():
    paths = ("/api/open", "/api/mine", "/api/admin", *APIS)
    assert {found.status for found in asked(*(("GET", path) for path in paths))} == {200}


def test_with_enable_auth_each_route_needs_its_key(keys):
    paths = ("/api/open", "/api/mine", "/api/admin", *APIS)
    presented = {
        "none": "",
        "wrong": "wrong",
        "own": keys.function("api/mine"),
        "host": keys.host(),
        "system": keys.system("durabletask_extension"),
        "master": keys.master(),
    }
    requests = [
        ("GET", path, {"x-functions-key": key}) for key in presented.values() for path in paths
    ]
    found = iter(asked(*requests, access=Access(keys=keys)))
    opened = {who: [next(found).status for _ in paths] for who in presented}
    assert opened == {
        "none": [200, 401, 401, 401, 401],
        "wrong": [200, 401, 401, 401, 401],
        "own": [200, 200, 401, 401, 401],
        "host": [200, 200, 401, 401, 401],
        "system": [200, 401, 401, 200, 401],
        "master": [200, 200, 200, 200, 200],
    }


def test_a_function_has_its_key_before_anybody_asks(keys):
    asked(access=Access(keys=keys))
    assert [len(keys.list(f"function:{name}")) for name in LEVELS] == [1, 1, 1]


def test_a_key_may_stand_in_the_query_and_is_left_there(keys):
    key = keys.function("api/mine")
    right, wrong = asked(
        ("GET", f"/api/mine?code={key}"),
        ("GET", "/api/mine?code=wrong"),
        access=Access(keys=keys),
    )
    assert right.body == f"GET {key}".encode()
    assert (wrong.status, wrong.body) == (401, b"")


def test_who_has_no_key_is_told_nothing_of_what_is_there(keys):
    unknown, known = asked(
        ("GET", "/runtime/webhooks/other"), ("GET", INSTANCES), access=Access(keys=keys)
    )
    assert (unknown.status, known.status) == (404, 401)
    assert unknown.body == known.body == b""


def test_a_host_without_an_admin_api_has_nothing_there():
    async def main():
        async with edge() as server:
            server.server._admin = None
            return (await server.ask("GET", STATUS)).status

    assert asyncio.run(main()) == 404
