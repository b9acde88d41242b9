"""What ``func durable ...`` asks the management API, and how it shows the answers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.cli.durable import report
from durable_app.clock import SystemClock
from durable_app.compose.management import HubPlace, delete_task_hub, open_management, reason_of
from durable_app.errors import DurableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from durable_app.compose.management import Caller, RemotePlace
    from durable_app.host.api.exchange import Answer

_CONTINUATION: Final = "x-ms-continuation-token"
_MOST_PER_PAGE: Final = 1000
_EARLIEST: Final = "0001-01-01T00:00:00+00:00"
_PAST: Final = {"terminate": "terminated", "suspend": "suspended", "resume": "resumed"}


class _Outcome(NamedTuple):
    """What a command has found: for people, and for programs."""

    text: str
    value: Any


class _RefusedError(DurableError):
    """The task hub has refused; the message says why."""

    code = "refused"


async def ask(args: argparse.Namespace, place: HubPlace | RemotePlace) -> int:
    """Run the command against its task hub; return the exit code."""
    async with open_management(place) as call:
        try:
            outcome = await _COMMANDS[args.command](args, call)
        except _RefusedError as error:
            return report(str(error), as_json=args.json)
    if call.host is None and args.command in _GOES_ON_LATER:
        print("No host runs: this is stored and goes on with `func start`.", file=sys.stderr)
    print(json.dumps(outcome.value) if args.json else outcome.text)
    return 0


def delete_hub(args: argparse.Namespace, place: HubPlace | RemotePlace) -> int:
    """Remove the hub, after a question on a terminal; return the exit code."""
    if isinstance(place, HubPlace) and not args.yes and sys.stdin.isatty():
        question = f"Delete task hub '{place.name}' in {place.database} with all instances? [y/N] "
        if input(question).strip().casefold() not in {"y", "yes"}:
            return report("Nothing was deleted.", as_json=args.json)
    delete_task_hub(place)
    value = {"taskHub": place.name}
    print(json.dumps(value) if args.json else f"Task hub '{place.name}' successfully deleted.")
    return 0


async def _start(args: argparse.Namespace, call: Caller) -> _Outcome:
    parts = ("orchestrators", args.function_name, *([args.id] if args.id else ()))
    query = {"version": args.version} if args.version else {}
    answer = _checked(await call("POST", parts, query, args.input or b""), args.id)
    status = await _status_of(call, json.loads(answer.body or "{}")["id"])
    told = (
        f"Started '{args.function_name}' at {status['createdTime']}."
        f" Instance ID: '{status['instanceId']}'."
    )
    return _Outcome(f"{told}\n{_pretty(_without(status))}", status)


async def _get_status(args: argparse.Namespace, call: Caller) -> _Outcome:
    status = _shown(args, await _status_of(call, args.id))
    return _Outcome(_pretty(status), status)


async def _get_history(args: argparse.Namespace, call: Caller) -> _Outcome:
    query = {"showHistory": "true", "showHistoryOutput": "true", "showInput": "true"}
    events = (await _status_of(call, args.id, query))["historyEvents"]
    return _Outcome(_pretty(events), events)


async def _get_instances(args: argparse.Namespace, call: Caller) -> _Outcome:
    rows, token = await _rows(args, call, ("instances",), _filters(args))
    return _listed("instances", [_shown(args, row) for row in rows], token)


async def _raise_event(args: argparse.Namespace, call: Caller) -> _Outcome:
    name = args.event_name or f"Event_{SystemClock().new_id()}"
    parts = ("instances", args.id, "raiseEvent", name)
    _checked(await call("POST", parts, {}, args.event_data or b"null"), args.id)
    return _Outcome(
        f"Raised event '{name}' to instance '{args.id}'.",
        {"instanceId": args.id, "eventName": name},
    )


async def _steer(args: argparse.Namespace, call: Caller) -> _Outcome:
    await _operate(args, call)
    status = (await _status_of(call, args.id))["runtimeStatus"]
    return _Outcome(
        f"Successfully {_PAST[args.command]} '{args.id}'",
        {"instanceId": args.id, "runtimeStatus": status},
    )


async def _rewind(args: argparse.Namespace, call: Caller) -> _Outcome:
    await _operate(args, call)
    status = (await _status_of(call, args.id))["runtimeStatus"]
    return _Outcome(
        f"Rewind message sent to instance '{args.id}'.\nStatus: {status}",
        {"instanceId": args.id, "runtimeStatus": status},
    )


async def _restart(args: argparse.Namespace, call: Caller) -> _Outcome:
    await _status_of(call, args.id)  # its 404 is clearer than what a restart says
    query = {"restartWithNewInstanceId": "false" if args.keep_id else "true"}
    answer = await call("POST", ("instances", args.id, "restart"), query)
    started = json.loads(_checked(answer, args.id).body or "{}")["id"]
    return _Outcome(f"Restarted '{args.id}'. Instance ID: '{started}'.", {"instanceId": started})


async def _purge(args: argparse.Namespace, call: Caller) -> _Outcome:
    query = {"createdTimeFrom": _EARLIEST} | _filters(args)
    answer = await call("DELETE", ("instances",), query)
    if answer.status == 404:  # noqa: PLR2004  HTTP: nothing matched
        count = 0
    else:
        count = json.loads(_checked(answer, None).body or "{}")["instancesDeleted"]
    return _Outcome(f"Instances deleted: {count}", {"instancesDeleted": count})


async def _get_entities(args: argparse.Namespace, call: Caller) -> _Outcome:
    given = {
        "lastOperationTimeFrom": args.modified_after,
        "lastOperationTimeTo": args.modified_before,
        "fetchState": "true" if args.show_state else None,
    }
    query = {name: value for name, value in given.items() if value}
    parts = ("entities", args.name) if args.name else ("entities",)
    rows, token = await _rows(args, call, parts, query)
    if not args.show_state:
        rows = [_without(row, "state") for row in rows]
    return _listed("entities", rows, token)


async def _read_entity(args: argparse.Namespace, call: Caller) -> _Outcome:
    answer = await call("GET", ("entities", args.name, args.key))
    if answer.status == 404:  # noqa: PLR2004  HTTP
        raise _RefusedError(f"Could not find an entity with id '@{args.name}@{args.key}'")
    state = json.loads(_checked(answer, None).body or "null")
    entity_id = {"name": args.name, "key": args.key}
    return _Outcome(_pretty(state), {"entityId": entity_id, "state": state})


async def _signal_entity(args: argparse.Namespace, call: Caller) -> _Outcome:
    parts = ("entities", args.name, args.key)
    answer = await call("POST", parts, {"op": args.operation}, args.input or b"")
    if answer.status == 404:  # noqa: PLR2004  HTTP: the API has no way to name it
        raise _RefusedError(f"'{args.key}' cannot be the key of an entity.")
    _checked(answer, None)
    return _Outcome(
        f"Signaled '{args.operation}' to entity '@{args.name}@{args.key}'.",
        {"entityId": {"name": args.name, "key": args.key}, "operation": args.operation},
    )


async def _clean_entities(args: argparse.Namespace, call: Caller) -> _Outcome:
    query = {
        "op": "clean",
        "removeEmptyEntities": "false" if args.keep_empty else "true",
        "releaseOrphanedLocks": "false" if args.keep_locks else "true",
    }
    done = json.loads(_checked(await call("POST", ("entities",), query), None).body or "{}")
    return _Outcome(
        f"Empty entities removed: {done['emptyEntitiesRemoved']}\n"
        f"Orphaned locks released: {done['orphanedLocksReleased']}",
        done,
    )


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace, Caller], Awaitable[_Outcome]]]] = {
    "start-new": _start,
    "get-runtime-status": _get_status,
    "get-history": _get_history,
    "get-instances": _get_instances,
    "raise-event": _raise_event,
    "terminate": _steer,
    "suspend": _steer,
    "resume": _steer,
    "rewind": _rewind,
    "restart": _restart,
    "purge-history": _purge,
    "get-entities": _get_entities,
    "read-entity": _read_entity,
    "signal-entity": _signal_entity,
    "clean-entities": _clean_entities,
}
_GOES_ON_LATER: Final = frozenset(
    {"start-new", "raise-event", "resume", "rewind", "restart", "signal-entity"}
)


# -- requests and answers -------------------------------------------------------------------------


async def _operate(args: argparse.Namespace, call: Caller) -> None:
    query = {} if args.reason is None else {"reason": args.reason}
    answer = await call("POST", ("instances", args.id, args.command), query)
    if answer.status == 410 and args.command == "rewind":  # noqa: PLR2004  HTTP
        raise _RefusedError(
            f"The orchestration instance '{args.id}' has finished without a failure: only failed"
            " ones can be rewound."
        )
    _checked(answer, args.id)


async def _status_of(
    call: Caller, instance_id: str, query: dict[str, str] | None = None
) -> dict[str, Any]:
    answer = _checked(await call("GET", ("instances", instance_id), query or {}), instance_id)
    found: dict[str, Any] = json.loads(answer.body or "{}")
    return found


async def _rows(
    args: argparse.Namespace, call: Caller, parts: tuple[str, ...], query: dict[str, str]
) -> tuple[list[dict[str, Any]], str | None]:
    """As many rows of a list as are wanted, and the token for those after them."""
    rows: list[dict[str, Any]] = []
    token = args.continuation_token
    while len(rows) < args.top:
        query = query | {"top": str(min(args.top - len(rows), _MOST_PER_PAGE))}
        headers = {_CONTINUATION: token} if token else {}
        answer = _checked(await call("GET", parts, query, b"", headers), None)
        rows += json.loads(answer.body or "[]")
        token = answer.headers.get(_CONTINUATION)
        if not token:
            break
    return rows, token or None


def _checked(answer: Answer, instance_id: str | None) -> Answer:
    """The answer, if it is a good one."""
    if answer.status in {200, 202}:
        return answer
    if answer.status == 404 and instance_id is not None:  # noqa: PLR2004  HTTP
        raise _RefusedError(_unknown(instance_id))
    if answer.status == 410:  # noqa: PLR2004  HTTP
        raise _RefusedError(f"The orchestration instance '{instance_id}' has finished already.")
    raise _RefusedError(reason_of(answer))


def _unknown(instance_id: str) -> str:
    return f"Could not find an orchestration instance with id '{instance_id}'"


def _filters(args: argparse.Namespace) -> dict[str, str]:
    given = {
        "createdTimeFrom": args.created_after,
        "createdTimeTo": args.created_before,
        "runtimeStatus": ",".join(args.runtime_status),
    }
    return {name: value for name, value in given.items() if value}


def _shown(args: argparse.Namespace, status: dict[str, Any]) -> dict[str, Any]:
    hidden = {"input": not args.show_input, "output": not args.show_output}
    return _without(status, *(name for name, is_hidden in hidden.items() if is_hidden))


def _without(status: dict[str, Any], *names: str) -> dict[str, Any]:
    # Histories have a command of their own; the key is there in every status.
    return {key: value for key, value in status.items() if key not in {*names, "historyEvents"}}


def _listed(what: str, rows: list[dict[str, Any]], token: str | None) -> _Outcome:
    text = _pretty(rows)
    if token:
        text += f"\nContinuation token for next set of results: '{token}'"
    return _Outcome(text, {what: rows, "continuationToken": token})


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
