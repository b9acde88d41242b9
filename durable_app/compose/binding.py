"""How each function of an app is called: bound once per load, before anything runs.

A function that cannot run here, although others can, is in error: it is listed with the reason,
and its trigger does nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.errors import ConfigError, DefinitionError
from durable_app.functions.bindings import (
    ACTIVITY_TRIGGER,
    DURABLE_CLIENT,
    ENTITY_TRIGGER,
    ORCHESTRATION_TRIGGER,
)
from durable_app.functions.index import index_of
from durable_app.host.calls.invoke import HTTP_TRIGGER, Call, Invoker
from durable_app.host.calls.outputs import Sinks, delivering
from durable_app.host.console.function_list import route_of
from durable_app.host.triggers.queue import QueueFunction, queue_function
from durable_app.host.triggers.timer import TimerFunction, timer_function
from durable_app.host.triggers.values import QUEUE_TRIGGER, TIMER_TRIGGER
from durable_app.host.web.http import HttpFunction, http_function
from durable_app.host.web.routing import RouteTable, refuse_reserved

if TYPE_CHECKING:
    from datetime import tzinfo

    from durable_app.functions.index import FunctionFacts
    from durable_app.host.app.roster import HostedApp, HostedFunction
    from durable_app.host.triggers.repetition import Repetition

#: Triggers that a worker serves, wherever it runs.
WORKER_SERVED: Final = frozenset({ORCHESTRATION_TRIGGER, ACTIVITY_TRIGGER, ENTITY_TRIGGER})
#: Triggers that somebody here serves.
SERVED: Final = WORKER_SERVED | {HTTP_TRIGGER, TIMER_TRIGGER, QUEUE_TRIGGER}


class Surroundings(NamedTuple):
    """What functions are bound to.

    Attributes:
        zone: in which the schedules of timers are read.
        repetition: of runs that fail, where the function says nothing; None for none.
    """

    task_hub: str
    route_prefix: str
    zone: tzinfo
    invoker: Invoker
    sinks: Sinks
    repetition: Repetition | None = None


class BoundApp(NamedTuple):
    """An app whose functions can be called.

    Attributes:
        app: with the errors that binding has found; its index holds what runs.
        calls: of functions that the worker does not run, by name.
    """

    app: HostedApp
    calls: dict[str, Call]
    routes: RouteTable[HttpFunction]
    timers: list[TimerFunction]
    queues: list[QueueFunction]


def bind_app(app: HostedApp, around: Surroundings) -> BoundApp:
    """Bind all functions that run; needs a running event loop, on which outputs are sent."""
    binder = _Binder(around)
    functions = tuple(binder.bound(function) for function in app.functions)
    index = index_of([function.facts for function in functions if function.runs])
    bound = dataclasses.replace(app, functions=functions, index=index)
    return BoundApp(bound, binder.calls, binder.routes, binder.timers, binder.queues)


class _Binder:
    """Binds one function after the other, and gathers what they are called by."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.calls: dict[str, Call] = {}
        self.routes: RouteTable[HttpFunction] = RouteTable()
        self.timers: list[TimerFunction] = []
        self.queues: list[QueueFunction] = []

    def bound(self, function: HostedFunction) -> HostedFunction:
        """The same function, in error if something that it needs is not here."""
        if not function.runs:
            return function
        try:
            self._refuse_other_hub(function.facts)
            if function.facts.trigger_type in WORKER_SERVED:
                return function._replace(facts=self._with_outputs(function.facts))
            self._bind(function.facts)
        except (ConfigError, DefinitionError) as error:
            return function._replace(error=str(error))
        return function

    def _bind(self, facts: FunctionFacts) -> None:
        call = self._around.invoker.bind(facts)
        if facts.trigger_type == HTTP_TRIGGER:
            refuse_reserved(route_of(facts, ""))
            template = route_of(facts, self._around.route_prefix)
            self.routes.add(template, facts.methods, http_function(call), name=facts.name)
        elif facts.trigger_type == TIMER_TRIGGER:
            self.timers.append(timer_function(call, self._around.zone, self._around.repetition))
        elif facts.trigger_type == QUEUE_TRIGGER:
            self.queues.append(queue_function(call))
        self.calls[facts.name] = call

    def _refuse_other_hub(self, facts: FunctionFacts) -> None:
        for binding in facts.bindings:
            hub = binding.get("taskHub") if binding["type"] == DURABLE_CLIENT else None
            if hub and hub.casefold() != self._around.task_hub.casefold():
                raise ConfigError(
                    f"Its client '{binding['name']}' is of task hub '{hub}', and this host serves"
                    f" '{self._around.task_hub}' only. Leave task_hub out, or start another host"
                    " for that hub."
                )

    def _with_outputs(self, facts: FunctionFacts) -> FunctionFacts:
        """An activity delivers its outputs; the worker that runs it knows nothing of them."""
        call = self._around.invoker.bind(facts)  # refuses an input that is not here
        if facts.durable is None or not call.outputs:
            return facts
        loop = asyncio.get_running_loop()
        durable = delivering(facts.durable, call.outputs, self._around.sinks, loop)
        return dataclasses.replace(facts, durable=durable)
