"""The way to a task hub: the host that the lock file names, or the database itself."""

import asyncio
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from durable_app.compose import management
from durable_app.compose.management import (
    HubPlace,
    RemotePlace,
    delete_task_hub,
    locate_hub,
    open_management,
    reason_of,
)
from durable_app.errors import ConfigError, SchedulerUnavailableError
from durable_app.host.api.exchange import Answer
from durable_app.host.config.hub_choice import memory_mark
from durable_app.host.state import HostState
from durable_app.host.web.keys import DURABLE_EXTENSION, Keys
from durable_app.storage.ownership import FileOwnership, HostMark, owner_of
from durable_app.storage.sqlite import SqliteStore
from tests.unit.cli.rig import make_hub, write_app


@pytest.fixture
def place(tmp_path):
    folder = write_app(tmp_path / "app")
    make_hub(folder / ".durable" / "default.db")
    return locate_hub(folder, {})


class _Server(ThreadingHTTPServer):
    key: str | None = None


class _Requests(BaseHTTPRequestHandler):
    """Answers with what it was asked; demands a key where its server has one."""

    def _answer(self):
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        wanted = getattr(self.server, "key", None)
        self.send_response(401 if wanted and query.get("code") != wanted else 200)
        told = [self.command, url.path, query, body, self.headers.get("Content-Type")]
        text = json.dumps(told).encode()
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Ms-Continuation-Token", "next")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  names of http.server

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = _Server(("127.0.0.1", 0), _Requests)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def owned(place, url):
    """A database that a process uses which serves there."""
    ownership = FileOwnership(place.database)
    ownership.take()
    ownership.announce(url)
    try:
        yield
    finally:
        ownership.release()


def url_of(server):
    return f"http://127.0.0.1:{server.server_port}"


def ask(place, *request):
    async def run():
        async with open_management(place) as call:
            return call.host, await call(*request)

    return asyncio.run(run())


def test_the_database_answers_where_no_host_runs(place):
    host, answer = ask(place, "GET", ("instances",))
    assert (host, answer.status, answer.body) == (None, 200, "[]")


def test_header_names_are_in_lower_case(place):
    async def run():
        async with open_management(place) as call:
            for _ in range(2):
                await call("POST", ("orchestrators", "f"))
            return await call("GET", ("instances",), {"top": "1"})

    assert "x-ms-continuation-token" in asyncio.run(run()).headers


def test_a_running_host_is_asked(place, server):
    with owned(place, url_of(server)):
        host, answer = ask(place, "POST", ("instances", "a/b ä", "x"), {"reason": "a&b"}, b"[1]")
    assert host == url_of(server)
    assert answer.headers["x-ms-continuation-token"] == "next"
    assert json.loads(answer.body) == [
        "POST",
        "/runtime/webhooks/durabletask/instances/a%2Fb%20%C3%A4/x",
        {"reason": "a&b", "taskHub": "default"},
        "[1]",
        "application/json",
    ]


def test_a_key_is_presented_where_the_host_demands_one(place, server):
    state = HostState(place.state)
    server.key = Keys(state).system(DURABLE_EXTENSION)
    state.close()
    with owned(place, url_of(server)):
        _, answer = ask(place, "GET", ("instances",))
    assert answer.status == 200


def test_a_key_that_is_refused_is_not_tried_again(place, server):
    server.key = "another"
    with owned(place, url_of(server)):
        _, answer = ask(place, "GET", ("instances",))
    assert answer.status == 401


def test_a_lock_that_a_dead_process_left_behind_means_nothing(place, server):
    lock = place.database.with_name("default.db.lock")
    lock.write_text(json.dumps({"pid": 1, "url": url_of(server)}))
    assert ask(place, "GET", ("instances",))[0] is None


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(management, "PATIENCE_S", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_host_that_hangs_is_named(place, server):
    with owned(place, url_of(server)):
        server.shutdown()  # connections are taken by the system, and nobody answers
        with pytest.raises(SchedulerUnavailableError, match=r"process \d+ \(http.*not answer"):
            ask(place, "GET", ("instances",))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
def test_a_host_that_does_not_serve_yet_is_waited_for(place, url):
    with owned(place, url), pytest.raises(SchedulerUnavailableError, match=r"in use by process"):
        ask(place, "GET", ("instances",))


@pytest.mark.usefixtures("impatient")
def test_an_owner_that_tells_nothing_is_another_process(place):
    with owned(place, None):
        place.database.with_name("default.db.lock").write_text("?")
        with pytest.raises(SchedulerUnavailableError, match="in use by another process"):
            ask(place, "GET", ("instances",))


@pytest.mark.usefixtures("impatient")
def test_an_owner_that_has_told_nothing_yet_is_waited_for(place):
    with owned(place, None):
        place.database.with_name("default.db.lock").write_text("")
        with pytest.raises((ConfigError, SchedulerUnavailableError), match="in use by"):
            ask(place, "GET", ("instances",))


def test_a_host_that_starts_at_the_same_moment_is_asked(place, server, monkeypatch):
    looked: list[Path] = []

    def nobody_at_first(database):
        looked.append(database)
        return owner_of(database) if len(looked) > 1 else None

    monkeypatch.setattr(management, "owner_of", nobody_at_first)
    with owned(place, url_of(server)):
        host, _ = ask(place, "GET", ("instances",))
    assert host == url_of(server)


def test_a_host_that_ends_meanwhile_is_said(place, server):
    async def run():
        async with open_management(place) as call:
            server.shutdown()
            server.server_close()
            await call("GET", ("instances",))

    with (
        owned(place, url_of(server)),
        pytest.raises(SchedulerUnavailableError, match="does not answer any more"),
    ):
        asyncio.run(run())


def test_tls_is_spoken_where_the_host_does(place, server):
    # It does not: the refusal of the handshake shows that one was tried.
    with owned(place, f"https://127.0.0.1:{server.server_port}"):
        connection = management._connection("https", "127.0.0.1", server.server_port, 1.0)
        with pytest.raises(OSError, match="SSL"):
            connection.request("GET", "/")


def test_certificates_of_other_machines_are_checked():
    connection = management._connection("https", "example.com", None, 1.0)
    assert vars(connection)["_context"].check_hostname


def test_a_hub_in_use_is_not_deleted(place, server):
    with (
        owned(place, url_of(server)),
        pytest.raises(ConfigError, match=r"in use by process \d+ \("),
    ):
        delete_task_hub(place)
    assert place.database.exists()


def located(folder, environ):
    """The database of an embedded hub."""
    place = locate_hub(folder, environ)
    assert isinstance(place, HubPlace)
    return place.database


def test_settings_of_the_app_count_and_the_environment_stays_as_it_is(tmp_path):
    folder = write_app(tmp_path)
    (folder / "local.settings.json").write_text(
        '{"Values": {"DURABLE_APP_STORE": "sqlite:/x/y.db"}}'
    )
    environ: dict[str, str] = {}
    assert located(folder, environ) == Path("/x/y.db")
    assert environ == {}


def test_a_remote_hub_is_asked_itself(tmp_path):
    text = "Endpoint=https://x.durabletask.io;TaskHub=orders;Authentication=AzureCLI"
    environ = {"DURABLE_APP_HUB": "remote", "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": text}
    place = locate_hub(write_app(tmp_path), environ)
    assert isinstance(place, RemotePlace)
    assert (place.name, place.target.endpoint.host) == ("orders", "x.durabletask.io")
    with pytest.raises(ConfigError, match="belongs to another process"):
        delete_task_hub(place)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Endpoint=https://x.durabletask.io;TaskHub=orders;Authentication=AzureCLI", RemotePlace),
        ("UseDevelopmentStorage=true", HubPlace),
    ],
)
def test_the_setting_that_is_named_says_what_it_is_of(tmp_path, text, kind):
    place = locate_hub(write_app(tmp_path), {"MINE": text}, connection="MINE")
    assert type(place) is kind


def test_a_setting_that_nobody_has_set_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="--connection-string-setting MINE: there is no such"):
        locate_hub(write_app(tmp_path), {}, connection="MINE")


def test_a_host_that_runs_has_decided(tmp_path):
    text = "Endpoint=https://x.durabletask.io;TaskHub=orders;Authentication=AzureCLI"
    environ = {"DURABLE_TASK_SCHEDULER_CONNECTION_STRING": text}
    folder = write_app(tmp_path)
    host = {"durableTask": {"storageProvider": {"type": "azureManaged"}}}
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": host}))
    database = folder / ".durable" / "orders.db"
    with contextlib.closing(SqliteStore(database, "orders")) as store:
        store.open()
        assert located(folder, environ) == database
    assert isinstance(locate_hub(folder, environ), RemotePlace)


def test_a_host_that_keeps_its_hub_in_memory_is_asked_not_an_old_file(place, server):
    folder = place.database.parents[1]
    mark = HostMark(memory_mark(folder, "default"))
    mark.announce(url_of(server))
    found = locate_hub(folder, {"DURABLE_APP_STORE": "memory"})
    assert found == locate_hub(folder, {}) == locate_hub(folder, {}, store="memory")

    async def ask():
        async with open_management(found) as call:
            return call.host

    assert asyncio.run(ask()) == url_of(server)
    with pytest.raises(ConfigError, match="is in use by process"):
        delete_task_hub(found)
    assert locate_hub(folder, {}, store=f"sqlite:{place.database}") == place
    mark.remove()
    assert locate_hub(folder, {}) == place
    with pytest.raises(ConfigError, match=r"no host of .* has one for task hub 'default'"):
        locate_hub(folder, {}, store="memory")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"Message": "m", "ExceptionMessage": "e"}', "e"),
        ('{"Message": "m"}', "m"),
        ("[]", "The task hub's answer is 500: []"),
        (None, "The task hub's answer is 500: nothing more"),
    ],
)
def test_the_reason_of_a_refusal_is_a_sentence(body, reason):
    assert reason_of(Answer(500, body)) == reason
