"""Entities behind a real socket: the routes, the clients of functions, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json

import pytest

from durable_app.cli.main import main
from tests.contract.host_app import talk, write_app

WEBHOOK = "/runtime/webhooks/durabletask"
ENTITIES = """
import azure.functions as func
import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.entity_trigger(context_name="context")
def Counter(context):
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
    elif context.operation_name == "reset":
        total = 0
    elif context.operation_name == "delete":
        context.destruct_on_exit()
        return
    else:
        total = context.get_input()
    context.set_state(total)


def meant(req):
    return df.EntityId("counter", req.route_params["key"])


@app.route("add/{key}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def add(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    await client.signal_entity(meant(req), "add", req.get_json())
    return "stored"


@app.route("total/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def total(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    old = await client.read_entity_state(meant(req))
    new = await client.get_entity(meant(req))
    listed = [each.get_typed_state(int) for each in await client.get_all_entities()]
    return f"{old.entity_exists} {old.entity_state} {new and new.get_state()} {listed}"


@app.route("sync/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
def total_sync(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> str:
    client.signal_entity(df.EntityId("counter", "other"), "reset")
    return f"{client.read_entity_state(meant(req)).entity_state}"
"""


@pytest.fixture
def folder(tmp_path):
    return write_app(tmp_path, ENTITIES)


async def state_of(call, path, wanted):
    """The answer for an entity, once its state is ``wanted``; None for "has none"."""
    async with asyncio.timeout(10):
        while True:
            answer = await call("GET", f"{WEBHOOK}/{path}")
            if (answer.json if answer.status == 200 else None) == wanted:
                return answer
            await asyncio.sleep(0.005)


def test_an_entity_lives_over_http(folder):
    async def conversation(host, call):
        path = "entities/counter/a%2Fb%20%C3%A9"
        posts = [
            await call("POST", f"{WEBHOOK}/{path}?op=add", json=2),
            await call("POST", f"{WEBHOOK}/{path}?op=add", json=3),
        ]
        state = await state_of(call, path, 5)
        listed = await call("GET", f"{WEBHOOK}/entities/COUNTER?fetchState=true&top=1")
        await call("POST", f"{WEBHOOK}/{path}?op=reset")
        await state_of(call, path, 0)
        posts.append(await call("POST", f"{WEBHOOK}/{path}?op=keep", data="as text"))
        await state_of(call, path, "as text")
        posts.append(await call("DELETE", f"{WEBHOOK}/{path}"))
        gone = await state_of(call, path, None)
        cleaned = await call("POST", f"{WEBHOOK}/entities?op=clean")
        return posts, state, listed, gone, cleaned

    posts, state, listed, gone, cleaned = talk(folder, conversation)
    assert [(answer.status, answer.body) for answer in posts] == [(202, b"")] * 4
    assert state.headers["Content-Type"].startswith("application/json")
    (row,) = listed.json
    assert (row["entityId"], row["state"]) == ({"name": "counter", "key": "a/b é"}, 5)
    assert (gone.status, gone.body) == (404, b"")
    assert cleaned.json == {"emptyEntitiesRemoved": 1, "orphanedLocksReleased": 0}


def test_clients_of_functions_signal_and_read(folder):
    async def conversation(host, call):
        before = await call("GET", "/api/total/k")
        for number in (1, 2, 4):
            assert (await call("POST", "/api/add/k", json=number)).status == 200
        await state_of(call, "entities/counter/k", 7)
        after = await call("GET", "/api/total/k"), await call("GET", "/api/sync/k")
        await state_of(call, "entities/counter/other", 0)
        return [answer.body for answer in (before, *after)]

    assert talk(folder, conversation) == [b"False None None []", b"True 7 7 [7]", b"7"]


def test_what_the_app_does_not_have_is_refused(folder):
    async def conversation(host, call):
        return [
            await call("POST", f"{WEBHOOK}/entities/cuonter/a?op=add", json=1),
            await call("POST", f"{WEBHOOK}/orchestrators/counter/@counter@a"),
            await call("GET", f"{WEBHOOK}/instances/@counter@a"),
            await call("GET", f"{WEBHOOK}/entities/counter/$"),
        ]

    answers = talk(folder, conversation)
    assert [answer.status for answer in answers] == [400, 400, 404, 404]
    assert "'cuonter' doesn't exist" in answers[0].json["ExceptionMessage"]


def test_commands_reach_the_entities_of_a_host(folder):
    def func(*arguments):
        told = io.StringIO()
        where = ("--script-root", str(folder))
        with contextlib.redirect_stdout(told):
            code = main(["durable", *arguments, "--json", *where])
        assert code == 0
        return json.loads(told.getvalue())

    async def conversation(host, call):
        meant = ("--name", "Counter", "--key", "a/b %")
        signal = ("signal-entity", *meant, "--operation", "add", "--input", "4")
        await asyncio.to_thread(func, *signal)
        await state_of(call, "entities/counter/a%2Fb%20%25", 4)
        return [
            await asyncio.to_thread(func, "read-entity", *meant),
            await asyncio.to_thread(func, "get-entities", "--show-state"),
            await asyncio.to_thread(func, "clean-entities"),
        ]

    read, listed, cleaned = talk(folder, conversation, store=None)
    assert read["state"] == 4
    assert [row["state"] for row in listed["entities"]] == [4]
    assert cleaned == {"emptyEntitiesRemoved": 0, "orphanedLocksReleased": 0}
