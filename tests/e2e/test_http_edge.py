"""The HTTP side of a real `func start`: keys, CORS, HTTPS, large bodies, the end under load."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import ssl
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import WEBHOOK, Host, write_app

APP = """
import asyncio
import json
import azure.functions as func
import durable_app as df

app = df.DFApp()


@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def open_(req: func.HttpRequest) -> str:
    return "open"


@app.route(route="mine/{id:int?}")
def mine(req: func.HttpRequest) -> str:
    return json.dumps({"status": 202, "body": dict(req.route_params)})


@app.route(route="size", auth_level=func.AuthLevel.ANONYMOUS)
async def size(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(len(req.get_body())), headers={"X-Url": req.url})


@app.route(route="slow", auth_level=func.AuthLevel.ANONYMOUS)
async def slow(req: func.HttpRequest) -> str:
    await asyncio.sleep(0.2)
    return "slow"


"""


@pytest.fixture
def make(tmp_path: Path, new_host: Callable[..., Host]) -> Callable[..., Host]:
    """A running host of this app with more arguments."""

    def start(*arguments: str) -> Host:
        host = new_host(write_app(tmp_path / "app", APP), *arguments)
        return host.start()

    return start


def test_routes_are_open_without_enable_auth(make: Callable[..., Host]) -> None:
    host = make()
    reply = host.get("/api/mine/7")
    assert (reply.status, reply.json) == (202, {"id": "7"})
    assert host.get("/api/mine").json == {}
    assert host.get("/api/mine/seven").status == 404
    assert host.get(f"{WEBHOOK}/instances").status == 200
    assert host.get("/admin/host/status").json["state"] == "Running"
    assert host.get("/admin/host/status", {"Host": "evil.example"}).status == 403
    assert host.get(f"{WEBHOOK}/instances", {"Origin": "http://evil.example"}).status == 403


def test_enable_auth_demands_keys_that_last_and_stay_secret(make: Callable[..., Host]) -> None:
    host = make("--enableAuth")
    assert host.get("/api/open").text == "open"
    refused = [host.get(path) for path in ("/api/mine", f"{WEBHOOK}/instances", "/admin/functions")]
    assert [(reply.status, reply.body) for reply in refused] == [(401, b"")] * 3
    state = host.folder / ".durable" / "host.db"
    assert state.stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(state)) as rows:
        keys = [key for (key,) in rows.execute("SELECT value FROM facts WHERE kind = 'key'")]
    accepted = [key for key in keys if host.get(f"/api/mine?code={key}").status == 202]
    assert accepted
    assert host.get("/api/mine", {"x-functions-key": accepted[0]}).status == 202
    assert host.stop() == 0
    host.start()
    assert host.get("/api/mine", {"x-functions-key": accepted[0]}).status == 202
    assert not [key for key in keys if key in host.log.read_text()]


def test_cors_of_the_command_line_lets_pages_call(make: Callable[..., Host]) -> None:
    page = "http://localhost:3000"
    host = make("--cors", f"{page},https://portal.example", "--cors-credentials")
    asked = {"Origin": page, "Access-Control-Request-Method": "PUT"}
    preflight = host.request("OPTIONS", "/api/mine", headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == page
    assert preflight.headers["access-control-allow-credentials"] == "true"
    listed = host.get(f"{WEBHOOK}/instances", {"Origin": page})
    assert (listed.status, listed.headers["access-control-allow-origin"]) == (200, page)
    assert host.get(f"{WEBHOOK}/instances", {"Origin": "http://evil.example"}).status == 403


def test_https_needs_no_certificate_of_the_user(make: Callable[..., Host]) -> None:
    host = make("--useHttps")
    assert "self-signed certificate" in host.output()
    pem = host.folder / ".durable" / "localhost.pem"
    assert pem.stat().st_mode & 0o077 == 0
    trust = ssl.create_default_context(cafile=pem)
    url = f"https://localhost:{host.port}/api/size"
    with urllib.request.urlopen(url, context=trust, timeout=10) as answer:
        assert answer.headers["X-Url"] == url


def test_a_wrong_certificate_ends_the_start(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    folder = write_app(tmp_path / "app", APP)
    (folder / "cert.pfx").write_bytes(b"nothing")
    arguments = ("--useHttps", "--cert", "cert.pfx", "--password", "top-secret")
    output = new_host(folder, *arguments).refusal()
    assert "cert.pfx: it is no PFX or PEM file, or --password is wrong." in output
    assert "top-secret" not in output


def test_a_body_of_100_mb_fits_and_a_longer_one_is_413(make: Callable[..., Host]) -> None:
    host = make()
    limit = 100 * 1024 * 1024
    assert host.request("POST", "/api/size", b"x" * limit).text == str(limit)
    with socket.create_connection(("127.0.0.1", host.port), timeout=10) as client:
        head = f"POST /api/size HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limit + 1}\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert host.get("/api/open").status == 200


def test_the_end_under_load_loses_nothing_that_was_accepted(make: Callable[..., Host]) -> None:
    host = make()
    lost: list[str] = []
    answered: list[int] = []
    enough = threading.Event()

    def load() -> None:
        """Requests on one connection until the host closes it."""
        with socket.create_connection(("127.0.0.1", host.port), timeout=10) as client:
            while True:
                client.sendall(b"GET /api/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = client.recv(10_000)
                if not answer:
                    # The host closed the idle connection before it read this request.
                    return
                if not answer.startswith(b"HTTP/1.1 200 "):
                    lost.append(repr(answer))
                    return
                answered.append(1)
                if len(answered) > 60:
                    enough.set()
                if b"connection: close" in answer.lower():
                    return

    threads = [threading.Thread(target=load) for _ in range(30)]
    for thread in threads:
        thread.start()
    assert enough.wait(15)
    assert host.stop() == 0
    for thread in threads:
        thread.join(10)
    assert lost == []
    assert host.output().count("Executing 'Functions.slow'") == len(answered)
