"""The durable management API: what the URLs of a management payload lead to.

Knows requests and answers, not sockets: :meth:`ManagementApi.answer` maps one to the other, with
the paths, parameters, codes and JSON shapes of Azure's durable extension. What cannot be parsed
in a query (dates, numbers, statuses) is ignored, as the extension does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from durable_app.client.history_view import project
from durable_app.client.status import output_of, parse_status
from durable_app.errors import (
    DurableError,
    InstanceNotFoundError,
    PayloadError,
    SchedulerUnavailableError,
    StoreUnavailableError,
    WrongStatusError,
)
from durable_app.host.exchange import Answer, ApiRequest
from durable_app.payload import from_text, to_text
from durable_app.ports import InstanceQuery, Orchestrations, PurgeFilter
from durable_app.protocol import OrchestrationState, OrchestrationStatus

if TYPE_CHECKING:
    from durable_app.client.management import ManagementUrls
    from durable_app.client.orchestration_client import DurableOrchestrationClient
    from durable_app.ports import Clock

CONTINUATION_HEADER: Final = "x-ms-continuation-token"
_MAX_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 100
_POLL_S: Final = "5"
_JSON: Final = "application/json"


_NOT_FOUND: Final = Answer(404)
_GONE: Final = Answer(410)
_NO_ENTITIES: Final = Answer(
    501, json.dumps({"Message": "This version indexes entities and does not execute them."})
)
_Route = Callable[[ApiRequest], Coroutine[Any, Any, Answer]]


class ManagementApi:
    """Answers management requests for one task hub."""

    def __init__(
        self,
        client: DurableOrchestrationClient,
        orchestrations: Orchestrations,
        urls: ManagementUrls,
        clock: Clock,
    ) -> None:
        self._client = client
        self._orchestrations = orchestrations
        self._urls = urls
        self._clock = clock
        # (method, first segment, number of segments) -> route
        self._routes: Mapping[tuple[str, str, int], _Route] = {
            ("POST", "orchestrators", 2): self._start,
            ("POST", "orchestrators", 3): self._start,
            ("GET", "instances", 1): self._list,
            ("DELETE", "instances", 1): self._purge_by,
            ("GET", "instances", 2): self._status,
            ("DELETE", "instances", 2): self._purge,
            ("POST", "instances", 3): self._operate,
            ("POST", "instances", 4): self._raise_event,
        }
        self._operations: Mapping[str, _Route] = {
            "terminate": self._terminate,
            "suspend": self._suspend,
            "resume": self._resume,
            "rewind": self._rewind,
            "restart": self._restart,
        }

    async def answer(self, request: ApiRequest) -> Answer:
        """Answer one request; errors of the hub become the codes of the API."""
        kind = request.parts[0].casefold() if request.parts else ""
        if kind == "entities":
            return _NO_ENTITIES
        route = self._routes.get((request.method, kind, len(request.parts)))
        if route is None:
            return _NOT_FOUND
        hub = request.query.get("taskhub")
        if hub and hub.casefold() != self._client.task_hub_name.casefold():
            return _refusal(
                f"This host serves task hub '{self._client.task_hub_name}', not '{hub}'."
            )
        try:
            return await route(request)
        except InstanceNotFoundError:
            return _NOT_FOUND
        except (StoreUnavailableError, SchedulerUnavailableError) as error:
            return _error(503, error, {"Retry-After": _POLL_S})
        except ValueError as error:
            return _refusal(str(error))
        except DurableError as error:
            return _error(500, error)

    # -- one instance -------------------------------------------------------------------------

    async def _start(self, request: ApiRequest) -> Answer:
        text = _json_text(request.body)
        instance_id = request.parts[2] if len(request.parts) > 2 else None  # noqa: PLR2004  route
        wait_s = _wait_s(request)
        started = await self._client.start_encoded(
            request.parts[1], instance_id, text, request.query.get("version")
        )
        return await self._started(request, started, wait_s)

    async def _started(self, request: ApiRequest, instance_id: str, wait_s: float | None) -> Answer:
        if wait_s is not None:
            state = await self._orchestrations.wait_for_completion(instance_id, timeout_s=wait_s)
            if state is not None and state.status is OrchestrationStatus.COMPLETED:
                return Answer(200, _output_text(state))
            if state is not None:
                return self._status_answer(request, state, None)
        links = self._urls.links(instance_id, request_url=request.url)
        del links["rewindPostUri"]  # the extension does not offer it for a start
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return Answer(202, json.dumps(links), headers)

    async def _status(self, request: ApiRequest) -> Answer:
        state = await self._orchestrations.get(request.parts[1], fetch_payloads=True)
        if state is None:
            return _NOT_FOUND
        history = None
        if _flag(request, "showhistory", default=False):
            events = await self._orchestrations.history(state.instance_id)
            history = project(
                events or (),
                show_input=_flag(request, "showinput", default=True),
                show_output=_flag(request, "showhistoryoutput", default=False),
            )
        return self._status_answer(request, state, history)

    def _status_answer(
        self, request: ApiRequest, state: OrchestrationState, history: list[Any] | None
    ) -> Answer:
        show_input = _flag(request, "showinput", default=True)
        body = status_text(state, show_input=show_input, history=history)
        if not state.status.is_terminal:
            return Answer(202, body, {"Location": request.url, "Retry-After": _POLL_S})
        failed = state.status is OrchestrationStatus.FAILED
        as_500 = failed and _flag(request, "returninternalservererroronfailure", default=False)
        return Answer(500 if as_500 else 200, body)

    async def _purge(self, request: ApiRequest) -> Answer:
        purged = await self._orchestrations.purge(request.parts[1])
        return _purged(purged)

    async def _raise_event(self, request: ApiRequest) -> Answer:
        if request.parts[2].casefold() != "raiseevent":
            return _NOT_FOUND
        kind = request.headers.get("content-type", _JSON).split(";", 1)[0].strip().casefold()
        if kind != _JSON:
            return Answer(
                400, json.dumps({"Message": "Only application/json request content is supported"})
            )
        text = _json_text(request.body)
        try:
            await self._orchestrations.raise_event(request.parts[1], request.parts[3], text)
        except WrongStatusError:
            return _GONE
        return Answer(202)

    async def _operate(self, request: ApiRequest) -> Answer:
        operation = self._operations.get(request.parts[2].casefold())
        return _NOT_FOUND if operation is None else await operation(request)

    async def _terminate(self, request: ApiRequest) -> Answer:
        reason = request.query.get("reason")
        return await _unless_finished(
            self._orchestrations.terminate(
                request.parts[1], None if reason is None else to_text(reason)
            )
        )

    async def _suspend(self, request: ApiRequest) -> Answer:
        return await _unless_finished(
            self._orchestrations.suspend(request.parts[1], request.query.get("reason"))
        )

    async def _resume(self, request: ApiRequest) -> Answer:
        return await _unless_finished(
            self._orchestrations.resume(request.parts[1], request.query.get("reason"))
        )

    async def _rewind(self, request: ApiRequest) -> Answer:
        try:
            await self._orchestrations.rewind(request.parts[1], request.query.get("reason"))
        except WrongStatusError as error:
            return _GONE if error.status.is_terminal else _refusal(str(error))
        return Answer(202)

    async def _restart(self, request: ApiRequest) -> Answer:
        wait_s = _wait_s(request)
        new_id = _flag(request, "restartwithnewinstanceid", default=True)
        try:
            started = await self._orchestrations.restart(request.parts[1], new_instance_id=new_id)
        except InstanceNotFoundError:
            return _refusal("InstanceId does not match a valid orchestration instance.")
        return await self._started(request, started, wait_s)

    # -- many instances -----------------------------------------------------------------------

    async def _list(self, request: ApiRequest) -> Answer:
        page = await self._orchestrations.query(
            InstanceQuery(
                statuses=_statuses(request),
                created_from=_time(request, "createdtimefrom"),
                created_to=_time(request, "createdtimeto"),
                instance_id_prefix=request.query.get("instanceidprefix"),
                page_size=_page_size(request),
                continuation_token=request.headers.get(CONTINUATION_HEADER) or None,
                fetch_payloads=True,
            )
        )
        show_input = _flag(request, "showinput", default=True)
        rows = [status_text(state, show_input=show_input) for state in page.items]
        headers = {}
        if page.continuation_token is not None:
            headers[CONTINUATION_HEADER] = page.continuation_token
        return Answer(200, f"[{','.join(rows)}]", headers)

    async def _purge_by(self, request: ApiRequest) -> Answer:
        created_from = _time(request, "createdtimefrom")
        if created_from is None:
            return _refusal("Please provide value for 'createdTimeFrom' parameter.")
        created_to = _time(request, "createdtimeto") or self._clock.now()
        which = PurgeFilter(created_from, created_to, _statuses(request))
        return _purged(await self._orchestrations.purge_by(which))


def status_text(
    state: OrchestrationState, *, show_input: bool = True, history: list[Any] | None = None
) -> str:
    """Status of an instance as JSON text, in the shape of the management API.

    Payloads are JSON text already and are shown as they are: one that a reader here would refuse
    must not hide all the others of a list.
    """
    fields = {
        "name": to_text(state.name),
        "instanceId": to_text(state.instance_id),
        "runtimeStatus": to_text(state.status.title),
        "input": (state.input if show_input else None) or "null",
        "customStatus": state.custom_status or "null",
        "output": _output_text(state),
        "createdTime": to_text(_seconds(state.created_at)),
        "lastUpdatedTime": to_text(_seconds(state.last_updated_at)),
        "historyEvents": to_text(history),
    }
    return "{" + ",".join(f'"{key}":{text}' for key, text in fields.items()) + "}"


def _output_text(state: OrchestrationState) -> str:
    if state.failure is not None:
        return to_text(output_of(state))
    return state.output or "null"


def _seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _unless_finished(call: Coroutine[Any, Any, None]) -> Answer:
    try:
        await call
    except WrongStatusError:
        return _GONE
    return Answer(202)


def _purged(count: int) -> Answer:
    return Answer(200, json.dumps({"instancesDeleted": count})) if count else _NOT_FOUND


def _refusal(reason: str) -> Answer:
    return Answer(
        400,
        json.dumps(
            {
                "Message": "One or more of the arguments submitted is incorrect",
                "ExceptionMessage": reason,
                "ExceptionType": "System.ArgumentException",
                "StackTrace": None,
            }
        ),
    )


def _error(status: int, error: DurableError, headers: Mapping[str, str] | None = None) -> Answer:
    body = {
        "Message": "Something went wrong while processing your request",
        "ExceptionMessage": str(error),
        "ExceptionType": type(error).__name__,
        "StackTrace": None,
    }
    return Answer(status, json.dumps(body), headers or {})


# ---------------------------------------------------------------------------------------------
# Parameters
# ---------------------------------------------------------------------------------------------


def _json_text(body: bytes) -> str | None:
    """The body as JSON text, None for an empty one.

    Raises:
        ValueError: it is no JSON.
    """
    if not body.strip():
        return None
    try:
        text = body.decode("utf-8-sig")
        from_text(text)
    except (ValueError, PayloadError) as error:
        raise ValueError(f"Invalid JSON content: {error}") from error
    return text


def _wait_s(request: ApiRequest) -> float | None:
    """Seconds to wait for completion: only where timeout and pollingInterval are both given."""
    timeout = _number(request, "timeout")
    interval = _number(request, "pollinginterval")
    if timeout is None or interval is None:
        return None
    if interval > timeout:
        raise ValueError(
            f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
        )
    return timeout


def _number(request: ApiRequest, name: str) -> float | None:
    try:
        value = float(request.query.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _page_size(request: ApiRequest) -> int:
    top = _number(request, "top")
    return _DEFAULT_PAGE if top is None else int(min(max(top, 1), _MAX_PAGE))


def _flag(request: ApiRequest, name: str, *, default: bool) -> bool:
    text = request.query.get(name, "").strip().casefold()
    return text == "true" if text in {"true", "false"} else default


def _time(request: ApiRequest, name: str) -> datetime | None:
    # A "+" that was not percent-encoded arrives as a blank: it was an offset's sign.
    text = request.query.get(name, "").strip()
    date, blank, offset = text.rpartition(" ")
    candidates = (text, f"{date}+{offset}") if blank else (text,)
    for candidate in candidates:
        try:
            moment = datetime.fromisoformat(candidate)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _statuses(request: ApiRequest) -> frozenset[OrchestrationStatus] | None:
    names = request.query.get("runtimestatus", "").split(",")
    found = frozenset(status for status in map(parse_status, names) if status is not None)
    return found or None
