"""Streams of work: slow ones, dead ones, greedy ones, many of them, and their end."""

from __future__ import annotations

import collections
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from durable_app.clock import SystemClock
from durable_app.ports import StartRequest
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from durable_app.rpc.server.work import WorkLimits
from tests.contract.rpc_server.bench import Desk, Served, scheduling

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
TIMED_OUT = grpc.StatusCode.DEADLINE_EXCEEDED
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED
#: Less than what a worker receives at most, and more than what gRPC takes in for it.
BIG = "x" * 3_000_000
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def served():
    served = Served(limits=WorkLimits(ping_s=0.1, send_timeout_s=0.5))
    yield served
    served.close()
    assert served.fatal == []


def eventually(is_so, timeout_s=10.0):
    deadline = CLOCK.monotonic() + timeout_s
    tick = threading.Event()
    while not is_so():
        assert CLOCK.monotonic() < deadline, "it never was so"
        tick.wait(0.01)


def fan_out(desk, worker, count):
    """An orchestration with so many activities."""
    desk.start("fan")
    worker.decide(worker.turn(), *(scheduling(number) for number in range(count)))


# -- slow and dead readers ------------------------------------------------------------------------


def test_pings_come_where_there_is_no_work(desk):
    worker = desk.work()
    for _ in range(3):
        worker.next("healthPing")


def test_a_worker_that_does_not_read_is_cut_and_its_items_go_to_others(desk, served):
    sleeper = desk.work()
    ids = [desk.start(value=BIG) for _ in range(8)]
    hub = served.hub(desk.name)
    eventually(lambda: hub.statistics.in_flight == 8)
    eventually(lambda: hub.statistics.workers == 0, 3)
    reader = desk.work()
    for _ in ids:
        reader.finish(reader.turn())
    assert {desk.finished(one).orchestrationStatus for one in ids} == {COMPLETED}
    # It is told as soon as it reads on.
    assert sleeper.ended().code is TIMED_OUT


def test_a_slow_reader_is_not_a_dead_one(desk):
    worker = desk.work()
    ids = [desk.start(value=BIG) for _ in range(8)]
    tick = threading.Event()
    for _ in ids:
        tick.wait(0.15)  # All together take longer than the time for one message.
        worker.finish(worker.turn())
    assert {desk.finished(one).orchestrationStatus for one in ids} == {COMPLETED}


def test_the_items_of_a_stream_that_ends_go_to_others_at_once(desk):
    first = desk.work()
    fan_out(desk, first, 3)
    held = [first.activity() for _ in range(3)]
    second = desk.work()
    began = CLOCK.monotonic()
    first.close()
    again = [second.activity() for _ in range(3)]
    assert CLOCK.monotonic() - began < 2
    assert {i.activityRequest.taskId for i in again} == {i.activityRequest.taskId for i in held}
    for item in again:
        second.done(item)
    # The first worker's answers come late: they change nothing any more.
    for item in held:
        second.done(item, "late")
    turns = 0
    while turns < 3:
        item = second.turn()
        turns += sum(
            event.WhichOneof("eventType") == "taskCompleted"
            for event in item.orchestratorRequest.newEvents
        )
        second.decide(item)
    kinds = [event.WhichOneof("eventType") for event in desk.history("fan")]
    assert kinds.count("taskCompleted") == 3


def test_answers_are_welcome_after_their_stream_has_ended(desk, served):
    first = desk.work()
    fan_out(desk, first, 1)
    item = first.activity()
    first.close()
    hub = served.hub(desk.name)
    eventually(lambda: hub.statistics.workers == 0)
    first.done(item, "late but right")
    second = desk.work()
    turn = second.turn()
    completed = turn.orchestratorRequest.newEvents[-1].taskCompleted
    assert completed.result.value == '"late but right"'
    second.finish(turn)
    assert desk.finished("fan").orchestrationStatus == COMPLETED


def test_an_item_that_cannot_be_sent_fails_and_the_stream_goes_on(desk, served, caplog):
    # No client of this wire can do so; one that shares a process with the hub can.
    bad = StartRequest("flow", "bad", input="half of a pair: \ud800")
    served.call(served.hub(desk.name).start(bad))
    worker = desk.work()
    desk.start("good")
    item = worker.turn()
    assert item.orchestratorRequest.instanceId == "good"
    worker.finish(item)
    state = served.call(served.hub(desk.name).wait_for_completion("bad", timeout_s=5))
    assert state.failure.error_type == "MessageNotSentError"
    assert "half of a pair" not in caplog.text


def test_a_hub_that_is_removed_sends_its_workers_away(desk, served):
    workers = [desk.work(), desk.work()]
    other = Desk(served.address)
    bystander = other.work()
    desk.ask("CreateTaskHub", pb.CreateTaskHubRequest(recreateIfExists=True))
    assert [worker.ended().code for worker in workers] == [UNAVAILABLE] * 2
    worker = desk.work()
    desk.ask("DeleteTaskHub")
    assert worker.ended().code is UNAVAILABLE
    other.start()
    bystander.finish(bystander.turn())
    other.close()


def test_a_hub_that_is_made_anew_knows_no_token_of_the_one_before(desk):
    worker = desk.work()
    desk.start("old")
    item = worker.turn()
    desk.ask("CreateTaskHub", pb.CreateTaskHubRequest(recreateIfExists=True))
    worker = desk.work()
    desk.start("new")
    again = worker.turn()
    worker.finish(item, "wrong")
    worker.finish(again, "right")
    assert desk.finished("new").output.value == '"right"'


def test_nothing_is_kept_of_hubs_that_are_not_served():
    served = Served(names=("alpha",), is_dynamic=False)
    for number in range(20):
        desk = Desk(served.address, f"beta{number}")
        for name in METHODS:
            if name.startswith(("Complete", "Abandon")):
                refused = desk.refused(name, METHODS[name].request())
                assert refused.code is grpc.StatusCode.NOT_FOUND
        desk.close()
    assert served.server._work._tokens == {}
    served.close()


# -- fairness -------------------------------------------------------------------------------------


def test_a_worker_that_holds_all_its_slots_starves_nobody(desk):
    greedy = desk.work(maxConcurrentOrchestrationWorkItems=1, maxConcurrentActivityWorkItems=2)
    fan_out(desk, greedy, 6)
    held = [greedy.activity() for _ in range(2)]
    other = desk.work()
    for _ in range(4):
        other.done(other.activity())
    for item in held:
        greedy.done(item)


def test_slots_are_kept(desk):
    decider = desk.work()
    fan_out(desk, decider, 6)
    only = {"activities": [{"name": "act"}]}
    worker = desk.work(maxConcurrentActivityWorkItems=2, workItemFilters=only)
    decider.close()
    held = [worker.activity(), worker.activity()]
    worker.next("healthPing")  # There is nothing for it, although four are waiting.
    for _ in range(4):
        worker.done(held.pop())
        held.append(worker.activity())


def test_activities_are_spread_over_the_streams(desk):
    decider = desk.work(workItemFilters={"orchestrations": [{"name": "flow"}]})
    workers = [desk.work(maxConcurrentActivityWorkItems=10) for _ in range(4)]
    fan_out(desk, decider, 40)
    counts = [len({w.activity().completionToken for _ in range(10)}) for w in workers]
    assert counts == [10] * 4


def test_turns_are_spread_over_the_streams_by_their_slots(desk):
    workers = [desk.work(maxConcurrentOrchestrationWorkItems=5) for _ in range(4)]
    for _ in range(20):
        desk.start()
    seen: collections.Counter[str] = collections.Counter()
    for worker in workers:
        for _ in range(5):
            seen[worker.turn().orchestratorRequest.instanceId] += 1
    assert set(seen.values()) == {1}
    assert len(seen) == 20


def test_what_is_given_back_comes_again(desk):
    worker = desk.work()
    fan_out(desk, worker, 1)
    item = worker.activity()
    desk.ask(
        "AbandonTaskActivityWorkItem",
        pb.AbandonActivityTaskRequest(completionToken=item.completionToken),
    )
    again = worker.activity()
    assert again.activityRequest == item.activityRequest
    assert again.completionToken != item.completionToken
    worker.done(item, "outdated")
    worker.done(again, "right")
    turn = worker.turn()
    assert turn.orchestratorRequest.newEvents[-1].taskCompleted.result.value == '"right"'
    desk.ask(
        "AbandonTaskOrchestratorWorkItem",
        pb.AbandonOrchestrationTaskRequest(completionToken=turn.completionToken),
    )
    assert worker.turn().orchestratorRequest.instanceId == "fan"
    desk.ask("SignalEntity", pb.SignalEntityRequest(instanceId="@counter@a", name="add"))
    batch = worker.next("entityRequestV2")
    desk.ask(
        "AbandonTaskEntityWorkItem",
        pb.AbandonEntityTaskRequest(completionToken=batch.completionToken),
    )
    assert worker.next("entityRequestV2").entityRequestV2 == batch.entityRequestV2


# -- waits ----------------------------------------------------------------------------------------


def waits(desk, name, ids, timeout_s=30.0):
    call = desk.channel.unary_unary(METHODS[name].path)
    return [
        call.future(
            pb.GetInstanceRequest(instanceId=one).SerializeToString(),
            timeout_s,
            metadata=desk.metadata,
        )
        for one in ids
    ]


def test_a_hundred_wait_for_one_instance(desk):
    worker = desk.work()
    desk.start("one")
    waiting = waits(desk, "WaitForInstanceCompletion", ["one"] * 100)
    worker.finish(worker.turn())
    statuses = {
        pb.GetInstanceResponse.FromString(wait.result()).orchestrationState.orchestrationStatus
        for wait in waiting
    }
    assert statuses == {COMPLETED}


def test_a_thousand_long_polls_cost_little_and_leave_nothing(desk, served):
    hub = served.hub(desk.name)
    before = served.tasks()
    waiting = waits(desk, "WaitForInstanceCompletion", [f"one{n}" for n in range(1_000)])
    eventually(lambda: len(hub._waits) == 1_000)
    used = sum(os.times()[:2])
    began = CLOCK.monotonic()
    threading.Event().wait(0.5)
    share = (sum(os.times()[:2]) - used) / (CLOCK.monotonic() - began)
    assert share < 0.3, "waiting costs time of the processor"
    # Others are served as before.
    worker = desk.work()
    began = CLOCK.monotonic()
    desk.start("quick")
    worker.finish(worker.turn())
    desk.finished("quick")
    assert CLOCK.monotonic() - began < 1
    worker.close()
    for wait in waiting:
        wait.cancel()
    eventually(lambda: not hub._waits and served.tasks() <= before)
    assert hub._hub.state.watchers._waiting == {}


# -- the end --------------------------------------------------------------------------------------


def test_the_end_tells_everybody_in_time():
    served = Served()
    desk = Desk(served.address)
    streams = [desk.work() for _ in range(3)]
    waiting = [
        *waits(desk, "WaitForInstanceCompletion", ["one"] * 20),
        *waits(desk, "WaitForInstanceStart", ["one"] * 20),
    ]
    hub = served.hub(desk.name)
    eventually(lambda: len(hub._waits) == 40)
    ends = ThreadPoolExecutor(3).map(lambda stream: stream.ended(), streams)
    began = CLOCK.monotonic()
    served.do(served.hubs.end_waits)
    served.stop_server(5)
    assert CLOCK.monotonic() - began < 2, "it has waited for its grace"
    assert {end.code for end in ends} == {UNAVAILABLE}
    assert {wait.code() for wait in waiting} == {UNAVAILABLE}
    assert desk.refused("Hello", Empty()).code is UNAVAILABLE
    desk.close()
    served.close()


def test_while_it_ends_nobody_gets_a_stream():
    served = Served()
    desk = Desk(served.address)
    worker = desk.work()
    assert served.server.workers == 1
    served.do(served.server._work.close)
    assert worker.ended().code is UNAVAILABLE
    assert desk.refused("GetWorkItems", pb.GetWorkItemsRequest()).code is UNAVAILABLE
    desk.ask("Hello")
    assert served.server.workers == 0
    desk.close()
    served.close()


def test_the_end_comes_after_its_grace_whatever_goes_on():
    served = Served()
    desk = Desk(served.address)
    waiting = waits(desk, "WaitForInstanceCompletion", ["one"])
    sleeper = desk.work()
    for _ in range(8):
        desk.start(value=BIG)
    hub = served.hub(desk.name)
    eventually(lambda: len(hub._waits) == 1 and hub.statistics.in_flight == 8)
    began = CLOCK.monotonic()
    served.stop_server(0.5)
    assert CLOCK.monotonic() - began < 2
    assert waiting[0].code() in {UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert sleeper.ended().code in {UNAVAILABLE, grpc.StatusCode.CANCELLED}
    eventually(lambda: hub.statistics.in_flight == 0)
    desk.close()
    served.close()


def test_a_server_that_has_ended_comes_back_on_its_port():
    served = Served()
    desk = Desk(served.address)
    worker = desk.work()
    fan_out(desk, worker, 1)
    item = worker.activity()
    served.stop_server(1)
    assert worker.ended().code is UNAVAILABLE
    served.start_server()
    eventually(lambda: isinstance(desk.send("Hello", b""), bytes))
    worker = desk.work()
    # What the run before has handed out means nothing to this one.
    worker.done(item, "old")
    again = worker.activity()
    worker.done(again, "new")
    turn = worker.turn()
    assert turn.orchestratorRequest.newEvents[-1].taskCompleted.result.value == '"new"'
    worker.finish(turn)
    assert desk.finished("fan").orchestrationStatus == COMPLETED
    desk.close()
    served.close()
