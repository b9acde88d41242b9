"""The activity behind HTTP calls: tokens, and answers that are none."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.worker.http_caller import HttpCaller
from tests.contract.web_site import Site, accepted, moved

# -- tokens --------------------------------------------------------------------------------------


class Login:
    """Stands for azure-identity."""

    def __init__(self, error: Exception | None = None) -> None:
        self.scopes: list[str] = []
        self.is_closed = False
        self._error = error

    async def get_token(self, *scopes: str) -> Any:
        self.scopes += scopes
        if self._error is not None:
            raise self._error

        class Token:
            token = "top-secret"

        return Token()

    async def close(self) -> None:
        self.is_closed = True


def request_with_token(uri: str, resource: str = "https://api.example") -> dict[str, Any]:
    source = df.ManagedIdentityTokenSource(resource)
    headers = {"authorization": "mine"}
    request = df.DurableHttpRequest("GET", uri, headers=headers, token_source=source)
    return {**request.to_json(), "polls": True}


async def called(login, uri, **request: Any):
    caller = HttpCaller(SystemClock(), credential=lambda: login)
    try:
        return await caller.call(request_with_token(uri, **request))
    finally:
        await caller.close()


def test_a_token_is_sent_and_never_told():
    async def main():
        site, other = Site(), Site()
        login = Login()
        async with site.open(), other.open():
            site.answers += [moved(302, "/b"), moved(302, other.origin)]
            other.answers += [accepted("/c")]
            answer = await called(login, site.origin)
        assert [sent["authorization"] for _, _, sent, _ in site.seen] == ["Bearer top-secret"] * 2
        assert "authorization" not in other.seen[0][2]
        assert login.scopes == ["https://api.example/.default"] * 2
        assert login.is_closed
        assert "top-secret" not in json.dumps(answer)
        assert answer["poll"]["request"]["tokenSource"] is None
        assert answer["poll"]["afterSeconds"] == 30

    asyncio.run(main())


def test_a_scope_is_taken_as_it_is():
    async def main():
        site, login = Site(), Login()
        site.answers.append(web.Response())
        async with site.open():
            await called(login, site.origin, resource="https://api.example/.default")
        assert login.scopes == ["https://api.example/.default"]

    asyncio.run(main())


def test_a_login_that_fails_fails_the_call_in_a_line():
    login = Login(PermissionError("nobody is logged in\nlong explanation"))
    with pytest.raises(ConnectionError) as caught:
        asyncio.run(called(login, "http://h.example/a?sig=hidden"))
    assert str(caught.value) == (
        "GET http://h.example/a: no token for https://api.example:"
        " PermissionError: nobody is logged in"
    )


def test_without_azure_identity_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)

    async def main():
        await HttpCaller(SystemClock()).call(request_with_token("http://h.example/a"))

    with pytest.raises(df.NonRetriableError, match=r'pip install "durable-app\[azure\]"'):
        asyncio.run(main())


def test_tokens_come_from_azure_identity():
    pytest.importorskip("azure.identity", reason="an extra")
    from durable_app.worker.http_caller import _default_credential

    async def main():
        credential = _default_credential()
        assert type(credential).__name__ == "DefaultAzureCredential"
        await credential.close()

    asyncio.run(main())


# -- answers -------------------------------------------------------------------------------------


async def alone(answer: bytes, limit: timedelta | None = None, **options: Any) -> Any:
    """Call a server that answers these bytes, or nothing at all."""
    over = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not answer:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    caller = HttpCaller(SystemClock(), **options)
    uri = f"http://127.0.0.1:{port}/a?code=hidden"
    request = df.DurableHttpRequest("GET", uri, timeout=limit)
    try:
        return await caller.call(request.to_json())
    finally:
        over.set()
        await caller.close()
        server.close()


@pytest.mark.parametrize(
    ("answer", "options", "kind", "text"),
    [
        (b"nonsense\r\n\r\n", {}, ConnectionError, r"/a: no answer \("),
        (b"", {"timeout_s": 0.1}, TimeoutError, r"/a: no answer within 0\.1 s"),
        (b"", {"limit": timedelta(seconds=0.2)}, TimeoutError, r"/a: no answer within 0\.2 s"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
            {"max_body": 2**20},
            df.NonRetriableError,
            "larger than 1 MiB",
        ),
    ],
)
def test_an_answer_that_is_none(answer, options, kind, text):
    with pytest.raises(kind, match=text) as caught:
        asyncio.run(alone(answer, **options))
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_url_that_cannot_be_requested():
    async def main():
        caller = HttpCaller(SystemClock())
        request = df.DurableHttpRequest("GET", "http://h.example").to_json()
        try:
            await caller.call({**request, "uri": "http:///a?code=hidden"})
        finally:
            await caller.close()

    with pytest.raises(df.NonRetriableError, match="cannot be requested") as caught:
        asyncio.run(main())
    assert "hidden" not in str(caught.value)
