"""HTTP calls as data: what is asked for, what comes back, and the loop that polls.

Theory of operation. ``call_http`` is a sub-orchestration of a built-in orchestrator, ``poll_http``.
That one runs a built-in activity, which makes one request. An answer that asks to be polled (202
with a Location) comes back with the next request and the time until then, decided by the activity:
the loop only waits and starts over with it as its input. So polling survives every restart, its
history stays short, and nothing is held while it waits.

What must never happen: a token of a TokenSource is part of a request here. The activity gets one
at the last moment.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from durable_app.errors import NonRetriableError, TaskFailedError
from durable_app.payload import to_text

if TYPE_CHECKING:
    from durable_app.replay.context import OrchestrationContext
    from durable_app.replay.tasks import Task

HTTP_ACTIVITY: Final = "BuiltIn__HttpActivity"
"""Makes one request, redirects followed."""
HTTP_POLLER: Final = "BuiltIn__HttpPollOrchestrator"
"""Makes a request, and polls for as long as the answer asks for it."""

#: Keys of a request's JSON beside those of other Durable Functions libraries, and of an answer's.
POLLS: Final = "polls"
POLL: Final = "poll"
TIMEOUT: Final = "timeoutSeconds"

CONTENT_TYPE: Final = "Content-Type"
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

_MANAGED_IDENTITY: Final = "AzureManagedIdentity"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_HEADER: Final = re.compile(r"[\x00\r\n]")
_NOT_IN_A_URI: Final = re.compile(r"[\x00-\x20\x7f]")
_FAILURES: Final[Mapping[str, type[Exception]]] = {
    kind.__name__: kind for kind in (ConnectionError, TimeoutError, NonRetriableError)
}


class TokenSource(ABC):
    """Where a durable HTTP call gets its bearer token from."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Describe the source; the token itself is never part of it."""


class ManagedIdentityTokenSource(TokenSource):
    """Tokens of the identity that the app has in Azure; locally those of a developer's login.

    Needs ``pip install "durable-app[azure]"``.

    Args:
        resource: identifier of the API to be called: ``https://management.core.windows.net/``.
    """

    def __init__(self, resource: str) -> None:
        """See the class.

        Raises:
            TypeError: the resource is no text, or empty.
        """
        given: Any = resource
        if not isinstance(given, str) or not given:
            raise TypeError(
                "ManagedIdentityTokenSource: the resource is a text of at least 1 character, not"
                f" {given!r}."
            )
        self._resource = str.__str__(given)

    @property
    def resource(self) -> str:
        """Identifier of the API to be called."""
        return self._resource

    def to_json(self) -> dict[str, Any]:
        """Return ``{"resource": ..., "kind": "AzureManagedIdentity"}``."""
        return {"resource": self._resource, "kind": _MANAGED_IDENTITY}


class DurableHttpRequest:
    """An HTTP request, to be given to ``context.call_http``.

    Args:
        method: in any case.
        uri: absolute, http or https.
        content: a text is sent as it is, in UTF-8; any other value but bytes as JSON; None for no
            body.
        headers: by name. Without a Content-Type a text is ``text/plain``, JSON
            ``application/json``.
        token_source: of the bearer token that is sent along; None for none.
        timeout: how long each request may take, body included, > 0; None for 100 seconds.

    Attributes:
        method: upper case.
        uri: as it was given.
        content: the body as text; None for none.
        headers: with the Content-Type of the body.
        token_source: as it was given.
        timeout: as it was given.
    """

    def __init__(
        self,
        method: str,
        uri: str,
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        token_source: TokenSource | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> None:
        """See the class.

        Raises:
            ValueError: the URI is not absolute or neither http nor https, or has a password in it;
                a method or a header that HTTP cannot express; a timeout that is not positive.
            TypeError: a value of another type than described.
            PayloadError: the content has no JSON form.
        """
        self.method = _checked_method(method)
        self.uri = _checked_uri(uri)
        self.headers = _checked_headers(headers)
        self.content: str | None = None
        self.timeout = checked_timeout(timeout)
        if content is not None:
            refuse_bytes(content)
            is_text = isinstance(content, str)
            self.content = str.__str__(content) if is_text else to_text(content)
            if not any(name.lower() == CONTENT_TYPE.lower() for name in self.headers):
                self.headers[CONTENT_TYPE] = _TEXT if is_text else _JSON
        if token_source is not None and not isinstance(token_source, ManagedIdentityTokenSource):
            raise TypeError(
                "token_source: a ManagedIdentityTokenSource, not"
                f" {type(token_source).__name__}; for other tokens send a header, or call an"
                " activity that makes the request."
            )
        self.token_source: TokenSource | None = token_source

    def to_json(self) -> dict[str, Any]:
        """Return the request as other Durable Functions libraries write it."""
        source = self.token_source
        described: dict[str, Any] = {
            "method": self.method,
            "uri": self.uri,
            "content": self.content,
            "headers": self.headers,
            "tokenSource": None if source is None else source.to_json(),
        }
        if self.timeout is not None:
            described[TIMEOUT] = self.timeout.total_seconds()
        return described


class DurableHttpResponse(dict[str, Any]):
    """The answer to a durable HTTP call.

    It is also the dict that it was in Durable Functions 1.x, with the keys ``statusCode``,
    ``headers`` and ``content``.
    """

    def __init__(
        self,
        status_code: int,
        headers: Mapping[str, str] | None = None,
        content: str | None = None,
    ) -> None:
        super().__init__(statusCode=status_code, headers=dict(headers or {}), content=content)

    @property
    def status_code(self) -> int:
        """Status, 200 for example; an error status does not fail the call."""
        return int(self["statusCode"])

    @property
    def headers(self) -> dict[str, str]:
        """By the names that the server uses; several values of one name are joined by ", "."""
        headers: dict[str, str] = self["headers"]
        return headers

    @property
    def content(self) -> str | None:
        """The body as text; decode JSON with ``json.loads``."""
        content: str | None = self["content"]
        return content

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DurableHttpResponse:
        """Return the response that such a dict describes."""
        return cls(data["statusCode"], data.get("headers"), data.get("content"))


def poll_http(context: OrchestrationContext) -> Generator[Task[Any], Any, dict[str, Any] | None]:
    """Make a request, and poll where its answer says so: the built-in orchestrator."""
    try:
        answer: dict[str, Any] = yield context.call_activity(HTTP_ACTIVITY, context.get_input())
    except TaskFailedError as error:
        raise _own_failure(error) from None
    again = answer.pop(POLL, None)
    if again is None:
        return answer
    yield context.create_timer(timedelta(seconds=again["afterSeconds"]))
    context.continue_as_new(again["request"])
    return None


def _own_failure(error: TaskFailedError) -> Exception:
    """Return what failed itself: that an activity was in between is nothing to the caller."""
    kind = _FAILURES.get(error.details.error_type, RuntimeError)
    return kind(error.details.error_message)


def refuse_bytes(content: Any) -> None:
    """Raise TypeError for a body that no history could hold."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"The body of a durable HTTP call is a text or JSON, not {type(content).__name__}: it"
            " is kept in the history. Decode it to a text; for a body that is none call an activity"
            " that makes the request."
        )


def checked_timeout(timeout: Any) -> timedelta | None:
    """Return the time limit of a request.

    Raises:
        ValueError: it is not positive.
        TypeError: it is no timedelta.
    """
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TypeError(f"The timeout of an HTTP call is a timedelta, not {timeout!r}.")
    if timeout is not None and timeout <= timedelta(0):
        raise ValueError(f"The timeout of an HTTP call must be longer than nothing, not {timeout}.")
    return timeout


def _checked_method(method: Any) -> str:
    if not isinstance(method, str):
        raise TypeError(f"An HTTP method is a text, not {type(method).__name__}.")
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is no HTTP method.")
    return method.upper()


def _checked_uri(uri: Any) -> str:
    if not isinstance(uri, str):
        raise TypeError(f"The URI of an HTTP call is a text, not {type(uri).__name__}.")
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname or _NOT_IN_A_URI.search(uri):
        raise ValueError(
            f"An HTTP call needs an absolute URI, http://... or https://..., not {uri[:80]!r}."
        )
    if "@" in parts.netloc:
        raise ValueError(
            "The URI of an HTTP call holds a user name: send an Authorization header instead."
        )
    _ = parts.port  # raises ValueError itself
    return str.__str__(uri)


def _checked_headers(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"The headers of an HTTP call are a dict, not {type(headers).__name__}.")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"Header {name!r}: its name and its value are texts.")
        if not _TOKEN.fullmatch(name) or _NOT_IN_A_HEADER.search(value):
            raise ValueError(f"Header {name!r} cannot be sent: HTTP has no way to write it.")
    return {str.__str__(name): str.__str__(value) for name, value in headers.items()}
