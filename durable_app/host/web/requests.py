"""A request as it came over the wire, in the forms that functions and the host's own APIs take."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from azure.functions.http import HttpRequest

from durable_app.host.api.exchange import ApiRequest
from durable_app.host.web.routing import split_path

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

#: Limit of the Functions host for a request's body.
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
#: A sender that stays silent for so long within a body has gone.
BODY_SILENCE_S: Final = 60.0
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# How bytes that are no UTF-8 arrive here.
_NO_TEXT: Final = re.compile("[\ud800-\udfff]")
_NO_QUERY: Final[dict[str, str]] = {}


class RefusedError(Exception):
    """A request that no function shall see."""

    def __init__(self, status: int, text: str | None = None) -> None:
        """What to answer: the status, and a body for humans."""
        super().__init__(status)
        self.status = status
        self.text = text


class Received(NamedTuple):
    """A request without its body.

    Attributes:
        method: upper case.
        url: with scheme and host, path and query as they were sent.
        path: still percent-encoded.
        parts: its decoded segments, as routes are matched with.
        query: by name as it was sent; several values of one name are joined by commas, as .NET
            does; empty ones are there.
        headers: by lower-case name, joined in the same way.
    """

    method: str
    url: str
    path: str
    parts: list[str]
    query: dict[str, str]
    headers: dict[str, str]

    def for_function(self, params: dict[str, str], body: bytes) -> HttpRequest:
        """What a function's trigger gets; empty values of the query are dropped, as in Azure."""
        return HttpRequest(
            method=self.method,
            url=self.url,
            headers=self.headers,
            params={key: value for key, value in self.query.items() if value},
            route_params=params,
            body_type="bytes",
            body=body,
        )

    def for_api(self, depth: int, body: bytes) -> ApiRequest:
        """What one of the host's own APIs gets.

        Args:
            depth: number of segments that lead to the API.
        """
        # Ids are data: here an encoded slash is decoded, and the API refuses it by its own rules.
        parts = [unquote(part) for part in self.path.split("/") if part]
        return ApiRequest(
            method=self.method,
            parts=tuple(parts[depth:]),
            query={key.casefold(): value for key, value in self.query.items()},
            headers=self.headers,
            body=body,
            url=self.url,
        )


def receive(request: web.BaseRequest, scheme: str, authority: str) -> Received:
    """Read what stands before the body.

    Args:
        authority: to use for a request of HTTP/1.0, which may have no Host header.

    Raises:
        RefusedError: 400, it is not one that could be meant for a function.
    """
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        if not value.isascii() and _NO_TEXT.search(value):
            raise RefusedError(400, f"The header {name} is no UTF-8.")
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    if request.version < (1, 0):
        raise RefusedError(400, "A request names its version, such as HTTP/1.1.")
    host = headers.get("host")
    if host is None:
        if request.version >= (1, 1):
            raise RefusedError(400, "A request of HTTP/1.1 needs a Host header.")
        host = authority
    target = request.raw_path
    if not target.startswith("/"):  # a proxy's form, with scheme and host
        target = request.path_qs
    path, _, text = target.partition("#")[0].partition("?")
    if "%00" in path:
        raise RefusedError(400, "The path has a NUL character in it.")
    return Received(
        request.method.upper(),
        f"{scheme}://{host}{path}?{text}" if text else f"{scheme}://{host}{path}",
        path,
        split_path(path),
        _query(text) if text else _NO_QUERY,
        headers,
    )


def _query(text: str) -> dict[str, str]:
    query: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        query[key] = f"{query[key]},{value}" if key in query else value
    return query


async def read_body(request: web.BaseRequest, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body as it was sent, compressed or not.

    Raises:
        RefusedError: 413, it is longer than the limit; 408, the rest of it does not come; 400, the
            sender broke off or broke the rules; 417, it expects what nobody knows.
    """
    if not request.body_exists:
        return b""
    if (request.content_length or 0) > limit:
        raise RefusedError(413)
    expected = request.headers.get("Expect")
    if expected is not None:
        if expected.casefold() != "100-continue":
            raise RefusedError(417)
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0
    return await _read(request.content, limit)


async def _read(content: StreamReader, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        while not content.at_eof():
            if content.is_eof():  # it is all here: no timer for the usual small body
                chunk = content.read_nowait(-1)
            else:
                async with asyncio.timeout(BODY_SILENCE_S):
                    chunk = await content.readany()
            size += len(chunk)
            if size > limit:
                raise RefusedError(413)
            chunks.append(chunk)
    except TimeoutError:
        raise RefusedError(408) from None
    except (web.RequestPayloadError, ConnectionError):
        raise RefusedError(400) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
