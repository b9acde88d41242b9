"""The durable management API: what the URLs of a management payload lead to.

Knows requests and answers, not sockets: :meth:`ManagementApi.answer` maps one to the other, with
the paths, parameters, codes and JSON shapes of Azure's durable extension.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from durable_app.client import requests
from durable_app.client.forwarded import public_origin
from durable_app.client.history_view import Shown, project_text
from durable_app.client.orchestration_client import DurableOrchestrationClient
from durable_app.errors import (
    DurableError,
    InstanceNotFoundError,
    PayloadError,
    SchedulerUnavailableError,
    StoreUnavailableError,
    WrongStatusError,
)
from durable_app.host.api.entities import EntityRoutes
from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.api.management_answers import (
    ACCEPTED,
    BAD_JSON,
    GONE,
    NOT_FOUND,
    failure,
    id_is_taken,
    message,
    output_text,
    purged,
    refusal,
    status_text,
)
from durable_app.host.api.management_parameters import (
    InvalidJsonError,
    continuation_header,
    continuation_token,
    flag,
    is_json,
    json_text,
    moment,
    page_size,
    statuses,
    wait_s,
)
from durable_app.host.calls.invocation_context import trace_context_of
from durable_app.payload import to_text
from durable_app.ports import InstanceQuery, PurgeFilter
from durable_app.protocol import OrchestrationState, OrchestrationStatus

if TYPE_CHECKING:
    from durable_app.client.connection import Connection
    from durable_app.ports import Clock
    from durable_app.protocol import TraceContext

_log = logging.getLogger(__name__)

_POLL_S: Final = "5"
_FIRST_POLL_S: Final = "10"
_JSON_ONLY: Final = message(400, "Only application/json request content is supported")
_NO_START_TIME: Final = message(400, "Please provide value for 'createdTimeFrom' parameter.")
_NOTHING_TO_RESTART: Final = "InstanceId does not match a valid orchestration instance."
_JSON_ERROR: Final = "Newtonsoft.Json.JsonReaderException"
_Route = Callable[[ApiRequest], Coroutine[Any, Any, Answer]]


class ManagementApi:
    """Answers management requests for one task hub.

    Args:
        connection: of the hub. Where it trusts a proxy's forwarding headers, links of answers
            have the origin that these name.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._client = DurableOrchestrationClient(connection)
        self._connection = connection
        self._orchestrations = connection.orchestrations
        self._shows_task_inputs = connection.shows_task_inputs
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
            ("POST", "makeprimary", 1): _make_primary,
            **EntityRoutes(self._client, connection.entities).table,
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
        route = self._routes.get((request.method, kind, len(request.parts)))
        if route is None:
            return NOT_FOUND
        hub = request.query.get("taskhub")
        if hub and hub.casefold() != self._client.task_hub_name.casefold():
            return refusal(
                f"This host serves task hub '{self._client.task_hub_name}', not '{hub}'."
            )
        try:
            with self._within(trace_context_of(request.headers)):
                return await _translated(route(request))
        except Exception as error:  # noqa: BLE001  the caller gets the API's shape at all events
            _log.exception("management request failed")
            return failure(error)

    def _within(self, trace: TraceContext | None) -> contextlib.AbstractContextManager[None]:
        """What a request begins belongs to its trace."""
        tracing = self._connection.tracing
        return contextlib.nullcontext() if tracing is None else tracing.within(trace)

    # -- one instance -------------------------------------------------------------------------

    async def _start(self, request: ApiRequest) -> Answer:
        _, name, *ids = request.parts
        text = json_text(request)
        timeout_s = wait_s(request)
        started = await self._client.start_encoded(
            name, ids[0] if ids else None, text, request.query.get("version") or None
        )
        return await self._started(request, started, timeout_s)

    async def _started(
        self, request: ApiRequest, instance_id: str, timeout_s: float | None
    ) -> Answer:
        state = None
        if timeout_s is not None:
            state = await self._orchestrations.wait_for_completion(instance_id, timeout_s=timeout_s)
        if state is None:
            return self._accepted(request, instance_id)
        if state.status is OrchestrationStatus.COMPLETED:
            return Answer(200, output_text(state))
        return await self._shown(request, state)

    def _accepted(self, request: ApiRequest, instance_id: str) -> Answer:
        links = self._connection.urls.links(instance_id, origin=self._origin(request))
        del links["rewindPostUri"]  # the extension does not offer it for a start
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": _FIRST_POLL_S}
        return Answer(202, json.dumps(links), headers)

    def _origin(self, request: ApiRequest) -> str:
        trusted = self._connection.trust_forwarded
        return public_origin(request.url, request.headers, trust_forwarded=trusted)

    async def _status(self, request: ApiRequest) -> Answer:
        state = await self._orchestrations.get(request.parts[1], fetch_payloads=True)
        return NOT_FOUND if state is None else await self._shown(request, state)

    async def _shown(self, request: ApiRequest, state: OrchestrationState) -> Answer:
        show_input = flag(request, "showinput", default=True)
        history = "null"
        if flag(request, "showhistory", default=False):
            show_output = flag(request, "showhistoryoutput", default=False)
            history = project_text(
                await self._orchestrations.history(state.instance_id) or (),
                Shown(show_input, show_output, self._shows_task_inputs),
            )
        body = status_text(state, show_input=show_input, history=history)
        if not state.status.is_terminal:
            parts = urlsplit(request.url)
            own = f"{self._origin(request)}{parts._replace(scheme='', netloc='').geturl()}"
            return Answer(202, body, {"Location": own, "Retry-After": _POLL_S})
        failed = state.status is OrchestrationStatus.FAILED
        as_500 = failed and flag(request, "returninternalservererroronfailure", default=False)
        return Answer(500 if as_500 else 200, body)

    async def _purge(self, request: ApiRequest) -> Answer:
        return purged(await self._orchestrations.purge(request.parts[1]))

    async def _raise_event(self, request: ApiRequest) -> Answer:
        _, instance_id, operation, name = request.parts
        if operation.casefold() != "raiseevent":
            return NOT_FOUND
        state = await self._orchestrations.get(instance_id, fetch_payloads=False)
        if state is None:
            return NOT_FOUND
        if state.status.is_terminal:
            return GONE
        if not is_json(request):
            return _JSON_ONLY
        text = json_text(request)
        return await _unless_finished(
            requests.raise_event(self._connection, instance_id, name, text)
        )

    async def _operate(self, request: ApiRequest) -> Answer:
        operation = self._operations.get(request.parts[2].casefold())
        return NOT_FOUND if operation is None else await operation(request)

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
            return GONE if error.status.is_terminal else refusal(str(error))
        return ACCEPTED

    async def _restart(self, request: ApiRequest) -> Answer:
        timeout_s = wait_s(request)
        new_id = flag(request, "restartwithnewinstanceid", default=True)
        try:
            started = await self._orchestrations.restart(request.parts[1], new_instance_id=new_id)
        except InstanceNotFoundError as error:
            return refusal(str(error), _NOTHING_TO_RESTART)
        except WrongStatusError as error:
            return id_is_taken(error.status)
        return await self._started(request, started, timeout_s)

    # -- many instances -----------------------------------------------------------------------

    async def _list(self, request: ApiRequest) -> Answer:
        page = await self._orchestrations.query(
            InstanceQuery(
                statuses=statuses(request),
                created_from=moment(request, "createdtimefrom"),
                created_to=moment(request, "createdtimeto"),
                instance_id_prefix=request.query.get("instanceidprefix"),
                page_size=page_size(request),
                continuation_token=continuation_token(request),
                fetch_payloads=True,
            )
        )
        show_input = flag(request, "showinput", default=True)
        rows = [status_text(state, show_input=show_input) for state in page.items]
        return Answer(200, f"[{','.join(rows)}]", continuation_header(page.continuation_token))

    async def _purge_by(self, request: ApiRequest) -> Answer:
        created_from = moment(request, "createdtimefrom")
        if created_from is None:
            return _NO_START_TIME
        created_to = moment(request, "createdtimeto") or self._clock.now()
        which = PurgeFilter(created_from, created_to, statuses(request))
        return purged((await self._orchestrations.purge_by(which)).count)


async def _make_primary(_request: ApiRequest) -> Answer:
    return Answer(200)  # there is no other app that could be the primary one


async def _unless_finished(call: Coroutine[Any, Any, None]) -> Answer:
    try:
        await call
    except WrongStatusError:
        return GONE
    return ACCEPTED


async def _translated(answer: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer, or the code of the API for an error that was raised on purpose."""
    try:
        return await answer
    except InstanceNotFoundError:
        return NOT_FOUND
    except (StoreUnavailableError, SchedulerUnavailableError) as error:
        return failure(error, 503, {"Retry-After": _POLL_S})
    except InvalidJsonError as error:
        return refusal(str(error), BAD_JSON, _JSON_ERROR)
    except (ValueError, PayloadError) as error:
        return refusal(str(error))
    except DurableError as error:
        return failure(error)
