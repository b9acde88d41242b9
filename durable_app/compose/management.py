"""The management API of a task hub for commands.

It is that of the host that runs, of its database file, or of a hub elsewhere.

Where a host works on the database, or keeps the hub in memory, requests go to it over HTTP: a file
has one owner. Where none does, the hub is opened here for the time of the command, without a
worker: what is started or raised is stored and goes on when the host starts. A hub of another
process is asked over gRPC.
All ways end in the same ``ManagementApi``, so answers are the same by construction.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import quote, urlencode, urlsplit

from durable_app.client.connection import Connection
from durable_app.client.management import WEBHOOK_PATH, ManagementUrls
from durable_app.client.orchestration_client import REPLACEABLE
from durable_app.clock import SystemClock
from durable_app.compose.extras import needs_grpc
from durable_app.compose.plan import asking
from durable_app.connection.connection_string import split_pairs
from durable_app.connection.endpoint import is_loopback
from durable_app.errors import ConfigError, SchedulerUnavailableError
from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.api.management import ManagementApi
from durable_app.host.config.hub_choice import choose_hub, memory_mark
from durable_app.host.config.settings import apply_values, read_host_settings, read_local_settings
from durable_app.host.state import STATE_FILE, HostState
from durable_app.host.web.keys import DURABLE_EXTENSION, Keys
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.ownership import Owner, owner_of
from durable_app.storage.sqlite import SqliteStore
from durable_app.storage.upkeep import delete_hub, hub_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from durable_app.connection.target import HubTarget
    from durable_app.host.config.settings import DurableTaskOptions
    from durable_app.ports import Entities, Orchestrations

#: A host that runs answers within this; one that starts or ends is waited for as long.
PATIENCE_S: Final = 5.0
# A purge of many instances takes its time.
_REQUEST_TIMEOUT_S: Final = 120.0
_RETRY_S: Final = 0.1
# Of management URLs in answers when no host runs: where one will be.
_DEFAULT_ORIGIN: Final = "http://localhost:7071"
_UNAUTHORIZED: Final = 401
_JSON: Final = {"content-type": "application/json"}


class Caller(Protocol):
    """A management API that answers.

    Attributes:
        host: address of the host or the hub that answers; None where the database file does.
    """

    host: str | None

    async def __call__(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request.

        Args:
            parts: segments below the API's path, not encoded.
            headers: names in lower case.

        Returns:
            Names of its headers are in lower case.

        Raises:
            SchedulerUnavailableError: the host does not answer any more.
        """


class RemotePlace(NamedTuple):
    """A task hub of another process.

    Attributes:
        connection: name of the setting with its connection string.
        environ: settings that count for the connection.
    """

    name: str
    connection: str
    target: HubTarget
    environ: Mapping[str, str]
    options: DurableTaskOptions


class HubPlace(NamedTuple):
    """Where a task hub is stored.

    Attributes:
        connection: name of the setting with its connection string.
        database: its file; of a hub in a host's memory what stands for it, see ``memory_mark``.
        state: what the app's host remembers itself, its keys among it.
    """

    name: str
    connection: str
    database: Path
    state: Path
    options: DurableTaskOptions


def locate_hub(
    folder: Path,
    environ: Mapping[str, str],
    *,
    store: str | None = None,
    hub: str | None = None,
    connection: str | None = None,
) -> HubPlace | RemotePlace:
    """Find the hub of an app by the rules of ``func start``.

    A host that runs with a hub of its own has decided already.

    Args:
        environ: left as it is; the app's settings count, too.
        store: ``sqlite:PATH``; None as ``func start`` takes it.
        hub: name of the hub; None for the app's.
        connection: name of the setting with the connection string; None for host.json's.

    Raises:
        ConfigError: a setting is wrong or missing, or the hub lives in the memory of a host.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Name the app's folder with --script-root.")
    environ = dict(environ)
    apply_values(read_local_settings(folder), environ)
    options = read_host_settings(folder, environ).extensions.durable_task
    if connection:
        options = _with_connection(options, connection, environ)
    if hub:
        options = options.model_copy(update={"hub_name": hub})
    is_hub = asking(environ)
    choice = choose_hub(options, environ, folder, mode="embedded", store=store, is_hub=is_hub)
    has_host = choice.store is not None and owner_of(choice.store) is not None
    mark = memory_mark(folder, choice.name)
    if not has_host and store in {None, "memory"} and owner_of(mark) is not None:
        return HubPlace(choice.name, choice.connection, mark, folder / STATE_FILE, options)
    if store is None and not has_host:
        choice = choose_hub(options, environ, folder, is_hub=is_hub)
    if choice.target is not None:
        return RemotePlace(choice.name, choice.connection, choice.target, environ, options)
    if choice.store is None:
        raise ConfigError(
            f"A memory store lives within the process of its host and ends with it, and no host of"
            f" {folder} has one for task hub '{choice.name}'. Start it first, or keep the hub in a"
            " file (--store sqlite:PATH)."
        )
    return HubPlace(choice.name, choice.connection, choice.store, folder / STATE_FILE, options)


def _with_connection(
    options: DurableTaskOptions, connection: str, environ: Mapping[str, str]
) -> DurableTaskOptions:
    if not environ.get(connection):
        raise ConfigError(
            f"--connection-string-setting {connection}: there is no such setting. Set it in"
            " local.settings.json (Values) or in the environment."
        )
    changed = {"connection_string_name": connection}
    if "endpoint" in split_pairs(environ[connection], connection).values:
        # It is a scheduler's, whatever host.json says of the app's own hub.
        changed["type"] = "azureManaged"
    provider = options.storage_provider.model_copy(update=changed)
    return options.model_copy(update={"storage_provider": provider})


@contextlib.asynccontextmanager
async def open_management(place: HubPlace | RemotePlace) -> AsyncIterator[Caller]:
    """Reach a hub's management API until the block ends.

    Raises:
        ConfigError: there is no such database, or it does not hold that hub.
        SchedulerUnavailableError: the process that uses the database does not answer.
        StoreCorruptError, StoreUnavailableError: the file cannot be used.
    """
    clock = SystemClock()
    end = clock.monotonic() + PATIENCE_S
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(place, RemotePlace):
            yield _connect(place, stack)
            return
        while True:
            caller = await _reach(place, stack)
            if caller is not None:
                break
            if clock.monotonic() > end:
                raise SchedulerUnavailableError(_silent(place, owner_of(place.database)))
            await asyncio.sleep(_RETRY_S)
        yield caller


async def _reach(place: HubPlace, stack: contextlib.AsyncExitStack) -> Caller | None:
    """A caller; None where the owner of the file is about to begin or to end."""
    owner = owner_of(place.database)
    if owner is None:
        return _open(place, stack)
    if owner.url is None:
        return None
    host = _Host(place, owner.url)
    try:
        await host.ping()
    except TimeoutError as error:
        raise SchedulerUnavailableError(_silent(place, owner)) from error
    except (OSError, http.client.HTTPException):
        return None
    return host


def delete_task_hub(place: HubPlace | RemotePlace) -> None:
    """Remove a hub with all of its instances; the file, too, if it was the only one in it.

    Raises:
        ConfigError: a host uses it, there is none, or it is another process's.
        StoreCorruptError, StoreUnavailableError: the file cannot be used.
    """
    if isinstance(place, RemotePlace):
        raise ConfigError(
            f"Task hub {place.target} belongs to another process. Delete it there: in Azure with"
            " `az durabletask taskhub delete`."
        )
    owner = owner_of(place.database)
    if owner is not None:
        raise ConfigError(
            f"Task hub '{place.name}' is in use by {_described(owner)}. Stop that host first."
        )
    _check_hub(place)
    delete_hub(place.database, place.name)


def _check_hub(place: HubPlace) -> None:
    if not place.database.is_file():
        raise ConfigError(
            f"There is no task hub '{place.name}': {place.database} does not exist. Run"
            " `func start` once, or name another with --task-hub-name, --store or --script-root."
        )
    names = hub_names(place.database)
    if place.name not in names:
        raise ConfigError(
            f"{place.database} holds no task hub '{place.name}'; it holds"
            f" {', '.join(map(repr, names)) or 'none'}. Name it with --task-hub-name."
        )


def _described(owner: Owner) -> str:
    process = "another process" if owner.pid is None else f"process {owner.pid}"
    return f"{process} ({owner.url})" if owner.url else process


def _silent(place: HubPlace, owner: Owner | None) -> str:
    who = "another process" if owner is None else _described(owner)
    return (
        f"{place.database} is in use by {who}, which does not answer within {PATIENCE_S:g} s."
        " If it hangs, end it and try again."
    )


def _open(place: HubPlace, stack: contextlib.AsyncExitStack) -> Caller | None:
    try:
        _check_hub(place)
        hub = TaskHub(
            SqliteStore(place.database, place.name), HubOptions(name=place.name), SystemClock()
        )
        hub.open()
    except ConfigError:
        if owner_of(place.database) is not None:
            return None  # somebody was faster
        raise
    stack.push_async_callback(hub.stop)
    return _Direct(place, hub, hub, None)


def _connect(place: RemotePlace, stack: contextlib.AsyncExitStack) -> Caller:
    with needs_grpc():
        from durable_app.compose.remote import open_client
    hub = open_client(place.target, SystemClock(), place.environ)
    stack.push_async_callback(hub.close)
    return _Direct(place, hub, hub, place.target.endpoint.authority)


class _Direct:
    """Answers by itself, on a hub. Implements ``Caller``."""

    def __init__(
        self,
        place: HubPlace | RemotePlace,
        orchestrations: Orchestrations,
        entities: Entities,
        host: str | None,
    ) -> None:
        self.host = host
        connection = Connection(
            orchestrations,
            entities,
            ManagementUrls(_DEFAULT_ORIGIN, place.name, place.connection),
            place.name,
            asyncio.get_running_loop(),
            default_version=place.options.default_version,
            replaceable=REPLACEABLE[place.options.overridable_existing_instance_states],
        )
        self._api = ManagementApi(connection, SystemClock())

    async def __call__(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = await self._api.answer(
            ApiRequest(
                method=method,
                parts=parts,
                query={name.casefold(): value for name, value in (query or {}).items()},
                headers={**_JSON, **(headers or {})},
                body=body,
                url=f"{_DEFAULT_ORIGIN}{_path(parts, query or {})}",
            )
        )
        lowered = {name.casefold(): value for name, value in answer.headers.items()}
        return answer._replace(headers=lowered)


class _Host:
    """Asks a host that runs. Implements ``Caller``."""

    def __init__(self, place: HubPlace, url: str) -> None:
        self.host: str | None = url
        self._place = place
        self._url = url
        self._code: dict[str, str] = {}

    async def ping(self) -> None:
        """Raise TimeoutError, OSError or HTTPException where no host answers."""
        await asyncio.to_thread(self._exchange, "GET", f"{WEBHOOK_PATH}/", b"", {}, PATIENCE_S)

    async def __call__(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        full = {**(query or {}), "taskHub": self._place.name, **self._code}
        sent = {**_JSON, **(headers or {})}
        try:
            answer = await asyncio.to_thread(
                self._exchange, method, _path(parts, full), body, sent, _REQUEST_TIMEOUT_S
            )
        except (OSError, http.client.HTTPException) as error:
            raise SchedulerUnavailableError(
                f"The host at {self._url} does not answer any more ({error!r})."
            ) from error
        if answer.status != _UNAUTHORIZED or self._code:
            return answer
        # The host demands keys; who may read its state may use them.
        self._code = {"code": self._key()}
        return await self(method, parts, query, body, headers)

    def _key(self) -> str:
        state = HostState(self._place.state)
        with contextlib.closing(state):
            return Keys(state).system(DURABLE_EXTENSION)

    def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        url = urlsplit(self._url)
        connection = _connection(url.scheme, url.hostname or "", url.port, timeout_s)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            text = response.read().decode()
            found = {name.casefold(): value for name, value in response.getheaders()}
        return Answer(response.status, text or None, found)


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float
) -> http.client.HTTPConnection:
    # Plain connections: a proxy of the environment must not see requests to this machine.
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    context = ssl.create_default_context()
    if is_loopback(host):
        # A host signs its own certificate; on this machine the lock file has told who it is.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _path(parts: tuple[str, ...], query: Mapping[str, str]) -> str:
    path = "/".join(quote(part, safe="") for part in parts)
    return f"{WEBHOOK_PATH}/{path}" + (f"?{urlencode(query)}" if query else "")


def reason_of(answer: Answer) -> str:
    """Why a request was refused, in a sentence."""
    try:
        body = json.loads(answer.body or "")
        return str(body.get("ExceptionMessage") or body["Message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The task hub's answer is {answer.status}: {answer.body or 'nothing more'}"
