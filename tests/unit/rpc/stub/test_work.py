"""A worker's connection: what it is given, what it hands in, how it ends."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.errors import ConfigError, SchedulerUnavailableError, WireFormatError
from durable_app.ports import Capacity, WorkFilter
from durable_app.protocol import (
    ActivityResponse,
    CompleteOrchestration,
    EntityBatchResult,
    ExecutionRewound,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorResponse,
    OrchestratorStarted,
    TaskScheduled,
)
from durable_app.rpc.codec.events import encode_history
from durable_app.rpc.codec.streams import HISTORY_STREAMING
from durable_app.rpc.codec.work import encode_work_item
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.stub import work as work_module
from durable_app.rpc.stub.outcomes import Unreadable
from durable_app.rpc.stub.work import RemoteWork
from tests.contract.wire import CLOCK
from tests.unit.rpc.stub.items import activity, batch, turn
from tests.unit.rpc.stub.rig import with_calls

CAPACITY = Capacity(1, 2, 3)
PAST = [OrchestratorStarted()]


class Consumer:
    """Stays connected until it is stopped."""

    def __init__(self, link, take, error=None):
        self.link = link
        self.take = take
        self.stopped = False
        self._error = error
        self._done = asyncio.Event()

    async def run(self):
        if self._error is not None:
            raise self._error
        await self._done.wait()

    def stop(self):
        self.stopped = True

    def drained(self):
        self._done.set()


class Sink:
    """Notes what it is given."""

    def __init__(self):
        self.items = []
        self.log = []

    def push(self, items):
        self.items += items
        self.log += [item.token.target for item in items]

    def forget(self, instance_id):
        self.log.append(f"forget {instance_id}")


class Desk:
    """A connection with all that belongs to it."""

    def __init__(self, calls, server):
        self.server = server
        self.sink = Sink()
        self.consumers = []
        self.fatal: list[BaseException] = []
        self.work = RemoteWork(calls, CLOCK, self._consume, self.fatal.append)

    def _consume(self, link, take):
        self.consumers.append(Consumer(link, take))
        return self.consumers[-1]

    def connect(self):
        stream = self.work.connect(self.sink, CAPACITY)
        self.take = self.consumers[-1].take
        return stream

    def given(self, item):
        """The item as the worker gets it."""
        self.take(item)
        return self.sink.items[-1]


def with_desk(conversation, **script):
    """Run ``conversation(desk, stream)`` and close; what the hub was told, by method."""

    async def main(calls, server):
        desk = Desk(calls, server)
        await conversation(desk, desk.connect())
        await desk.work.close()
        await desk.work.close()
        told = {name.rpartition("/")[2]: len(calls) for name, calls in server.seen.items()}
        return told, desk

    return with_calls(main, **script)


def outcome(item, **fields):
    return ActivityResponse(item.instance.instance_id, item.task_id, item.token, **fields)


# -- outcomes ------------------------------------------------------------------------------------


def test_results_of_all_kinds_are_handed_in_from_any_thread():
    async def conversation(desk, stream):
        items = [desk.given(each) for each in (activity("a"), turn("b"), batch("c", "1"))]
        results = [
            outcome(items[0], result="2"),
            OrchestratorResponse("one", items[1].token, ()),
            EntityBatchResult(items[2].token, ()),
        ]
        await asyncio.to_thread(stream.complete, results)
        await asyncio.to_thread(stream.complete, results)

    told, _ = with_desk(conversation)
    assert told == dict.fromkeys(
        ("CompleteActivityTask", "CompleteOrchestratorTask", "CompleteEntityTask"), 1
    )


@pytest.mark.parametrize("way", ["abandon", "decline", "put_back"])
def test_items_are_given_back_once(way):
    async def conversation(desk, stream):
        item = desk.given(activity("a"))
        for _ in range(2):
            getattr(stream, way)(item.token, *(["why"] if way == "abandon" else []))

    assert with_desk(conversation)[0] == {"AbandonTaskActivityWorkItem": 1}


def test_a_result_that_cannot_be_sent_fails_its_item():
    seen = []

    def answer(name, request, context):
        seen.append((name, request))
        return b""

    async def conversation(desk, stream):
        item = desk.given(activity("a"))
        desk.server.answer = answer
        stream.complete([outcome(item, result="\ud800")])

    with_desk(conversation)
    ((method, request),) = seen
    sent = pb.ActivityResponse.FromString(request)
    assert (method, sent.completionToken) == ("CompleteActivityTask", "a")
    assert "The result cannot be sent" in sent.failureDetails.errorMessage


def test_a_result_that_is_too_large_fails_its_item():
    sent = []

    def answer(name, request, context):
        sent.append(pb.ActivityResponse.FromString(request))
        if len(sent) == 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max")
        return b""

    async def conversation(desk, stream):
        desk.server.answer = answer
        stream.complete([outcome(desk.given(activity("a")), result="1")])

    with_desk(conversation)
    assert [each.HasField("failureDetails") for each in sent] == [False, True]
    assert sent[1].completionToken == "a"


def test_the_end_gives_back_what_is_left_and_takes_nothing_more():
    async def conversation(desk, stream):
        items = [desk.given(each) for each in (activity("a"), turn("b"))]
        stream.pause()
        stream.close()
        stream.complete([outcome(items[0], result="2")])
        stream.abandon(items[1].token, "why")
        await stream.end()

    told, desk = with_desk(conversation)
    assert told == {"AbandonTaskActivityWorkItem": 1, "AbandonTaskOrchestratorWorkItem": 1}
    assert desk.consumers[0].stopped


def test_after_a_pause_results_are_still_handed_in():
    async def conversation(desk, stream):
        item = desk.given(activity("a"))
        stream.pause()
        stream.complete([outcome(item, result="2")])

    assert with_desk(conversation)[0] == {"CompleteActivityTask": 1}


# -- items ---------------------------------------------------------------------------------------


def test_what_comes_again_is_run_once_and_answered_once():
    async def conversation(desk, stream):
        item = desk.given(activity("a"))
        desk.take(activity("b"))
        assert desk.sink.log == ["a"]
        stream.complete([outcome(item, result="2")])

    assert with_desk(conversation)[0] == {"CompleteActivityTask": 1}


@pytest.mark.parametrize("way", ["complete", "abandon"])
def test_an_entity_does_one_thing_at_a_time(way):
    async def conversation(desk, stream):
        item = desk.given(batch("a", "1"))
        desk.take(batch("b", "1", "2"))
        assert desk.sink.log == ["a"]
        if way == "complete":
            stream.complete([EntityBatchResult(item.token, ())])
        else:
            stream.abandon(item.token, "why")
        await asyncio.sleep(0.01)
        assert desk.sink.log == ["a", "b"]

    told, _ = with_desk(conversation)
    assert told == {"AbandonTaskEntityWorkItem": 1}


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (Unreadable(encode_work_item(activity("a")), "odd"), {"CompleteActivityTask": 1}),
        (Unreadable(pb.WorkItem(completionToken="a"), "odd"), {}),
    ],
)
def test_an_item_that_cannot_be_read_never_reaches_the_worker(item, told, caplog):
    async def conversation(desk, _stream):
        desk.take(item)
        assert desk.sink.log == []

    assert with_desk(conversation)[0] == told
    assert "cannot be read: odd" in caplog.text


# -- warm executions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "log"),
    [
        ({}, ["a"]),
        ({"past_count": 3, "requires_history_streaming": True}, ["a"]),
        ({"requires_history_streaming": True}, ["forget one", "a"]),
        ({"past_count": -1, "requires_history_streaming": True}, ["forget one", "a"]),
        ({"past_events": PAST, "past_count": 1}, ["forget one", "a"]),
    ],
)
def test_executions_go_on_warm_where_the_hub_says_where_they_stand(fields, log):
    async def conversation(desk, _stream):
        desk.take(turn("a", **fields))
        assert desk.sink.log == log

    with_desk(conversation)


def test_with_a_connection_that_begins_all_is_forgotten_that_has_not_ended():
    async def conversation(desk, stream):
        for name in ("one", "two"):
            desk.take(turn(name, name))
        ended = CompleteOrchestration(1, OrchestrationStatus.COMPLETED)
        stream.complete([OrchestratorResponse("one", desk.sink.items[0].token, (ended,))])
        await asyncio.sleep(0.01)
        link = desk.consumers[0].link
        await link.hello(5)
        await link.hello(5)
        assert desk.sink.log == ["one", "two", "forget two"]

    with_desk(conversation)


def test_only_so_many_are_warm(monkeypatch):
    monkeypatch.setattr(work_module, "_MOST_WARM", 2)

    async def conversation(desk, _stream):
        for name in ("one", "two", "one", "three"):
            desk.take(turn(name, name))
        assert desk.sink.log == ["one", "two", "one", "forget two", "three"]

    with_desk(conversation)


# -- histories -----------------------------------------------------------------------------------


def test_a_history_is_loaded_by_another_thread():
    chunk = pb.HistoryChunk()
    chunk.events.add().orchestratorStarted.SetInParent()
    answers = [chunk.SerializeToString(), grpc.StatusCode.INVALID_ARGUMENT]

    async def conversation(_desk, stream):
        found = await asyncio.to_thread(stream.load_history, "one", "e")
        assert [type(event) for event in found] == [OrchestratorStarted]
        with pytest.raises(WireFormatError):
            await asyncio.to_thread(stream.load_history, "one", "e")

    with_desk(conversation, StreamInstanceHistory=answers)


def test_after_the_end_of_the_loop_nothing_is_loaded_or_handed_in():
    kept = []

    async def conversation(_desk, stream):
        kept.append(stream)

    with_desk(conversation)
    kept[0].complete([])
    with pytest.raises(SchedulerUnavailableError, match="has been stopped"):
        kept[0].load_history("one", "e")


# -- connections ---------------------------------------------------------------------------------


def test_what_a_worker_asks_for():
    async def conversation(desk, _stream):
        only = WorkFilter(frozenset({"chain"}), frozenset(), frozenset(), {"chain": frozenset("1")})
        desk.work.connect(desk.sink, CAPACITY, only, whole_history=True)

    _, desk = with_desk(conversation)
    first, second = (
        pb.GetWorkItemsRequest.FromString(each.link._request) for each in desk.consumers
    )
    assert list(first.capabilities) == [HISTORY_STREAMING]
    assert (first.maxConcurrentActivityWorkItems, first.HasField("workItemFilters")) == (2, False)
    assert list(second.capabilities) == []
    (wanted,) = second.workItemFilters.orchestrations
    assert (wanted.name, list(wanted.versions)) == ("chain", ["1"])


def test_a_filter_that_leaves_a_kind_open_cannot_be_said():
    async def conversation(desk, _stream):
        with pytest.raises(ConfigError, match="all kinds"):
            desk.work.connect(desk.sink, CAPACITY, WorkFilter(frozenset({"chain"})))

    with_desk(conversation)


def test_what_is_no_hub_is_told_to_whoever_runs_the_worker():
    error = LinkError(LinkFailure.NOT_A_HUB, "no hub")

    async def main(calls, _server):
        fatal: list[BaseException] = []
        work = RemoteWork(
            calls, CLOCK, lambda link, take: Consumer(link, take, error), fatal.append
        )
        stream = work.connect(Sink(), CAPACITY)
        await work.close()
        await stream.end()
        return fatal

    assert with_calls(main) == [error]


# -- rewinds on other hubs -----------------------------------------------------------------------

OPEN = TaskScheduled(1, name="double")
REWOUND: list[HistoryEvent] = [OrchestratorStarted(), OPEN, ExecutionRewound()]


def asked(desk):
    """Names the activities that the hub is asked for with each turn."""
    seen = []

    def answer(name, request, context):
        sent = pb.OrchestratorResponse.FromString(request)
        seen.append([action.scheduleTask.name for action in sent.actions])
        return b""

    desk.server.answer = answer
    return seen


@pytest.mark.parametrize("way", ["complete", "abandon"])
def test_what_is_open_after_a_rewind_is_asked_for_again(way):
    seen = []

    async def conversation(desk, stream):
        seen.append(asked(desk))
        item = desk.given(turn("a", past_events=REWOUND))
        assert item.past_events == REWOUND[:2]
        if way == "abandon":
            stream.abandon(item.token, "why")
            await asyncio.sleep(0.01)
        stream.complete([OrchestratorResponse("one", item.token, ())])

    with_desk(conversation)
    assert seen == [[["double"]] if way == "complete" else [[]]]


def test_likewise_where_the_history_is_loaded():
    chunk = next(encode_history(REWOUND)).SerializeToString()
    seen = []

    async def conversation(desk, stream):
        item = desk.given(turn("a", requires_history_streaming=True))
        found = await asyncio.to_thread(stream.load_history, "one", "e")
        assert len(found) == 2
        seen.append(asked(desk))
        stream.complete([OrchestratorResponse("one", item.token, ())])

    with_desk(conversation, StreamInstanceHistory=[chunk])
    assert seen == [[["double"]]]


def test_whole_histories_are_those_of_our_hub():
    async def conversation(desk, _stream):
        desk.work.connect(desk.sink, CAPACITY, whole_history=True)
        desk.take = desk.consumers[-1].take
        assert desk.given(turn("a", past_events=REWOUND)).past_events == REWOUND

    with_desk(conversation)
