"""Runs an app in a test: no port, no disk, no waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import ManagementUrls
from durable_app.compose.runtime import ActivityArguments, HostRuntime
from durable_app.entity_id import EntityId
from durable_app.errors import ConfigError, InstanceNotFoundError, OrchestrationFailedError
from durable_app.functions.handles import set_runtime_factory
from durable_app.host.calls.invocation_context import InvocationContexts
from durable_app.payload import from_text
from durable_app.protocol import FailureDetails, OrchestrationStatus
from durable_app.testing.stubs import index_with
from durable_app.testing.timeline import VirtualClock, VirtualHub
from durable_app.worker.service import Worker, WorkerOptions

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import DecoratorApi

    from durable_app.client.status import DurableOrchestrationStatus
    from durable_app.telemetry import Tracing
    from durable_app.testing.stubs import Stubs
    from durable_app.tracing.provider import TracerProvider

_ORIGIN: Final = "http://localhost:7071"
#: Of real time: how long an end waits for what is going on.
_REST_S: Final = 1.0


class ActivityCall(NamedTuple):
    """One attempt of an activity.

    Attributes:
        name: of the activity.
        input: plain JSON structure; None for no input.
    """

    name: str
    input: Any


class AppRunner:
    """Runs an app in a test, without a port, without a disk, on virtual time.

    ``async with AppRunner(app) as run:`` starts it. Time stands still while there is anything to
    do, and passes only while somebody waits: :meth:`result`, :meth:`run`, :meth:`advance`, and the
    waiting methods of a client. It then leaps to the next timer. All other methods return when
    nothing can go on without time passing. Activities run one after the other, in the order in
    which they were called.

    Args:
        app: a ``DFApp``, or a ``Blueprint`` alone.
        start_at: the first moment; a naive one is UTC. None for the machine's time.
        stubs: what runs in the place of activities: by name or function, a sync or async function
            of the input, which is decoded as for the activity. It may raise.
        tracer_provider: a TracerProvider of OpenTelemetry's SDK that gets the spans of the run,
            with virtual times; None for none. Needs ``pip install "durable-app[otel]"``.
        replays: begin every turn of an orchestrator with a replay of its history, as after a
            restart of the host: code that does not do the same each time fails with a
            NonDeterminismError. Takes quadratic time; False for histories of thousands of events.

    Raises:
        DefinitionError: (at the start) the app is wrong, or has no activity that a stub is for.
    """

    def __init__(
        self,
        app: DecoratorApi,
        *,
        start_at: datetime | None = None,
        stubs: Stubs | None = None,
        replays: bool = True,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._app = app
        self._stubs = stubs
        self._replays = replays
        self._clock = VirtualClock(start_at)
        self._tracing = None if tracer_provider is None else _tracing(tracer_provider, self._clock)

    async def __aenter__(self) -> Self:
        index = index_with(self._app, self._stubs)
        self._hub = VirtualHub(self._clock, replays=self._replays)
        connection = Connection(
            self._hub,
            self._hub,
            ManagementUrls(_ORIGIN, self._hub.name),
            self._hub.name,
            asyncio.get_running_loop(),
            orchestrators=index.orchestrations.keys,
            known_entities=index.entities.keys,
            tracing=self._tracing,
        )
        runtime = HostRuntime(connection, json.dumps(connection.urls.binding()))
        self._client = DurableFunctionsClient(connection)
        self._worker = Worker(
            self._hub,
            index,
            WorkerOptions(activities=1, entities=1),
            self._clock,
            bind_extra=ActivityArguments(
                index, runtime, InvocationContexts(Path.cwd()), self._clock
            ),
            tracing=self._tracing,
        )
        self._hub.open()
        set_runtime_factory(lambda: runtime)
        self._worker.start()
        return self

    async def __aexit__(self, *_outcome: object) -> None:
        # What a client has started and nobody has waited for goes on until it needs time to pass;
        # what has ended needs a moment on its thread. An activity that never ends is left behind.
        timeline = self._hub.timeline
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REST_S):
                await timeline.settle()
        set_runtime_factory(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REST_S):  # the worker's own limit is of virtual time
                await self._worker.stop(0.0 if timeline.is_busy else 1.0)
        await self._hub.stop()

    @property
    def client(self) -> DurableFunctionsClient:
        """A client for functions under test. Its waiting methods let time pass."""
        return self._client

    @property
    def now(self) -> datetime:
        """Virtual time, aware UTC."""
        return self._clock.now()

    @property
    def calls(self) -> list[ActivityCall]:
        """Activities that were run, stubs included, each attempt once, the oldest first."""
        return [
            ActivityCall(request.name, from_text(request.input)) for request in self._hub.activities
        ]

    # -- instances ---------------------------------------------------------------------------

    async def start(
        self, orchestrator: Any, input: Any = None, instance_id: str | None = None
    ) -> str:
        """Start an instance and return its id.

        Args:
            orchestrator: its name, or the decorated function.
            input: any JSON-encodable value; None for no input.
            instance_id: None for a generated one.

        Raises:
            DefinitionError: the app has no orchestrator of that name.
            InstanceExistsError: an instance of that id is running.
        """
        started = await self._client.schedule_new_orchestration(
            orchestrator, input=input, instance_id=instance_id
        )
        await self.settle()
        return started

    async def run(self, orchestrator: Any, input: Any = None, expected_type: Any = None) -> Any:
        """Start an instance and return its output, as :meth:`start` and :meth:`result`."""
        return await self.result(await self.start(orchestrator, input), expected_type)

    async def result(
        self,
        instance_id: str,
        expected_type: Any = None,
        *,
        patience: timedelta = timedelta(days=366),
    ) -> Any:
        """Let time pass until an instance has ended, and return its output.

        Args:
            expected_type: what its JSON is decoded to; None for plain JSON structure.
            patience: virtual time that it may take.

        Raises:
            OrchestrationFailedError: it failed, or was terminated.
            InstanceNotFoundError: there is no such instance.
            TimeoutError: it has not ended by then.
        """
        began = await self._hub.get(instance_id)
        if began is None:
            raise InstanceNotFoundError(instance_id)
        state = await self._hub.wait_for_completion(instance_id, timeout_s=patience.total_seconds())
        if state is None:
            raise TimeoutError(await self._why_unfinished(instance_id, patience))
        if state.status is OrchestrationStatus.COMPLETED:
            return from_text(state.output, expected_type)
        ended = f"The instance ended as {state.status.name}: {state.output}"
        raise OrchestrationFailedError(
            instance_id, state.failure or FailureDetails(state.status.name.title(), ended)
        )

    async def _why_unfinished(self, instance_id: str, patience: timedelta) -> str:
        state = await self._hub.get(instance_id)
        name, status = ("?", "gone") if state is None else (state.name, state.status.name)
        shown = None if state is None else state.custom_status
        return (
            f"Orchestration '{name}' (instance {instance_id}) is {status} after {patience} of"
            f" virtual time, with the custom status {shown}. It may wait for an event that nobody"
            " raises, or have no end."
        )

    async def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Send an event to an instance.

        Raises:
            InstanceNotFoundError: there is no such instance.
            WrongStatusError: it has finished.
        """
        await self._client.raise_event(instance_id, name, data)
        await self.settle()

    async def terminate(self, instance_id: str, reason: str | None = None) -> None:
        """End an instance and its children."""
        await self._client.terminate(instance_id, reason)
        await self.settle()

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an instance until :meth:`resume`."""
        await self._client.suspend(instance_id, reason)
        await self.settle()

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """End a suspension."""
        await self._client.resume(instance_id, reason)
        await self.settle()

    async def status(self, instance_id: str) -> DurableOrchestrationStatus:
        """Status of an instance; one that is false where there is no such instance."""
        await self.settle()
        return await self._client.get_status(instance_id, show_input=True)

    async def history(self, instance_id: str) -> list[dict[str, Any]]:
        """Events of an instance, as the status API shows them, with inputs and results."""
        await self.settle()
        status = await self._client.get_status(
            instance_id, show_history=True, show_history_output=True, show_input=True
        )
        return status.history or []

    # -- entities ----------------------------------------------------------------------------

    async def signal_entity(
        self,
        entity_id: EntityId | str,
        operation: str,
        input: Any = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let an entity run an operation; for the arguments see the client's ``signal_entity``."""
        await self._client.signal_entity(
            entity_instance_id=_entity_id(entity_id),
            operation_name=operation,
            input=input,
            signal_time=signal_time,
        )
        await self.settle()

    async def entity_state(self, entity_id: EntityId | str, expected_type: Any = None) -> Any:
        """State of an entity, None where it has none.

        Args:
            entity_id: an ``EntityId``, or its text ``@name@key``.
            expected_type: what its JSON is decoded to; None for plain JSON structure.
        """
        await self.settle()
        found = await self._hub.get_entity(str(_entity_id(entity_id)))
        return None if found is None else from_text(found.state, expected_type)

    # -- time --------------------------------------------------------------------------------

    async def advance(self, duration: timedelta) -> None:
        """Let so much time pass, with everything that happens in it.

        Raises:
            ValueError: it is negative.
        """
        if duration < timedelta(0):
            raise ValueError("Time does not go backwards.")
        until = self._clock.now() + duration
        timeline = self._hub.timeline
        await timeline.settle()
        while timeline.leap(until):
            await timeline.settle()

    async def settle(self) -> None:
        """Return when nothing can go on without time passing."""
        await self._hub.timeline.settle()


def _tracing(provider: TracerProvider, clock: VirtualClock) -> Tracing:
    try:
        from durable_app.tracing.adapter import OpenTelemetryTracing  # noqa: PLC0415  an extra
    except ImportError:
        raise ConfigError(
            'A tracer_provider needs OpenTelemetry: pip install "durable-app[otel]"'
        ) from None
    return OpenTelemetryTracing(clock, provider)


def _entity_id(given: EntityId | str) -> EntityId:
    return given if isinstance(given, EntityId) else EntityId.parse(given)


def run_orchestration(
    app: DecoratorApi,
    orchestrator: Any,
    input: Any = None,
    *,
    stubs: Stubs | None = None,
    start_at: datetime | None = None,
) -> Any:
    """Run one orchestration to its end and return its output. For tests without an event loop.

    Args:
        app: as that of ``AppRunner``, and so are ``stubs`` and ``start_at``.
        orchestrator: its name, or the decorated function.
        input: any JSON-encodable value; None for no input.

    Raises:
        OrchestrationFailedError: it failed.
        TimeoutError: it has not ended within a year of virtual time.
    """

    async def main() -> Any:
        async with AppRunner(app, start_at=start_at, stubs=stubs) as run:
            return await run.run(orchestrator, input)

    return asyncio.run(main())
