"""A task hub as the official SDK for Python sees it."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker
from durabletask.client import OrchestrationState, OrchestrationStatus

from durable_app.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from durabletask.task import FailureDetails
    from durabletask.worker import ConcurrencyOptions, VersioningOptions, WorkItemFilters

WAIT_S = 20

T = TypeVar("T")


class Hub:
    """One task hub: a client, and as many workers as a test starts."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name
        self.client = self.new_client()
        self._workers: list[DurableTaskSchedulerWorker] = []
        self._clock = SystemClock()
        self._tick = Event()
        self._signals: list[Event] = []
        self._threads = ThreadPoolExecutor(8)

    def new_client(self, name: str | None = None) -> DurableTaskSchedulerClient:
        """One more client, of this hub or of another one."""
        return DurableTaskSchedulerClient(
            host_address=self.address,
            taskhub=name or self.name,
            token_credential=None,
            secure_channel=False,
        )

    def work(
        self,
        *functions: Callable[..., Any],
        entities: tuple[Any, ...] = (),
        versioning: VersioningOptions | None = None,
        filters: WorkItemFilters | None = None,
        has_filters: bool = False,
        slots: ConcurrencyOptions | None = None,
        has_schedules: bool = False,
        name: str | None = None,
    ) -> DurableTaskSchedulerWorker:
        """Start a worker; orchestrators are the functions whose first parameter is ``context``.

        With ``has_filters`` it asks for what it has, and for nothing else.
        """
        worker = DurableTaskSchedulerWorker(
            host_address=self.address,
            taskhub=name or self.name,
            token_credential=None,
            secure_channel=False,
            concurrency_options=slots,
        )
        for function in functions:
            if function.__code__.co_varnames[0] == "context":
                worker.add_orchestrator(function)
            else:
                worker.add_activity(function)
        for entity in entities:
            worker.add_entity(entity)
        if versioning is not None:
            worker.use_versioning(versioning)
        if filters is not None:
            worker.use_work_item_filters(filters)
        if has_filters:
            worker.use_work_item_filters()
        if has_schedules:
            worker.configure_scheduled_tasks()
        worker.start()
        self._workers.append(worker)
        return worker

    def start(self, orchestrator: Callable[..., Any] | str, value: Any = None, **more: Any) -> str:
        """Start an instance; return its id."""
        return self.client.schedule_new_orchestration(orchestrator, input=value, **more)

    def finished(self, instance_id: str, timeout_s: float = WAIT_S) -> OrchestrationState:
        """The state of an instance when it has ended."""
        state = self.client.wait_for_orchestration_completion(instance_id, timeout=timeout_s)
        assert state is not None
        return state

    def output(self, instance_id: str) -> Any:
        """What an instance has returned."""
        state = self.finished(instance_id)
        assert state.runtime_status is OrchestrationStatus.COMPLETED, state.failure_details
        return json.loads(state.serialized_output or "null")

    def run(self, orchestrator: Callable[..., Any] | str, value: Any = None, **more: Any) -> Any:
        """Start an instance and wait for what it returns."""
        return self.output(self.start(orchestrator, value, **more))

    def failure(self, instance_id: str) -> FailureDetails:
        """Why an instance has failed."""
        state = self.finished(instance_id)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        return state.failure_details

    def state(self, instance_id: str) -> OrchestrationState:
        """The state of an instance as it is now."""
        state = self.client.get_orchestration_state(instance_id)
        assert state is not None
        return state

    def started(self, instance_id: str) -> None:
        """Wait until an instance runs."""
        self.client.wait_for_orchestration_start(instance_id, timeout=WAIT_S)

    def now(self) -> datetime:
        """The time of the task hub."""
        return self._clock.now()

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = self._clock.monotonic() + WAIT_S
        while not is_so():
            assert self._clock.monotonic() < deadline, "it never was so"
            self._tick.wait(0.02)

    def new_signal(self) -> Event:
        """Something that a function of a worker can wait for; set at the end of the test."""
        self._signals.append(Event())
        return self._signals[-1]

    def in_background(self, call: Callable[..., T], *args: Any) -> Future[T]:
        """Begin a call that takes its time."""
        return self._threads.submit(call, *args)

    def close(self) -> list[Thread]:
        """Close the client and let all workers end; the threads that wait for them.

        A worker of this SDK looks once per second whether it shall end.
        """
        self.client.close()
        self._threads.shutdown()
        for signal in self._signals:
            signal.set()
        threads = [Thread(target=worker.stop) for worker in self._workers]
        for thread in threads:
            thread.start()
        return threads
