"""Connected workers: their slots, and what each of them holds.

Theory of operation. A slot is taken when an item is handed over and freed exactly once: when its
result comes, when it is abandoned, or when the stream ends. Each dispatch has a fresh token, so a
late answer of an earlier dispatch finds nothing. Items are stamped with their stream; the end of a
stream gives back exactly those.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from durable_app.ports import Capacity, WorkFilter, WorkResult, WorkSink
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    CompletionToken,
    EntityBatchResult,
    EntityRequest,
    OrchestratorRequest,
    OrchestratorResponse,
    WorkItem,
)

if TYPE_CHECKING:
    from durable_app.taskhub.instance import ActivityTask, TaskKey


_log = logging.getLogger(__name__)

#: Of a worker that ends cleanly the results come within seconds.
_MOST_LATE: Final = 10_000


class Stream:
    """One worker."""

    __slots__ = (
        "activities",
        "capacity",
        "entities",
        "id",
        "only",
        "orchestrations",
        "outbox",
        "sink",
        "tokens",
        "whole_history",
    )

    def __init__(
        self,
        stream_id: int,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter,
        *,
        whole_history: bool = False,
    ) -> None:
        self.id = stream_id
        self.whole_history = whole_history
        self.sink = sink
        self.capacity = capacity
        self.only = only
        self.orchestrations = 0
        self.activities = 0
        self.entities = 0
        self.tokens: set[CompletionToken] = set()
        self.outbox: list[WorkItem] = []

    def hold(self, item: OrchestratorRequest | ActivityRequest | EntityRequest) -> None:
        """Take a slot; the item leaves with the next flush."""
        if isinstance(item, OrchestratorRequest):
            self.orchestrations += 1
        elif isinstance(item, EntityRequest):
            self.entities += 1
        else:
            self.activities += 1
        self.tokens.add(item.token)
        self.outbox.append(item)

    def flush(self) -> None:
        """Hand over what was held since the last flush."""
        if self.outbox:
            items, self.outbox = self.outbox, []
            try:
                self.sink.push(items)
            except Exception:  # noqa: BLE001  its own error, which is logged
                # A worker that fails must not end the hub. It keeps its slots until it disconnects.
                _log.exception("A worker could not take %d work item(s).", len(items))


class Held:
    """What a token stands for: the turn of an instance, the batch of an entity, or a task."""

    __slots__ = ("instance_id", "is_batch", "stream", "task")

    def __init__(
        self,
        stream: Stream,
        instance_id: str,
        task: ActivityTask | None = None,
        *,
        is_batch: bool = False,
    ) -> None:
        self.stream = stream
        self.instance_id = instance_id
        self.task = task
        self.is_batch = is_batch

    def fits(self, result: WorkResult) -> bool:
        """Whether it is an answer to this kind of item."""
        if self.task is not None:
            return isinstance(result, ActivityResponse)
        return isinstance(result, EntityBatchResult if self.is_batch else OrchestratorResponse)


class Streams:
    """All connected workers."""

    def __init__(self) -> None:
        """None."""
        self._streams: dict[int, Stream] = {}
        self._held: dict[CompletionToken, Held] = {}
        # Activities of streams that have ended, the longest ago first: their results are welcome.
        self._late: OrderedDict[CompletionToken, ActivityTask] = OrderedDict()
        self._nonce = 0

    @property
    def in_flight(self) -> int:
        """Items that workers hold."""
        return len(self._held)

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_anybody_there(self) -> bool:
        """True while a worker is connected."""
        return bool(self._streams)

    @property
    def has_slot_for_activity(self) -> bool:
        """True when a worker could take one more, if it took its name."""
        return any(s.activities < s.capacity.activities for s in self._streams.values())

    def task_keys(self) -> set[TaskKey]:
        """The activities that workers hold."""
        return {held.task.key for held in self._held.values() if held.task is not None}

    def connect(self, stream: Stream) -> None:
        """A worker is there."""
        self._streams[stream.id] = stream

    def pause(self, stream_id: int) -> None:
        """A worker takes no further items."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.capacity = Capacity(0, 0, 0)

    def pause_all(self) -> None:
        """No worker takes further items."""
        for stream_id in self._streams:
            self.pause(stream_id)

    def disconnect(self, stream_id: int) -> list[Held]:
        """A worker is gone: everything it held, the latest first, to be given back."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return []
        tokens = sorted(stream.tokens, key=lambda token: token.nonce, reverse=True)
        stream.tokens = set()
        given_back = []
        for token in tokens:
            held = self._held.pop(token)
            given_back.append(held)
            if held.task is not None:
                self._late[token] = held.task
        while len(self._late) > _MOST_LATE:
            self._late.popitem(last=False)
        return given_back

    def tasks_of(self, stream_id: int) -> list[ActivityTask]:
        """The activities that a worker holds."""
        stream = self._streams.get(stream_id)
        tokens = () if stream is None else stream.tokens
        held = (self._held[token].task for token in tokens)
        return [task for task in held if task is not None]

    def late(self, token: CompletionToken) -> ActivityTask | None:
        """The activity that a worker held when its stream ended, once; None for other tokens."""
        return self._late.pop(token, None)

    def number_from(self, nonce: int) -> None:
        """Tokens of earlier runs have lower numbers: an answer to one of them finds nothing."""
        self._nonce = nonce

    def new_token(self, target: str) -> CompletionToken:
        """A token that was never used before."""
        self._nonce += 1
        return CompletionToken(target, self._nonce)

    def for_orchestration(
        self,
        name: str,
        version: str | None,
        last: int,
        declined_by: frozenset[int] = frozenset(),
    ) -> Stream | None:
        """A worker with a free slot: the one that had the instance last, else the least busy."""
        best: Stream | None = None
        for stream in self._streams.values():
            if (
                stream.orchestrations < stream.capacity.orchestrations
                and stream.id not in declined_by
                and stream.only.takes_orchestration(name, version)
            ):
                if stream.id == last:
                    return stream
                if best is None or stream.orchestrations < best.orchestrations:
                    best = stream
        return best

    def for_activity(self, name: str, version: str | None) -> Stream | None:
        """The worker with the most free slots that takes the name."""
        best: Stream | None = None
        best_free = 0
        for stream in self._streams.values():
            free = stream.capacity.activities - stream.activities
            if free > best_free and stream.only.takes_activity(name, version):
                best, best_free = stream, free
        return best

    def for_entity(self, name: str) -> Stream | None:
        """The worker with the most free slots that takes the name."""
        best: Stream | None = None
        best_free = 0
        for stream in self._streams.values():
            free = stream.capacity.entities - stream.entities
            if free > best_free and stream.only.takes_entity(name):
                best, best_free = stream, free
        return best

    def anybody_takes_entity(self, name: str) -> bool:
        """True when a connected worker could run it, had it a slot."""
        return any(stream.only.takes_entity(name) for stream in self._streams.values())

    def anybody_takes_activity(self, name: str, version: str | None) -> bool:
        """True when a connected worker could run it, had it a slot."""
        return any(stream.only.takes_activity(name, version) for stream in self._streams.values())

    def anybody_takes_orchestration(
        self, name: str, version: str | None, declined_by: frozenset[int] = frozenset()
    ) -> bool:
        """True when a connected worker could run it, had it a slot."""
        return any(
            stream.only.takes_orchestration(name, version) and stream.id not in declined_by
            for stream in self._streams.values()
        )

    def held(self, token: CompletionToken) -> Held | None:
        """What the token stands for; None where it is outdated."""
        return self._held.get(token)

    def hold_turn(self, stream: Stream, request: OrchestratorRequest) -> None:
        """Hand over a turn."""
        self._held[request.token] = Held(stream, request.instance_id)
        stream.hold(request)

    def hold_batch(self, stream: Stream, request: EntityRequest) -> None:
        """Hand over the batch of an entity."""
        self._held[request.token] = Held(stream, request.instance_id, is_batch=True)
        stream.hold(request)

    def hold_task(self, stream: Stream, task: ActivityTask) -> CompletionToken:
        """Hand over an activity; the token of this dispatch."""
        token = self.new_token("t")
        self._held[token] = Held(stream, task.instance.instance_id, task)
        stream.hold(task.request(token))
        return token

    def release(self, token: CompletionToken) -> Held | None:
        """Free the slot; None where the token is outdated."""
        held = self._held.pop(token, None)
        if held is None:
            return None
        stream = held.stream
        stream.tokens.discard(token)
        if held.is_batch:
            stream.entities -= 1
        elif held.task is None:
            stream.orchestrations -= 1
        else:
            stream.activities -= 1
        return held

    def flush(self) -> None:
        """Hand over everything that is held since the last flush."""
        for stream in self._streams.values():
            stream.flush()

    def forget(self, instance_id: str) -> None:
        """Tell workers that nothing warm of the instance is of use any more."""
        for stream in self._streams.values():
            stream.sink.forget(instance_id)
