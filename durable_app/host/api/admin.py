"""The admin API below ``/admin``: the state of the host, its functions, keys and manual triggers.

Knows requests and answers, not sockets. Whoever serves it checks the key (where keys are asked
for) and the origin first: everything here is for operators.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.client.forwarded import public_origin
from durable_app.errors import DurableError, StoreUnavailableError
from durable_app.host.api.admin_keys import KeyRoutes
from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.api.function_detail import detail
from durable_app.host.calls.invoke import FunctionFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from durable_app.host.app.roster import HostedApp, HostedFunction
    from durable_app.host.web.keys import Keys
    from durable_app.ports import Clock

_log = logging.getLogger(__name__)

#: Version of the Functions host whose behaviour this one has; tools look at its first number.
RUNTIME_VERSION: Final = "4.0.0.0"
_NOT_LOADED: Final = Answer(
    500, json.dumps({"Message": "The app is broken; the console says why. The one before goes on."})
)
_RETRY_S: Final = "5"
_OK: Final = Answer(200)
_ACCEPTED: Final = Answer(202)
_NOT_FOUND: Final = Answer(404)
_BAD_REQUEST: Final = Answer(400)
# System.Diagnostics.TraceLevel, by name and by number.
_LEVELS: Final[Mapping[str, int]] = {
    "error": logging.ERROR,
    "1": logging.ERROR,
    "warning": logging.WARNING,
    "2": logging.WARNING,
    "info": logging.INFO,
    "3": logging.INFO,
    "verbose": logging.DEBUG,
    "4": logging.DEBUG,
}

#: Runs a function with a text in place of its trigger's value, and returns when it has ended.
Trigger = Callable[["HostedFunction", str], Awaitable[None]]
#: Loads the app again; False where it is broken, and the one before goes on.
Restart = Callable[[], Awaitable[bool]]


class HostFacts(NamedTuple):
    """What the admin API tells about the host, and what it needs to make URLs.

    Attributes:
        host_id: names this host among others, such as the machine's name.
        version: of durable_app.
        folder: of the app.
        route_prefix: of HTTP functions, ``api`` unless host.json says otherwise.
        config: host.json as it was read, JSON-ready.
        extension_bundle: ``{"id", "version"}`` of host.json; None where it names none.
        use_forwarded_host: links honour the forwarding headers of a proxy.
    """

    host_id: str
    version: str
    folder: Path
    route_prefix: str = "api"
    config: Mapping[str, Any] = {}
    extension_bundle: Mapping[str, str] | None = None
    use_forwarded_host: bool = False


_Path = tuple[str, ...]


class AdminApi:
    """Answers admin requests; the parts of a request are those below ``/admin``.

    Args:
        app: gives the app that is loaded at present.
        facts: what is told about the host.
        keys: where keys are kept.
        trigger: runs a function for a manual trigger; FunctionFailedError was reported already.
        restart: loads the app again.
    """

    def __init__(
        self,
        app: Callable[[], HostedApp],
        facts: HostFacts,
        keys: Keys,
        clock: Clock,
        trigger: Trigger,
        restart: Restart,
    ) -> None:
        self._app = app
        self._facts = facts
        self._clock = clock
        self._trigger = trigger
        self._restart = restart
        self._started = clock.monotonic()
        self._key_routes = KeyRoutes(keys)
        self._running: set[asyncio.Task[None]] = set()
        self._routes: Mapping[tuple[str, _Path], Callable[[ApiRequest], Awaitable[Answer]]] = {
            ("GET", ("host", "status")): self._status,
            ("GET", ("host", "ping")): _ok,
            ("POST", ("host", "ping")): _ok,
            ("GET", ("host", "processes")): _processes,
            ("GET", ("host", "config")): self._config,
            ("POST", ("host", "restart")): self._reload,
            ("POST", ("host", "synctriggers")): _synchronized,
            ("POST", ("host", "drain")): _accepted,
            ("POST", ("host", "resume")): _resumed,
            ("POST", ("host", "log")): _write_log,
            ("PUT", ("host", "state")): _set_state,
            ("GET", ("functions",)): self._list,
            ("GET", ("warmup",)): _ok,
            ("POST", ("warmup",)): _ok,
        }

    async def answer(self, request: ApiRequest) -> Answer:
        """Answer one request; errors of the host become codes."""
        try:
            return await self._route(request)
        except StoreUnavailableError as error:
            return Answer(503, json.dumps({"Message": str(error)}), {"Retry-After": _RETRY_S})
        except DurableError as error:
            return Answer(500, json.dumps({"Message": str(error)}))

    async def _route(self, request: ApiRequest) -> Answer:
        path = tuple(part.casefold() for part in request.parts)
        route = self._routes.get((request.method, path))
        if route is not None:
            return await route(request)
        match path:
            case ("host", scope, *_) if self._key_routes.is_scope(scope):
                return self._key_routes.of_host(request, scope, request.parts[2:])
            case ("functions", _, *rest):
                function = self._find(request.parts[1])
                if function is None:
                    return _NOT_FOUND
                return self._of_function(request, function, tuple(rest))
            case _:
                return _NOT_FOUND

    async def close(self, grace_s: float) -> None:
        """Let functions that were triggered by hand end; after so long they are cancelled."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    # -- the host -------------------------------------------------------------------------------

    async def _status(self, _request: ApiRequest) -> Answer:
        uptime_s = self._clock.monotonic() - self._started
        status: dict[str, Any] = {
            "id": self._facts.host_id,
            "state": "Running",
            "version": RUNTIME_VERSION,
            "versionDetails": f"{RUNTIME_VERSION}+durable_app.{self._facts.version}",
            "processUptime": int(uptime_s * 1000),
            "functionAppContentEditingState": "Allowed",
        }
        if self._facts.extension_bundle is not None:
            status["extensionBundle"] = dict(self._facts.extension_bundle)
        errors = [
            f"The '{f.facts.name}' function is in error: {f.error}"
            for f in self._app().functions
            if f.error is not None
        ]
        if errors:
            status["errors"] = errors
        return _json(status)

    async def _config(self, _request: ApiRequest) -> Answer:
        return _json(dict(self._facts.config))

    async def _reload(self, _request: ApiRequest) -> Answer:
        return _OK if await self._restart() else _NOT_LOADED

    # -- functions ------------------------------------------------------------------------------

    def _find(self, name: str) -> HostedFunction | None:
        wanted = name.casefold()
        return next((f for f in self._app().functions if f.facts.name.casefold() == wanted), None)

    def _detail(self, request: ApiRequest, function: HostedFunction) -> dict[str, Any]:
        trusts = self._facts.use_forwarded_host
        origin = public_origin(request.url, request.headers, trust_forwarded=trusts)
        app = self._app()
        return detail(
            function, app.script_file, self._facts.folder, self._facts.route_prefix, origin
        )

    async def _list(self, request: ApiRequest) -> Answer:
        return _json([self._detail(request, function) for function in self._app().functions])

    def _of_function(self, request: ApiRequest, function: HostedFunction, rest: _Path) -> Answer:
        match request.method, rest:
            case "GET", ():
                return _json(self._detail(request, function))
            case "GET", ("status",):
                return _json({} if function.error is None else {"errors": [function.error]})
            case "POST", ():
                return self._run(request, function)
            case _, ("keys", *_):
                name = function.facts.name
                return self._key_routes.of_function(request, name, request.parts[3:])
            case _:
                return _NOT_FOUND

    def _run(self, request: ApiRequest, function: HostedFunction) -> Answer:
        if not function.runs:
            reason = function.error or f"Function '{function.facts.name}' is disabled."
            return Answer(404, json.dumps({"Message": reason}))
        text = _input(request.body)
        if text is None:
            return _BAD_REQUEST
        # Kept: the event loop itself holds no reference that keeps a task alive.
        task = asyncio.create_task(self._report(function, text))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return _ACCEPTED

    async def _report(self, function: HostedFunction, text: str) -> None:
        try:
            await self._trigger(function, text)
        except FunctionFailedError:
            return  # reported as every failure of a function is
        except DurableError as error:
            _log.warning("A function could not be run by hand: %s", error)
        except Exception:  # noqa: BLE001  the caller was answered long ago; nobody else hears it
            _log.exception("manual trigger failed", extra={"function": function.facts.name})


def _input(body: bytes) -> str | None:
    """The text that a manual trigger carries; "" where it carries none, None for no request."""
    found = _object(body)
    if found is None:
        return None
    value = next((found[key] for key in found if key.casefold() == "input"), None)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return None if isinstance(value, list | dict) else json.dumps(value)


def _object(body: bytes) -> dict[str, Any] | None:
    found = _parsed(body)
    return found if isinstance(found, dict) else None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value))


async def _ok(_request: ApiRequest) -> Answer:
    return _OK


async def _accepted(_request: ApiRequest) -> Answer:
    return _ACCEPTED  # there is no other instance to which work could go


async def _resumed(_request: ApiRequest) -> Answer:
    return Answer(202, json.dumps({"state": "Running"}))


async def _synchronized(_request: ApiRequest) -> Answer:
    return _json({"status": "success"})  # nothing outside of this process holds triggers


async def _processes(_request: ApiRequest) -> Answer:
    process = {
        "processId": os.getpid(),
        "processName": os.path.basename(sys.executable),
        "debugEngine": "python",
        "isEligibleForOpenInBrowser": False,
    }
    return _json({"processes": [process]})


async def _set_state(request: ApiRequest) -> Answer:
    state = _parsed(request.body)
    if isinstance(state, str) and state.casefold() == "running":
        return _ACCEPTED
    return Answer(400, json.dumps({"Message": "This host is always 'running'; stop it instead."}))


async def _write_log(request: ApiRequest) -> Answer:
    entries = _parsed(request.body)
    if not isinstance(entries, list) or not entries:
        return Answer(400, json.dumps({"Message": "An array of log entry objects is expected."}))
    for entry in entries:
        if isinstance(entry, dict):
            level = _LEVELS.get(str(entry.get("level", "info")).casefold(), logging.INFO)
            _log.log(level, "%s", entry.get("message", ""))
    return _OK
