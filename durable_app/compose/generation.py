"""One load of the app, at work.

``func start --watch`` and the admin API's restart load the app again while the hub, the server and
the instances go on: the new generation takes over, the old one finishes what it runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Mapping
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.errors import ConfigError, DefinitionError
from durable_app.functions.bindings import (
    ACTIVITY_TRIGGER,
    ENTITY_TRIGGER,
    ORCHESTRATION_TRIGGER,
)
from durable_app.host.function_list import RUN_HERE, idle_functions, route_of
from durable_app.host.http import HttpFunction, http_function
from durable_app.host.invoke import HTTP_TRIGGER, Call, Invoker, UnavailableBindingError
from durable_app.host.manual import MANUAL_REASON, manual_value
from durable_app.host.routing import RouteTable, refuse_reserved
from durable_app.host.triggers.timer import TimerFunction, TimerTriggers, timer_function
from durable_app.host.triggers.values import TIMER_TRIGGER
from durable_app.worker.service import Worker, WorkerOptions

if TYPE_CHECKING:
    from durable_app.compose.runtime import HostRuntime
    from durable_app.functions.facts import DurableFunction
    from durable_app.host.console import Console
    from durable_app.host.roster import HostedApp, HostedFunction
    from durable_app.host.settings import HostSettings
    from durable_app.host.state import HostState
    from durable_app.ports import Clock, WorkSource

_DURABLE_TRIGGERS: Final = frozenset({ORCHESTRATION_TRIGGER, ACTIVITY_TRIGGER, ENTITY_TRIGGER})
# Slots as the durable extension has them, ten per core, but not fewer than these. A turn takes
# microseconds here, and more turns at a time mean fewer commits.
_MIN_TURNS: Final = 100
_MIN_ACTIVITIES: Final = 20


class Tools(NamedTuple):
    """What every generation of an app works with."""

    source: WorkSource
    settings: HostSettings
    invoker: Invoker
    runtime: HostRuntime
    state: HostState
    zone: tzinfo
    console: Console
    clock: Clock


class Generation:
    """An app with its worker, routes and triggers.

    Raises:
        DefinitionError: Azure's worker would refuse a function.
    """

    def __init__(self, app: HostedApp, tools: Tools) -> None:
        self._tools = tools
        self.calls: dict[str, Call] = {}
        self.routes: RouteTable[HttpFunction] = RouteTable()
        timers: list[TimerFunction] = []
        functions = tuple(self._bound(function, timers) for function in app.functions)
        self.app = dataclasses.replace(app, functions=functions)
        self._timers = TimerTriggers(timers, tools.state, tools.clock, tools.console)
        self._client_arguments = {
            name: tools.runtime.client_arguments(facts)
            for name, facts in app.index.activities.items()
        }
        self._worker = Worker(
            tools.source,
            app.index,
            _worker_options(tools.settings),
            tools.clock,
            tools.console,
            self._clients,
        )

    async def start(self) -> None:
        """Take work from now on.

        Raises:
            StoreUnavailableError: the status of timers cannot be read or written.
        """
        await self._timers.start()
        self._worker.start()

    async def retire(self, grace_s: float) -> None:
        """Take nothing more, and end within so many seconds. Idempotent."""
        await asyncio.gather(self._timers.stop(grace_s), self._worker.stop(grace_s))

    def idle_lines(self) -> list[str]:
        """A line per function that nothing here will ever call."""
        return idle_functions(self.app, RUN_HERE | {TIMER_TRIGGER})

    async def run_by_hand(self, function: HostedFunction, text: str) -> None:
        """Run a function with a text in place of its trigger's value, and wait for its end.

        An orchestrator is started through the client, as nothing else can run one.

        Raises:
            FunctionFailedError: the function failed; it was reported.
            DefinitionError: a text cannot take the place of its trigger's value.
        """
        facts = function.facts
        if facts.durable is not None and facts.trigger_type == ORCHESTRATION_TRIGGER:
            await self._tools.runtime.start(facts.durable.name, text)
            return
        call = self.calls.get(facts.name) or self._tools.invoker.bind(facts)
        clock = self._tools.clock
        value = manual_value(facts, text, clock.new_id(), clock.now())
        await call(value, reason=MANUAL_REASON)

    def _bound(self, function: HostedFunction, timers: list[TimerFunction]) -> HostedFunction:
        """Prepare the calls of a function, unless the worker runs it or nobody does."""
        facts = function.facts
        if not function.runs or facts.trigger_type in _DURABLE_TRIGGERS:
            return function
        try:
            call = self._tools.invoker.bind(facts)
            if facts.trigger_type == TIMER_TRIGGER:
                timers.append(timer_function(call, self._tools.zone))
        except (UnavailableBindingError, ConfigError) as error:
            return function._replace(error=str(error))
        if facts.trigger_type == HTTP_TRIGGER:
            try:
                self._add_route(call)
            except DefinitionError as error:
                return function._replace(error=str(error))
        self.calls[facts.name] = call
        return function

    def _add_route(self, call: Call) -> None:
        facts = call.facts
        refuse_reserved(route_of(facts, ""))
        template = route_of(facts, self._tools.settings.extensions.http.route_prefix)
        self.routes.add(template, facts.methods, http_function(call), name=facts.name)

    def _clients(self, facts: DurableFunction) -> Mapping[str, Any]:
        return self._client_arguments[facts.name]


def _worker_options(settings: HostSettings) -> WorkerOptions:
    durable = settings.extensions.durable_task
    timeout = settings.function_timeout
    per_machine = 10 * (os.cpu_count() or 1)
    return WorkerOptions(
        orchestrations=durable.max_concurrent_orchestrator_functions
        or max(_MIN_TURNS, per_machine),
        activities=durable.max_concurrent_activity_functions or max(_MIN_ACTIVITIES, per_machine),
        max_actions=durable.max_orchestration_actions,
        default_version=durable.default_version,
        timeout_s=None if timeout is None else timeout / timedelta(seconds=1),
    )
