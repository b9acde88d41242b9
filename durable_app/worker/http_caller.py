"""Makes the requests of durable HTTP calls, for all orchestrations of a worker in one session."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from durable_app.errors import NonRetriableError
from durable_app.replay.http import POLL, POLLS, TIMEOUT
from durable_app.worker.http_hops import pause_s, redirected, shown, to_poll

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from durable_app.ports import Clock
    from durable_app.telemetry import Tracing

_MAX_BODY: Final = 10 * 2**20
_MAX_REDIRECTS: Final = 10
#: As long as .NET's client waits, which makes these calls in Azure.
_TIMEOUT_S: Final = 100.0
_SCOPE: Final = "/.default"
_MEBIBYTE: Final = 2**20
_CHUNK: Final = 2**16
_REASON_CHARS: Final = 200
_TRACE_PARENT: Final = "traceparent"


class Token(Protocol):
    """What a credential gives."""

    @property
    def token(self) -> str:
        """Goes into the Authorization header."""
        ...


class Credential(Protocol):
    """The part of azure-identity's asynchronous credentials that is used."""

    async def get_token(self, *scopes: str) -> Token:
        """Get a token, from its cache while it is valid."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class HttpCaller:
    """The built-in activity. Everything is made on first use, on the loop that it is used on.

    Args:
        poll_s: time between two polls where the server names none.
        credential: makes what gives tokens; None for azure-identity's default one.
        timeout_s: of a request that names no limit itself.
        max_body: bytes of a response at most.
        tracing: gives the trace context that goes with each request; None for none.
    """

    def __init__(
        self,
        clock: Clock,
        poll_s: float = 30.0,
        credential: Callable[[], Credential] | None = None,
        timeout_s: float = _TIMEOUT_S,
        max_body: int = _MAX_BODY,
        tracing: Tracing | None = None,
    ) -> None:
        """See the class."""
        self._clock = clock
        self._poll_s = poll_s
        self._make_credential = credential or _default_credential
        self._timeout_s = timeout_s
        self._max_body = max_body
        self._tracing = tracing
        self._session: aiohttp.ClientSession | None = None
        self._credential: Credential | None = None
        self._open = AsyncExitStack()

    async def call(self, request: Any) -> dict[str, Any]:
        """Make a request as ``DurableHttpRequest.to_json`` describes it.

        Returns:
            ``statusCode``, ``headers`` and ``content``; where the answer is to be polled also
            ``poll`` with ``request`` and ``afterSeconds``.

        Raises:
            ConnectionError: no answer came.
            TimeoutError: it did not come in time.
            NonRetriableError: it is too large, redirects never end, or there is no way to a token.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            answer, target = await self._request(request)
            if target is None:
                return self._with_poll(request, answer)
            request = target
        raise NonRetriableError(f"{shown(request)}: more than {_MAX_REDIRECTS} redirects.")

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        self._session = None
        self._credential = None
        await self._open.aclose()

    async def _request(self, request: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the answer, and the request that it redirects to."""
        import aiohttp  # noqa: PLC0415  most apps never get here

        headers = await self._headers(request)
        content = request["content"]
        limit_s = request.get(TIMEOUT) or self._timeout_s
        try:
            async with self._opened().request(
                request["method"],
                request["uri"],
                headers=headers,
                data=None if content is None else content.encode(),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=limit_s),
            ) as response:
                answered = _joined_headers(response)
                target = redirected(request, response.status, answered)
                text = None if target is not None else await self._text(request, response)
                status = response.status
        except TimeoutError:
            reason = f"no answer within {limit_s:g} s"
            raise TimeoutError(f"{shown(request)}: {reason}.") from None
        except aiohttp.InvalidURL:
            raise NonRetriableError(f"{shown(request)}: the URL cannot be requested.") from None
        except (aiohttp.ClientError, OSError) as error:
            # Not chained: texts of aiohttp can quote the URL with its query.
            raise ConnectionError(f"{shown(request)}: {_reason(error)}.") from None
        return {"statusCode": status, "headers": answered, "content": text}, target

    async def _headers(self, request: Any) -> dict[str, str]:
        headers = self._with_trace(request["headers"])
        source = request["tokenSource"]
        if source is None:
            return headers
        token = await self._token(request, source["resource"])
        own = {name: text for name, text in headers.items() if name.lower() != "authorization"}
        return own | {"Authorization": f"Bearer {token}"}

    def _with_trace(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers, with the trace context of the running activity where they have none."""
        trace = None if self._tracing is None else self._tracing.current()
        if trace is None or any(name.lower() == _TRACE_PARENT for name in headers):
            return headers
        state = {} if trace.trace_state is None else {"tracestate": trace.trace_state}
        own = {name: text for name, text in headers.items() if name.lower() != "tracestate"}
        return {**own, _TRACE_PARENT: trace.trace_parent, **state}

    async def _token(self, request: Any, resource: str) -> str:
        if self._credential is None:
            try:
                self._credential = credential = self._make_credential()
            except ImportError:
                raise NonRetriableError(
                    f"{shown(request)}: a ManagedIdentityTokenSource needs azure-identity:"
                    ' pip install "durable-app[azure]"'
                ) from None
            self._open.push_async_callback(credential.close)
        scope = resource if resource.endswith(_SCOPE) else resource + _SCOPE
        try:
            return (await self._credential.get_token(scope)).token
        except Exception as error:  # noqa: BLE001  of a foreign package, whose errors we do not import
            first_line = str(error).partition("\n")[0][:_REASON_CHARS]
            raise ConnectionError(
                f"{shown(request)}: no token for {resource}: {type(error).__name__}: {first_line}"
            ) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp  # noqa: PLC0415  likewise

            self._session = aiohttp.ClientSession(
                # Cookies of one orchestration are not for another one.
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "durable-app"},
            )
            self._open.push_async_callback(self._session.close)
        return self._session

    async def _text(self, request: Any, response: aiohttp.ClientResponse) -> str:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_body:
                raise NonRetriableError(
                    f"{shown(request)}: the response is larger than"
                    f" {self._max_body / _MEBIBYTE:g} MiB, too large for a history. Fetch it in an"
                    " activity that puts it into a storage."
                )
        try:
            return body.decode(response.charset or "utf-8", "replace")
        except LookupError:
            return body.decode("utf-8", "replace")

    def _with_poll(self, request: Any, answer: dict[str, Any]) -> dict[str, Any]:
        if not request.get(POLLS):
            return answer
        headers = answer["headers"]
        again = to_poll(request, answer["statusCode"], headers)
        if again is None:
            return answer
        after = pause_s(headers, self._clock.now(), self._poll_s)
        # Of the answer nothing else is needed, and it is kept in the history.
        return {POLL: {"request": again, "afterSeconds": after}}


def _joined_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    joined: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, text in response.headers.items():
        first = names.setdefault(name.lower(), name)
        joined[first] = f"{joined[first]}, {text}" if first in joined else text
    return joined


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    told = cause or (error if isinstance(error, OSError) else None)
    if told is None:
        return f"no answer ({type(error).__name__})"
    return f"no connection ({getattr(told, 'strerror', None) or str(told)[:_REASON_CHARS]})"


def _default_credential() -> Credential:
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415  an extra

    return DefaultAzureCredential()
