"""Our own worker for a remote task hub, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.connection.options import GrpcWorkerResiliencyOptions
from durable_app.functions.index import index_app
from durable_app.rpc.call_headers import WORKER_ROLE
from durable_app.rpc.stub.hub import RemoteHub
from durable_app.rpc.stub.work import RemoteWork
from durable_app.worker.service import Worker, WorkerOptions
from durable_app.worker.session import Session
from durable_app.worker.stream_consumer import StreamConsumer
from tests.contract.wire import access_to

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

CLOCK = SystemClock()
SILENT_S = 1.0
QUICK = GrpcWorkerResiliencyOptions(
    hello_timeout_seconds=1.0,
    silent_disconnect_timeout_seconds=SILENT_S,
    channel_recreate_failure_threshold=2,
    reconnect_backoff_base_seconds=0.05,
    reconnect_backoff_cap_seconds=0.3,
    min_recreate_interval_seconds=0,
)

T = TypeVar("T")

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def steps(context: df.DurableOrchestrationContext) -> Any:
    first = yield context.call_activity("echo", 0)
    second = yield context.call_activity("echo", 1)
    third = yield context.call_activity("echo", 2)
    more = yield context.task_all([context.call_activity("echo", 10 + n) for n in range(3)])
    return [first, second, third, *more]


@app.activity_trigger(input_name="value")
async def echo(value: int) -> int:
    await asyncio.sleep(0.005)
    return value


class Listener:
    """What the worker is told of its connection.

    Attributes:
        began: when it was connected. waits: until each next attempt. reasons: why it had ended.
    """

    def __init__(self) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []
        self.waits: list[float] = []
        self.reasons: list[str] = []

    def connected(self, attempt: int) -> None:
        self.began.append(CLOCK.monotonic())

    def disconnected(self, failure: Any, reason: str, retry_in_s: float) -> None:
        self.ended.append(CLOCK.monotonic())
        self.waits.append(retry_in_s)
        self.reasons.append(reason)


class OwnWorker:
    """Connected to a port of this machine until it is closed."""

    def __init__(
        self, port: int, task_hub: str, options: GrpcWorkerResiliencyOptions = QUICK
    ) -> None:
        self.listener = Listener()
        self.fatal: list[BaseException] = []
        self._access = access_to(port, task_hub=task_hub)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="own-worker")
        self._thread.start()
        self.call(self._open(port, task_hub, options))

    async def _open(self, port: int, task_hub: str, options: GrpcWorkerResiliencyOptions) -> None:
        def consume(link: Any, take: Any) -> Any:
            return StreamConsumer(link, Session(options), take, CLOCK, self.listener)

        access = access_to(port, WORKER_ROLE, task_hub)
        self.work = RemoteWork.open(access, CLOCK, consume, self.fatal.append)
        self._worker = Worker(self.work, index_app(app), WorkerOptions(), CLOCK)
        self._worker.start()

    def wait_for(self, ids: list[str]) -> Future[list[Any]]:
        """The states of instances when they have ended, asked for over the same bad connection."""

        async def wait() -> list[Any]:
            hub = RemoteHub.open(self._access, CLOCK)
            try:
                return await asyncio.gather(*(hub.wait_for_completion(one) for one in ids))
            finally:
                await hub.close()

        return asyncio.run_coroutine_threadsafe(wait(), self.loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def tasks(self) -> int:
        """Tasks of the worker's loop, but for the one that counts."""

        async def count() -> int:
            return len(asyncio.all_tasks()) - 1

        return self.call(count())

    def close(self) -> None:
        async def end() -> None:
            await self._worker.stop(5)
            await self.work.close()

        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        assert self.fatal == []
