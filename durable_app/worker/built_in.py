"""Functions that every worker has and no app lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.functions.bindings import ACTIVITY_TRIGGER, ORCHESTRATION_TRIGGER
from durable_app.functions.facts import DurableFunction, Orchestrator
from durable_app.functions.index import FunctionFacts
from durable_app.replay.http import HTTP_ACTIVITY, HTTP_POLLER, poll_http

if TYPE_CHECKING:
    from durable_app.functions.index import AppIndex
    from durable_app.worker.http_caller import HttpCaller


def with_built_in(index: AppIndex, http: HttpCaller) -> AppIndex:
    """The index with what ``context.call_http`` is made of."""
    poller = DurableFunction(
        "orchestration",
        lambda: HTTP_POLLER,
        poll_http,
        "context",
        versions={None: Orchestrator(poll_http)},
    )
    activity = DurableFunction("activity", lambda: HTTP_ACTIVITY, http.call, "request")
    return index.with_built_in((_facts(poller), _facts(activity)))


def _facts(durable: DurableFunction) -> FunctionFacts:
    is_activity = durable.kind == "activity"
    return FunctionFacts(
        name=durable.name,
        trigger_type=ACTIVITY_TRIGGER if is_activity else ORCHESTRATION_TRIGGER,
        bindings=(),
        route=None,
        methods=(),
        auth_level=None,
        is_async=durable.is_async,
        handle=durable.function,
        durable=durable,
        script_file="",
    )
