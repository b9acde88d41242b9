"""One load of the app, at work.

``func start --watch`` and the admin API's restart load the app again while the hub, the server and
the instances go on: the new generation takes over, the old one finishes what it runs.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from durable_app.compose.binding import SERVED, bind_app
from durable_app.functions.bindings import ORCHESTRATION_TRIGGER
from durable_app.host.calls.invoke import HTTP_TRIGGER
from durable_app.host.calls.manual import MANUAL_REASON, manual_value
from durable_app.host.console.function_list import idle_functions
from durable_app.host.triggers.queue import QueueOptions, QueueTriggers
from durable_app.host.triggers.timer import TimerTriggers

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.compose.work import Bench, Runner
    from durable_app.functions.index import AppIndex, FunctionFacts
    from durable_app.host.app.roster import HostedApp, HostedFunction
    from durable_app.host.config.settings import HostSettings
    from durable_app.host.state import HostState
    from durable_app.host.triggers.storage import StorageAccounts
    from durable_app.host.web.http import HttpFunction
    from durable_app.host.web.routing import RouteTable


class Tools(NamedTuple):
    """What every generation of an app works with.

    Attributes:
        runner: makes what runs the durable functions of an app.
        state: what the host remembers itself.
    """

    runner: Callable[[AppIndex], Runner]
    bench: Bench
    accounts: StorageAccounts
    state: HostState


class Generation:
    """An app with its worker and its triggers. Made on a running event loop."""

    def __init__(self, app: HostedApp, tools: Tools) -> None:
        self._bench = bench = tools.bench
        site = bench.site
        self._bound = bound = bind_app(app, bench.around)
        self._timers = TimerTriggers(bound.timers, tools.state, site.clock, site.console)
        self._queues = QueueTriggers(
            bound.queues, tools.accounts, _queue_options(site.settings), site.console
        )
        self._runner = tools.runner(bound.app.index)

    @property
    def app(self) -> HostedApp:
        """The app, with the errors that were found when its functions were bound."""
        return self._bound.app

    @property
    def routes(self) -> RouteTable[HttpFunction]:
        """Routes of its HTTP functions."""
        return self._bound.routes

    @property
    def http_functions(self) -> list[FunctionFacts]:
        """Those that answer requests."""
        calls = self._bound.calls.values()
        return [call.facts for call in calls if call.facts.trigger_type == HTTP_TRIGGER]

    def idle_lines(self) -> list[str]:
        """A line per function that nothing here will ever call."""
        return idle_functions(self.app, SERVED)

    async def prepare(self) -> None:
        """Do what may fail, before another generation is retired; takes no work.

        Raises:
            StoreUnavailableError: the status of timers cannot be read or written.
            DefinitionError: the app does not load in a worker process.
        """
        await self._timers.prepare()
        await self._runner.prepare()

    async def start(self) -> None:
        """Take work from now on.

        Raises:
            StoreUnavailableError: the status of timers cannot be read or written.
        """
        await self._timers.start()
        await self._queues.start()
        await self._runner.start()

    async def retire(self, grace_s: float) -> None:
        """Take nothing more, and end within so many seconds. Idempotent."""
        await asyncio.gather(
            self._timers.stop(grace_s), self._queues.stop(grace_s), self._runner.stop(grace_s)
        )

    async def run_by_hand(self, function: HostedFunction, text: str) -> None:
        """Run a function with a text in place of its trigger's value, and wait for its end.

        An orchestrator is started through the client, as nothing else can run one.

        Raises:
            FunctionFailedError: the function failed; it was reported.
            DefinitionError: a text cannot take the place of its trigger's value.
        """
        facts = function.facts
        if facts.durable is not None and facts.trigger_type == ORCHESTRATION_TRIGGER:
            await self._bench.runtime.start(facts.durable.name, text)
            return
        call = self._bound.calls.get(facts.name) or self._bench.around.invoker.bind(facts)
        clock = self._bench.site.clock
        value = manual_value(facts, text, clock.new_id(), clock.now())
        await call(value, reason=MANUAL_REASON)


def _queue_options(settings: HostSettings) -> QueueOptions:
    queues = settings.extensions.queues
    second = timedelta(seconds=1)
    return QueueOptions(
        max_polling_s=queues.max_polling_interval / second,
        visibility_timeout_s=int(queues.visibility_timeout / second),
        batch_size=queues.batch_size,
        max_dequeue_count=queues.max_dequeue_count,
        new_batch_threshold=queues.new_batch_threshold,
        encoding=queues.message_encoding,
    )
