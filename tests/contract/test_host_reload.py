"""Loading an app again: whatever its import does, the host and the app before go on."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import threading
from typing import Any

import pytest

from durable_app.compose import reload
from durable_app.compose.host import RunningHost
from durable_app.errors import StoreUnavailableError
from durable_app.host import state
from durable_app.host.web.keys import Keys
from tests.contract.host_app import APP, Caller, serving, talk, until, write_app

WORD = """

@app.route(route="word")
def word(req: func.HttpRequest) -> str:
    return "{word}"
"""
ONE, TWO = (APP + WORD.format(word=word) for word in ("one", "two"))
# Of the test, which lets an import end through it.
GATES: dict[str, threading.Event] = {}
RUNS: list[str] = []
HOLDS = """
from tests.contract.test_host_reload import GATES, RUNS

@app.orchestration_trigger(context_name="context")
def holds(context):
    yield context.call_activity("held", "a parcel")

@app.activity_trigger(input_name="what")
def held(what):
    RUNS.append(what)
    GATES["begun"].set()
    GATES["end"].wait(20)
"""
WAITS = """
from tests.contract.test_host_reload import GATES
GATES["begun"].set()
GATES["end"].wait(20)
"""


@pytest.fixture
def gates():
    GATES.update(begun=threading.Event(), end=threading.Event())
    yield GATES
    GATES["end"].set()


@pytest.mark.parametrize(
    "broken",
    [
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "raise SystemExit(3)",
        "import asyncio\nraise asyncio.CancelledError",
        "class Odd:\n    @property\n    def __class__(self): raise RuntimeError\nodd = Odd()",
    ],
)
def test_an_import_that_fails_in_any_way_changes_nothing(tmp_path, broken):
    folder = write_app(tmp_path, ONE)

    async def conversation(_host: RunningHost, call: Caller) -> list[Any]:
        write_app(folder, f"{TWO}\n{broken}\n")
        refused = await call("POST", "/admin/host/restart")
        before = await call("GET", "/api/word")
        write_app(folder, TWO)
        taken = await call("POST", "/admin/host/restart")
        return [refused.status, before.body, taken.status, (await call("GET", "/api/word")).body]

    assert talk(folder, conversation) == [500, b"one", 200, b"two"]


def test_an_import_that_does_not_end_is_told_and_keeps_nothing_from_its_end(
    tmp_path, gates, monkeypatch
):
    monkeypatch.setattr(reload, "_SLOW_S", 0.01)
    folder, console = write_app(tmp_path, ONE), io.StringIO()

    async def main() -> bytes:
        async with serving(folder, console, watch=True) as (_, call):
            text = TWO + WAITS
            for number in range(100):  # the watch may not have begun yet
                write_app(folder, f"{text}# {number}")
                if await asyncio.to_thread(gates["begun"].wait, 0.5):
                    break
            await until(lambda: "what is saved meanwhile waits" in console.getvalue())
            return (await call("GET", "/api/word")).body

    assert asyncio.run(main()) == b"one"


def test_an_app_whose_keys_cannot_be_kept_does_not_take_over(tmp_path, monkeypatch):
    folder = write_app(tmp_path, ONE)

    def full(_keys: Keys, _functions: object) -> None:
        raise StoreUnavailableError("The disk is full.")

    async def conversation(host: RunningHost, call: Caller) -> list[Any]:
        write_app(folder, TWO)
        with monkeypatch.context() as broken:
            broken.setattr(Keys, "make", full)
            refused = await call("POST", "/admin/host/restart", headers=key)
        links = (await call("POST", "/api/start/greet", data=b'"Bob"', headers=key)).json
        done = await call.until_done(links["statusQueryGetUri"])
        word = await call("GET", "/api/word", headers=key)
        return [refused.status, done.json["output"], word.body]

    key = {"x-functions-key": "m"}
    monkeypatch.setattr(Keys, "master", lambda _keys: "m")
    assert talk(folder, conversation, enable_auth=True) == [500, "Hello Bob!", b"one"]


TICKS = """

@app.timer_trigger(arg_name="tick", schedule="0 0 0 1 1 *")
def yearly(tick: func.TimerRequest) -> None: ...
"""


def test_a_state_that_is_locked_keeps_the_load_before(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_BUSY_TIMEOUT_S", 0.05)
    folder, console = write_app(tmp_path, ONE), io.StringIO()

    async def conversation(host: RunningHost, call: Caller) -> list[Any]:
        write_app(folder, TWO + TICKS)
        somebody = sqlite3.connect(folder / ".durable" / "host.db", isolation_level=None)
        somebody.execute("BEGIN EXCLUSIVE")
        refused = await call("POST", "/admin/host/restart")
        before = (await call("GET", "/api/word")).body
        somebody.execute("ROLLBACK")
        somebody.close()
        taken = await call("POST", "/admin/host/restart")
        host.console.flush()
        return [refused.status, before, taken.status, (await call("GET", "/api/word")).body]

    talked = talk(folder, conversation, stream=console, store=None)
    assert talked == [500, b"one", 200, b"two"]
    assert "cannot be used: database is locked. End the program that holds it." in (
        console.getvalue()
    )
    assert "The app was not loaded again; the one before goes on." in console.getvalue()


def test_what_an_earlier_load_runs_may_end_before_the_host_does(tmp_path, gates):
    folder = write_app(tmp_path, ONE + HOLDS)
    RUNS.clear()

    async def conversation(_host: RunningHost, call: Caller) -> int:
        await call("POST", "/api/start/holds")
        assert await asyncio.to_thread(gates["begun"].wait, 10)
        restarted = await call("POST", "/admin/host/restart")
        threading.Timer(0.2, gates["end"].set).start()
        return restarted.status

    assert talk(folder, conversation) == 200
    assert RUNS == ["a parcel"]


def test_a_host_that_has_loaded_again_leaves_no_thread_behind(tmp_path):
    folder, before = write_app(tmp_path, ONE), set(threading.enumerate())

    async def conversation(_host: RunningHost, call: Caller) -> int:
        return (await call("POST", "/admin/host/restart")).status

    assert talk(folder, conversation) == 200
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
