"""The entity routes of the management API."""

import json
from datetime import datetime

import pytest

from durable_app.entity_id import EntityId
from tests.unit.client.entity_rig import Keeper, eventually, settled
from tests.unit.host.api.rig import talk

JSON = {"content_type": "application/json; charset=utf-8"}
ODD_KEY = "a/b\\c#d?e%f@g é\x01"


def encoded(key):
    return "".join(f"%{byte:02X}" for byte in key.encode())


def with_keeper(conversation, **options):
    async def main(call):
        Keeper(call.hub)
        return await conversation(call)

    return talk(main, **options)


async def put(call, key, value):
    """Give ``@counter@key`` a state."""
    await call(
        "POST", f"entities/counter/{encoded(key)}?op=set", json.dumps(value).encode(), **JSON
    )
    await settled(call.hub, EntityId("counter", key))


def state_after(path, body=b"", **headers):
    """State of ``@counter@a`` after one request."""

    async def conversation(call):
        answer = await call("POST", path, body, **headers)
        assert (answer.status, answer.body) == (202, None)
        await settled(call.hub, EntityId("counter", "a"))
        return json.loads((await call("GET", "entities/counter/a")).body)

    return with_keeper(conversation)


@pytest.mark.parametrize(
    ("body", "headers", "value"),
    [
        (b'{"n": 1}', JSON, {"n": 1}),
        (b"0", JSON, 0),
        (b'"text"', {"content_type": "Application/JSON"}, "text"),
        (b" ", JSON, None),
        (b'{"n": 1}', {}, '{"n": 1}'),
        (b"5", {"content_type": "text/plain"}, "5"),
        ("\ufeffgrün".encode(), {"content_type": "text/plain"}, "grün"),
        (b"", {}, None),
    ],
)
def test_the_type_of_a_body_decides_what_the_input_is(body, headers, value):
    assert state_after("entities/counter/a?op=say", body, **headers) == [["say", value]]


def test_without_an_operation_its_name_is_empty():
    assert state_after("entities/counter/a") == [["", None]]


def test_the_case_of_names_does_not_matter():
    assert state_after("Entities/COUNTER/a?Op=Say&taskHub=H") == [["Say", None]]


@pytest.mark.parametrize(
    ("path", "body", "headers", "reason"),
    [
        ("entities/counter/a?op=say", b"{", JSON, "Invalid JSON content"),
        ("entities/counter/a?op=say", b"\xff", {}, "neither JSON nor a text in UTF-8"),
        ("entities/nobody/a?op=say", b"", {}, "'nobody' doesn't exist"),
        ("entities/n%40x/a?op=say", b"", {}, "has no '@'"),
        ("entities/counter/a?op=say&taskHub=other", b"", {}, "not 'other'"),
    ],
)
def test_what_cannot_be_signalled(path, body, headers, reason):
    async def conversation(call):
        answer = await call("POST", path, body, **headers)
        return answer, await call("GET", "entities")

    answer, listed = with_keeper(conversation)
    assert answer.status == 400
    assert reason in json.loads(answer.body)["ExceptionMessage"]
    assert listed.body == "[]"


@pytest.mark.parametrize("value", [0, False, None, "", {"n": 1}])
def test_a_state_is_the_bare_body(value):
    async def conversation(call):
        await put(call, "a", value)
        return await call("GET", "entities/Counter/a")

    answer = with_keeper(conversation)
    assert (answer.status, answer.body) == (200, json.dumps(value))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "entities/counter/b", 404),
        ("GET", "entities/counter/A", 404),
        ("GET", "entities/nobody/a", 404),
        ("GET", "entities/counter/$", 404),
        ("GET", "entities/counter/%24", 404),
        ("POST", "entities/counter/$?op=say", 404),
        ("DELETE", "entities/counter/$", 404),
        ("GET", "instances/@counter@a", 404),
        ("POST", "instances/@counter@a/terminate", 404),
        ("DELETE", "instances/@counter@a", 404),
        ("POST", "orchestrators/chain/@counter@a", 400),
    ],
)
def test_what_is_not_there(method, path, status):
    async def conversation(call):
        await put(call, "a", 1)
        answer = await call(method, path)
        return answer, await call("GET", "instances"), await call("GET", "entities/counter/a")

    answer, instances, entity = with_keeper(conversation)
    assert answer.status == status
    assert (instances.body, entity.body) == ("[]", "1")


def test_keys_may_have_any_characters():
    async def conversation(call):
        await put(call, ODD_KEY, 1)
        state = await call("GET", f"entities/counter/{encoded(ODD_KEY)}")
        return state, json.loads((await call("GET", "entities/counter")).body)

    state, (row,) = with_keeper(conversation)
    assert state.body == "1"
    assert row["entityId"] == {"name": "counter", "key": ODD_KEY}


def test_delete_is_an_operation():
    async def conversation(call):
        await put(call, "a", 1)
        answer = await call("DELETE", "entities/counter/a")
        await eventually(lambda: gone(call))
        return answer

    async def gone(call):
        return (await call("GET", "entities/counter/a")).status == 404

    assert with_keeper(conversation).status == 202


def test_a_row_of_a_list():
    async def conversation(call):
        await put(call, "a", {"n": 1})
        paths = ("entities", "entities?fetchState=true", "entities?fetchState=perhaps")
        return [json.loads((await call("GET", path)).body) for path in paths]

    bare, full, unclear = with_keeper(conversation)
    assert bare == unclear
    assert set(full[0]) == {"entityId", "lastOperationTime", "state"}
    assert (bare[0]["state"], full[0]["state"]) == (None, {"n": 1})
    assert datetime.fromisoformat(full[0]["lastOperationTime"]).tzinfo is not None


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("entities", ["a", "b", "c"]),
        ("entities/COUNTER", ["a", "b", "c"]),
        ("entities/count", []),
        ("entities?lastOperationTimeFrom=2020-01-01T00:00:00Z", ["a", "b", "c"]),
        ("entities?lastOperationTimeTo=2020-01-01", []),
        ("entities?lastOperationTimeFrom=9999-01-01", []),
        ("entities?lastOperationTimeTo=nonsense&top=nonsense", ["a", "b", "c"]),
        ("entities?top=2", ["a", "b"]),
    ],
)
def test_lists_are_filtered(path, keys):
    async def conversation(call):
        for key in ("c", "a", "b"):
            await put(call, key, key)
        return json.loads((await call("GET", path)).body)

    assert [row["entityId"]["key"] for row in with_keeper(conversation)] == keys


def test_lists_go_on_where_they_ended():
    async def conversation(call):
        for key in ("c", "ä", "b"):
            await put(call, key, key)
        keys: list[str] = []
        headers: dict[str, str] = {}
        while True:
            answer = await call("GET", "entities/counter?top=1", **headers)
            keys += [row["entityId"]["key"] for row in json.loads(answer.body)]
            token = answer.headers.get("x-ms-continuation-token")
            if token is None:
                return keys, await call("GET", "entities", x_ms_continuation_token="?")
            headers = {"x_ms_continuation_token": token}

    keys, refused = with_keeper(conversation)
    assert keys == ["b", "c", "ä"]
    assert refused.status == 400


def test_what_is_left_of_empty_entities_is_cleaned_away():
    async def conversation(call):
        await put(call, "a", 1)
        await call("DELETE", "entities/counter/a")
        await eventually(lambda: gone(call))
        keeping = "entities?op=clean&removeEmptyEntities=false&releaseOrphanedLocks=false"
        return [
            json.loads((await call("POST", path)).body)
            for path in (keeping, "entities?op=Clean", "entities?op=clean")
        ]

    async def gone(call):
        return (await call("GET", "entities/counter/a")).status == 404

    nothing = {"emptyEntitiesRemoved": 0, "orphanedLocksReleased": 0}
    assert with_keeper(conversation) == [
        nothing,
        {**nothing, "emptyEntitiesRemoved": 1},
        nothing,
    ]
