"""A small app and a way to run it in this process, behind a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from durable_app.compose.host import RunningHost, run_host
from durable_app.compose.plan import HostOptions

APP = """
import azure.functions as func
from durable_app.functions.app import DFApp

app = DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    body = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(
        req.route_params["name"], req.params.get("id"), body
    )
    return client.create_check_status_response(req, instance_id)


@app.route(route="sync/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
def start_sync(req: func.HttpRequest, client) -> func.HttpResponse:
    instance_id = client.start_new(req.route_params["name"], client_input=req.get_json())
    return client.wait_for_completion_or_create_check_status_response(req, instance_id, 5000)


@app.orchestration_trigger(context_name="context")
def greet(context):
    greeting = yield context.call_activity("hello", context.get_input())
    return greeting


@app.orchestration_trigger(context_name="context")
def wait(context):
    context.set_custom_status("waiting")
    answer = yield context.wait_for_external_event("go")
    return answer


@app.orchestration_trigger(context_name="context")
def fail(context):
    yield context.call_activity("boom", None)


@app.activity_trigger(input_name="name")
def hello(name):
    return f"Hello {name}!"


@app.activity_trigger(input_name="nothing")
def boom(nothing):
    raise ValueError("out of order")
"""

Talk = Callable[[RunningHost, "Caller"], Awaitable[Any]]


class Answered:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Caller:
    """Calls a running host over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self._session = session
        self.origin = origin

    async def __call__(self, method: str, path: str, **options: Any) -> Answered:
        from yarl import URL

        url = path if path.startswith("http") else f"{self.origin}{path}"
        async with self._session.request(method, URL(url, encoded=True), **options) as response:
            return Answered(response.status, response.headers, await response.read())

    async def until_done(self, url: str) -> Answered:
        """Poll a status URL as clients do, until it answers something else than 202."""
        async with asyncio.timeout(10):
            while True:
                answer = await self("GET", url)
                if answer.status != 202:
                    return answer
                await asyncio.sleep(0.01)


def write_app(folder: Path, source: str = APP, host_json: str = '{"version": "2.0"}') -> Path:
    (folder / "function_app.py").write_text(source)
    (folder / "host.json").write_text(host_json)
    return folder


@contextlib.asynccontextmanager
async def serving(
    folder: Path, stream: io.StringIO | None = None, **options: Any
) -> AsyncIterator[tuple[RunningHost, Caller]]:
    before = list(sys.path), set(sys.modules)
    options = {"port": 0, "store": "memory", "hub": "embedded", **options}
    try:
        async with (
            run_host(
                HostOptions(folder, **options),
                environ={},
                stream=io.StringIO() if stream is None else stream,
            ) as host,
            aiohttp.ClientSession() as session,
        ):
            yield host, Caller(session, host.origin)
    finally:
        sys.path[:] = before[0]
        for name in set(sys.modules) - before[1]:
            if name == "function_app":
                del sys.modules[name]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something that another thread does has happened."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  a thread's work sets no asyncio event
            await asyncio.sleep(0.01)


def talk(folder: Path, conversation: Talk, **options: Any) -> Any:
    """Run the app of a folder, and ``conversation`` with it."""

    async def main() -> Any:
        async with serving(folder, **options) as (host, call):
            return await conversation(host, call)

    return asyncio.run(main())
