"""The context's method for HTTP calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durable_app.payload import to_text
from durable_app.replay.http import (
    CONTENT_TYPE,
    HTTP_ACTIVITY,
    HTTP_POLLER,
    POLLS,
    DurableHttpRequest,
    DurableHttpResponse,
    TokenSource,
    refuse_bytes,
)
from durable_app.replay.retry import Plan, retry_plan

if TYPE_CHECKING:
    from durable_app.replay import retry
    from durable_app.replay.tasks import Task

_API = "call_http"


class HttpCalling:
    """What an orchestrator can ask of the web."""

    __slots__ = ()

    if TYPE_CHECKING:  # the context has them

        def _activity(
            self,
            api: str,
            name: Any,
            input_: Any,
            expected_type: Any,
            tags: Mapping[str, str] | None,
            policy: Plan | None,
        ) -> Task[Any]: ...

        def _child(
            self,
            api: str,
            name: Any,
            input_: Any,
            target: tuple[str | None, str | None],
            expected_type: Any,
            tags: Mapping[str, str] | None,
            policy: Plan | None,
        ) -> Task[Any]: ...

    def call_http(  # noqa: PLR0913  what a request has, as in other libraries, and how to make it
        self,
        method: str | DurableHttpRequest,
        uri: str | None = None,
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        token_source: TokenSource | None = None,
        is_raw_str: bool = False,
        *,
        enable_polling: bool = True,
        retry_options: retry.RetryOptions | retry.RetryPolicy | None = None,
        timeout: timedelta | None = None,
    ) -> Task[DurableHttpResponse]:
        """Make an HTTP request.

        An answer with the status 202 and a Location is polled there until it has another status,
        for hours or days, as often as its Retry-After says. Redirects are followed. Another origin
        than the first is sent no token, and of the headers only those that hold no secrets.

        Args:
            method: "GET" for example, in any case; or a whole request, in place of all that
                describes one.
            uri: absolute, http or https.
            content: of the body, sent as JSON, a text too; None for no body. Not bytes.
            headers: by name.
            token_source: of the bearer token that is sent along.
            is_raw_str: the content is a text that is sent as it is.
            enable_polling: False to take a 202 as the answer.
            retry_options: how often to try again when no answer comes; None to try once. An answer
                with an error status is an answer.
            timeout: of each request, those that poll included, > 0; None for 100 seconds.

        Returns:
            A task; its result is a DurableHttpResponse. It fails with a TaskFailedError if no
            answer comes, or one that is too large.

        Raises:
            ValueError: the URI is not absolute or neither http nor https, the method or a header
                cannot be sent, or the timeout is not positive.
            TypeError: ``is_raw_str`` without a text, or a value of another type than described.
            PayloadError: the content has no JSON form.
            OrchestratorError: within a critical section, where only ``enable_polling=False`` works.
        """
        policy = None if retry_options is None else retry_plan(retry_options, _API)
        if isinstance(method, DurableHttpRequest):
            others = (uri, content, headers, token_source, timeout, is_raw_str)
            if others != (*(None,) * 5, False):
                raise TypeError(f"{_API}: a DurableHttpRequest describes the whole request.")
            request = method
        else:
            request = _request(
                method, uri, content, headers, token_source, timeout, is_raw=is_raw_str
            )
        described = request.to_json()
        if not enable_polling:
            return self._activity(_API, HTTP_ACTIVITY, described, DurableHttpResponse, None, policy)
        described[POLLS] = True
        api = f"{_API} with enable_polling=True"
        target = (None, None)
        return self._child(api, HTTP_POLLER, described, target, DurableHttpResponse, None, policy)


def _request(
    method: str,
    uri: str | None,
    content: Any,
    headers: Mapping[str, str] | None,
    token_source: TokenSource | None,
    timeout: timedelta | None,
    *,
    is_raw: bool,
) -> DurableHttpRequest:
    if uri is None:
        raise TypeError(f"{_API}: takes a method and a URI, or a DurableHttpRequest.")
    refuse_bytes(content)
    if is_raw and not isinstance(content, str):
        raise TypeError(
            f"{_API}: is_raw_str sends a text as it is, and the content is"
            f" {type(content).__name__}. Leave is_raw_str out to send it as JSON."
        )
    if is_raw or content is None:
        return DurableHttpRequest(method, uri, content, headers, token_source, timeout=timeout)
    given = dict(headers or {})
    if not any(str(name).lower() == CONTENT_TYPE.lower() for name in given):
        given[CONTENT_TYPE] = "application/json"
    return DurableHttpRequest(method, uri, to_text(content), given, token_source, timeout=timeout)
