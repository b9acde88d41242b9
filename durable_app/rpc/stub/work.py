"""Work of a remote hub.

Theory of operation. One task reads the stream and follows the reconnect machine; everything else
here happens on the same event loop: what other threads hand in is queued, and the loop is woken
once per burst. The stream brings items; outcomes are calls of their own (see ``delivery``), so that
they outlive the stream that brought the item.

A worker keeps the executions that it has run warm, and goes on with new events alone. It may do so
only where the hub's history is surely what the worker has seen. So whatever is warm is forgotten

* when a stream begins: of the turns before it nobody knows which the hub has taken;
* before a turn that came with its history, or without its length: such a hub does not say where
  the history stands.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import msgspec

from durable_app.errors import ConfigError, SchedulerUnavailableError
from durable_app.protocol import CompleteOrchestration, OrchestratorRequest, OrchestratorResponse
from durable_app.rpc.codec.events import read_events
from durable_app.rpc.codec.streams import (
    HISTORY_STREAMING,
    HistoryQuery,
    Subscription,
    encode_history_query,
    encode_subscription,
)
from durable_app.rpc.codec.work import UNKNOWN_COUNT
from durable_app.rpc.connect import HubAccess, connect_async
from durable_app.rpc.stub.calls import LONG_CALL_TIMEOUT_S, HubCalls
from durable_app.rpc.stub.delivery import REPEAT_FOR_S, Delivery
from durable_app.rpc.stub.in_flight import InFlight
from durable_app.rpc.stub.outcomes import (
    Unreadable,
    completed,
    failed,
    given_back,
    read_item,
    refused,
)
from durable_app.rpc.stub.rewinds import Resumed, answered, resumed
from durable_app.rpc.work_link import GrpcWorkLink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable_app.ports import Capacity, Clock, WorkFilter, WorkResult, WorkSink
    from durable_app.protocol import CompletionToken, HistoryEvent, WorkItem

_log = logging.getLogger(__name__)

Received = Any
"""A ``WorkItem`` or an ``Unreadable``."""

#: Executions that may be warm; beyond that the one that ran the longest ago is forgotten.
_MOST_WARM: Final = 10_000
#: How long the last outcomes may take at the end.
_GRACE_S: Final = 5.0


class Consumer(Protocol):
    """Keeps a stream of work open until it is stopped."""

    async def run(self) -> None:
        """Give every item away. Raises SchedulerUnavailableError where it can only give up."""
        ...

    def stop(self) -> None:
        """Take nothing more."""
        ...

    def drained(self) -> None:
        """Nothing is in flight any more: ``run`` ends."""
        ...


class WorkLink(GrpcWorkLink[Received]):
    """Tells when a connection begins."""

    began: Callable[[], None]

    async def hello(self, timeout_s: float) -> None:
        """See ``GrpcWorkLink.hello``: it comes before every stream."""
        await super().hello(timeout_s)
        self.began()


class RemoteWork:
    """The work of a hub behind a channel. Implements ``ports.WorkSource``.

    Args:
        consume: makes what keeps a stream of work open.
        on_fatal: told where no attempt to connect can succeed: what answers is no task hub.
        capabilities: numbers of those that the worker has besides streamed histories.
        repeat_for_s: how long an outcome that does not arrive is sent again.
    """

    def __init__(
        self,
        calls: HubCalls,
        clock: Clock,
        consume: Callable[[WorkLink, Callable[[Received], None]], Consumer],
        on_fatal: Callable[[BaseException], None],
        *,
        capabilities: frozenset[int] = frozenset(),
        repeat_for_s: float = REPEAT_FOR_S,
    ) -> None:
        """Nothing is sent yet."""
        self._calls = calls
        self._clock = clock
        self._consume = consume
        self._on_fatal = on_fatal
        self._capabilities = capabilities
        self._repeat_for_s = repeat_for_s
        self._streams: list[RemoteStream] = []

    @classmethod
    def open(
        cls,
        access: HubAccess,
        clock: Clock,
        consume: Callable[[WorkLink, Callable[[Received], None]], Consumer],
        on_fatal: Callable[[BaseException], None],
        **options: Any,
    ) -> Self:
        """Over a channel of its own, for the running event loop. Arguments as for the class.

        Raises:
            ConfigError: a credential that does not fit, or a token that would travel in the clear.
        """
        calls = HubCalls(connect_async(access, clock), access.endpoint.authority)
        return cls(calls, clock, consume, on_fatal, **options)

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> RemoteStream:
        """See ``WorkSource.connect``; on the event loop.

        Raises:
            ConfigError: the filter leaves a kind of function open.
        """
        capabilities = self._capabilities
        if not whole_history:
            capabilities |= {HISTORY_STREAMING}
        subscription = Subscription(
            capacity,
            only,
            {} if only is None else only.orchestration_versions,
            {} if only is None else only.activity_versions,
            capabilities,
        )
        try:
            request = encode_subscription(subscription).SerializeToString()
        except ValueError as error:
            raise ConfigError(str(error)) from error
        link = WorkLink(self._calls.channel, request, read_item)
        delivery = Delivery(self._calls, self._clock, self._repeat_for_s)

        def begin(stream: RemoteStream) -> Consumer:
            def began() -> None:
                delivery.has_batches = link.has_batches
                stream.forget_all()

            link.began = began
            return self._consume(link, stream.take)

        stream = RemoteStream(
            sink, self._calls, delivery, self._clock, begin, whole_history=whole_history
        )
        stream.task.add_done_callback(self._ended)
        self._streams.append(stream)
        return stream

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_fatal(error)

    async def close(self) -> None:
        """Close the streams, bring out the last outcomes, close the channel. Idempotent."""
        streams, self._streams = self._streams, []
        await asyncio.gather(*(stream.end() for stream in streams))
        await self._calls.close()


class RemoteStream:
    """One worker's connection. Implements ``ports.WorkStream``.

    Args:
        begin: makes what keeps the stream open.
        whole_history: see ``WorkSource.connect``.

    Attributes:
        task: the connection; it fails where no attempt to connect can succeed.
    """

    def __init__(
        self,
        sink: WorkSink,
        calls: HubCalls,
        delivery: Delivery,
        clock: Clock,
        begin: Callable[[RemoteStream], Consumer],
        *,
        whole_history: bool,
    ) -> None:
        """Connect, on the running event loop, and stay connected."""
        self._sink = sink
        self._calls = calls
        self._delivery = delivery
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Callable[[], object]] = deque()
        self._is_woken = False
        self._in_flight = InFlight()
        self._warm: OrderedDict[str, None] = OrderedDict()
        self._is_whole = whole_history
        self._resumed: dict[CompletionToken, Resumed] = {}
        self._streamed: dict[str, OrchestratorRequest] = {}
        self._closing: asyncio.Task[None] | None = None
        self._consumer = begin(self)
        self.task = asyncio.create_task(self._consumer.run(), name="remote-work")

    async def end(self) -> None:
        """Close, and wait for the end of that; on the event loop."""
        self._drain()  # what was handed in comes first
        await asyncio.wait([self._close(), self.task])

    # -- from the hub ------------------------------------------------------------------------

    def take(self, item: Received) -> None:
        """An item has arrived."""
        if isinstance(item, Unreadable):
            self._refuse(item)
            return
        taken = self._in_flight.arrived(item)
        if taken is not None:
            self._push(self._as_seen(taken))

    def _as_seen(self, item: WorkItem) -> WorkItem:
        """The item as the worker shall see it; turns of other hubs than ours may differ."""
        if self._is_whole or not isinstance(item, OrchestratorRequest):
            return item
        if item.past_events:
            turn = self._resumed[item.token] = resumed(item)
            return turn.request
        if _is_uncounted(item):
            item = self._streamed[item.instance_id] = msgspec.structs.replace(
                item, past_count=UNKNOWN_COUNT
            )
        return item

    def forget_all(self) -> None:
        """A connection begins; see the module's text."""
        warm, self._warm = self._warm, OrderedDict()
        for instance_id in warm:
            self._sink.forget(instance_id)

    def _push(self, item: WorkItem) -> None:
        if isinstance(item, OrchestratorRequest):
            if item.past_events or _is_uncounted(item):
                self._sink.forget(item.instance_id)
            self._warm[item.instance_id] = None
            self._warm.move_to_end(item.instance_id)
            if len(self._warm) > _MOST_WARM:
                self._sink.forget(self._warm.popitem(last=False)[0])
        self._sink.push((item,))

    def _refuse(self, item: Unreadable) -> None:
        answer = refused(item)
        _log.error(
            "A work item of the task hub at %s cannot be read: %s%s",
            self._calls.whom,
            item.reason,
            "" if answer is not None else " This worker is too old for it, and ignores it.",
        )
        if answer is not None:
            self._delivery.send(*answer)

    # -- from the worker ---------------------------------------------------------------------

    def complete(self, results: Sequence[WorkResult]) -> None:
        """See ``WorkDesk.complete``."""
        self._post(partial(self._complete, results))

    def abandon(self, token: CompletionToken, reason: str) -> None:  # noqa: ARG002  the wire has no place for it; the worker logs it
        """See ``WorkDesk.abandon``."""
        self._post(partial(self._give_back, token))

    def decline(self, token: CompletionToken) -> None:
        """See ``WorkDesk.decline``; the hub may offer it to this worker again, after a while."""
        self._post(partial(self._give_back, token))

    def put_back(self, token: CompletionToken) -> None:
        """See ``WorkDesk.put_back``."""
        self._post(partial(self._give_back, token))

    def load_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        """See ``WorkStream.load_history``; not on the event loop.

        Raises:
            DurableError: the hub did not send it.
        """
        query = HistoryQuery(instance_id, execution_id, for_work_item=True)
        loading = self._calls.collect("StreamInstanceHistory", encode_history_query(query))
        try:
            future = asyncio.run_coroutine_threadsafe(loading, self._loop)
        except RuntimeError as error:
            loading.close()
            raise SchedulerUnavailableError("The worker has been stopped.") from error
        chunks = future.result(LONG_CALL_TIMEOUT_S + _GRACE_S)
        events = [event for chunk in chunks for event in read_events(chunk.events)]
        request = self._streamed.get(instance_id)
        if request is None:
            return events
        turn = resumed(msgspec.structs.replace(request, past_events=events))
        self._resumed[request.token] = turn
        return list(turn.request.past_events)

    def pause(self) -> None:
        """See ``WorkStream.pause``.

        The stream is closed, and the hub offers what is in flight to others at once; whose outcome
        is first counts.
        """
        self._post(self._consumer.stop)

    def close(self) -> None:
        """See ``WorkStream.close``; :meth:`end` waits for its end."""
        self._post(self._close)

    def _post(self, action: Callable[[], object]) -> None:
        self._inbox.append(action)
        if not self._is_woken:
            self._is_woken = True
            # A loop that is closed has ended the connection, and the hub has the items back.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        # Cleared first: who comes from now on wakes the loop again.
        self._is_woken = False
        while self._inbox:
            self._inbox.popleft()()

    def _complete(self, results: Sequence[WorkResult]) -> None:
        for result in results:
            found = self._in_flight.ended(result.token)
            if found is None or self._closing is not None:
                continue
            item, token, following = found
            if isinstance(result, OrchestratorResponse):
                if _has_ended(result):
                    self._warm.pop(result.instance_id, None)
                self._streamed.pop(result.instance_id, None)
                turn = self._resumed.pop(result.token, None)
                result = result if turn is None else answered(turn, result)  # noqa: PLW2901  the same answer
            if token is not None:
                self._send(item, result, token)
            if following is not None:
                self._push(following)

    def _send(self, item: WorkItem, result: WorkResult, token: CompletionToken) -> None:
        def instead(reason: str) -> Any:
            return completed(failed(item, reason, self._clock.now()), token).message

        try:
            answer = completed(result, token)
        except Exception as error:  # noqa: BLE001  a text that is no Unicode, a number out of range
            reason = f"The result cannot be sent: {type(error).__name__}: {error}"
            answer = completed(failed(item, reason, self._clock.now()), token)
        self._delivery.send(answer.method, answer.message, instead)

    def _give_back(self, token: CompletionToken) -> None:
        self._resumed.pop(token, None)
        found = self._in_flight.ended(token)
        if found is None or self._closing is not None:
            return
        item, present, following = found
        if present is not None:
            self._delivery.send(*given_back(item, present))
        if following is not None:
            self._push(following)

    def _close(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._consumer.stop()
            for item, token in self._in_flight.left():
                self._delivery.send(*given_back(item, token))
            self._closing = asyncio.create_task(self._finish(), name="remote-work-end")
        return self._closing

    async def _finish(self) -> None:
        await self._delivery.finish(_GRACE_S)
        self._consumer.drained()


def _is_uncounted(turn: OrchestratorRequest) -> bool:
    """Whether the history is to be loaded, and nobody says how long it is.

    Our hub does, but for a turn that must not go on warm.
    """
    return turn.requires_history_streaming and turn.past_count <= 0


def _has_ended(response: OrchestratorResponse) -> bool:
    return any(isinstance(action, CompleteOrchestration) for action in response.actions)
