"""Our own worker on a bad connection: nothing lost, nothing twice, back within its bounds."""

from __future__ import annotations

import gc
import os
import threading
from dataclasses import replace
from functools import partial

import grpc
import pytest

from durable_app.connection.options import reconnect_cap_s
from durable_app.protocol import OrchestrationStatus
from tests.contract.faults.own_worker import QUICK, SILENT_S, OwnWorker
from tests.contract.faults.torture import Rack, noticed_after


def is_longer(found, count):
    return len(found) > count


@pytest.fixture
def rack():
    rack = Rack()
    yield rack
    rack.close()


@pytest.fixture
def worker(rack):
    worker = OwnWorker(rack.proxy.port, "tortured")
    hub = rack.served.hub("tortured")
    noticed_after(lambda: hub.statistics.workers == 1)
    yield worker
    worker.close()


@pytest.fixture
def hasty(rack):
    """A worker that hardly waits before it connects anew."""
    options = replace(
        QUICK, reconnect_backoff_base_seconds=0.01, reconnect_backoff_cap_seconds=0.02
    )
    worker = OwnWorker(rack.proxy.port, "tortured", options)
    yield worker
    worker.close()


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_two_hundred_orchestrations_survive_a_bad_connection(rack, worker, chaos_scale):
    for seed in range(chaos_scale):
        ids = rack.start_all(f"round{seed}")
        waiting = worker.wait_for(ids)
        rack.torture(seed)
        rack.finish_all(ids)
        states = waiting.result(20)
        assert [state.instance_id for state in states] == ids
        assert {state.status for state in states} == {OrchestrationStatus.COMPLETED}
    assert len(rack.faults) == 10
    cap_s = QUICK.reconnect_backoff_cap_seconds
    assert max(worker.listener.waits) <= cap_s


def test_it_is_back_within_its_bounds(rack, worker):
    hub = rack.served.hub("tortured")
    for _ in range(5):
        count = len(worker.listener.began)
        rack.proxy.reset()
        # A machine that is busy adds its share.
        bound_s = reconnect_cap_s(QUICK, is_local=True) + QUICK.hello_timeout_seconds + 1
        assert noticed_after(partial(is_longer, worker.listener.began, count)) < bound_s
        noticed_after(lambda: hub.statistics.workers == 1)


def test_a_silent_black_hole_is_noticed_by_both_sides(rack, worker):
    hub = rack.served.hub("tortured")
    ended, accepted = len(worker.listener.ended), rack.proxy.accepted
    rack.proxy.black_hole()
    # Pings came until now: the silence began a moment ago at most.
    assert noticed_after(lambda: len(worker.listener.ended) > ended) < SILENT_S + 2
    assert noticed_after(lambda: hub.statistics.workers == 0) < 5
    # It tries other connections, by itself.
    noticed_after(lambda: rack.proxy.accepted > accepted)
    rack.proxy.heal()
    assert noticed_after(lambda: hub.statistics.workers == 1) < 6
    rack.desk.start("one", "steps")
    rack.finish_all(["one"])


def test_a_hub_that_is_far_away_is_reached_at_the_first_attempt(rack):
    rack.proxy.delay(0.1)
    worker = OwnWorker(rack.proxy.port, "tortured")
    hub = rack.served.hub("tortured")
    noticed_after(lambda: hub.statistics.workers == 1)
    assert (rack.proxy.accepted, worker.listener.reasons) == (1, [])
    rack.proxy.heal()
    worker.close()


@pytest.mark.parametrize("loses_up", [True, False])
def test_half_a_connection_is_none(rack, worker, loses_up):
    hub = rack.served.hub("tortured")
    rack.proxy.half_open(loses_up=loses_up)
    noticed_after(lambda: hub.statistics.workers == 0)
    rack.proxy.heal()
    noticed_after(lambda: hub.statistics.workers == 1)
    rack.desk.start("one", "steps")
    rack.finish_all(["one"])


def resources(rack, worker):
    """What a leak would show in; with two connections of the proxy for each that is open."""
    gc.collect()
    return {
        "tasks": worker.tasks() + rack.served.tasks(),
        "threads": threading.active_count(),
        "channels": sum(isinstance(thing, grpc.aio.Channel) for thing in gc.get_objects()),
        "files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
    }


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def reconnect(rack, worker, rounds):
    hub = rack.served.hub("tortured")
    for number in range(rounds):
        count = len(worker.listener.began)
        if number % 2:
            rack.proxy.cut()
        else:
            rack.proxy.reset()
        noticed_after(partial(is_longer, worker.listener.began, count))
        noticed_after(lambda: hub.statistics.workers == 1)


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_reconnects_leave_nothing_behind(rack, hasty, chaos_scale):
    reconnect(rack, hasty, 10)
    before = resources(rack, hasty)
    reconnect(rack, hasty, 100 * chaos_scale // 2)
    bytes_amid = resident_bytes() if os.path.exists("/proc/self/statm") else 0
    reconnect(rack, hasty, 100 * chaos_scale // 2)
    bytes_after = resident_bytes() if os.path.exists("/proc/self/statm") else 0
    assert bytes_after - bytes_amid < 10_000_000
    # Calls that are about to end take their moment.
    slack = {"tasks": 3, "threads": 2, "channels": 1, "files": 6}

    def has_leaked():
        now = resources(rack, hasty)
        return {name: now[name] for name in now if now[name] > before[name] + slack[name]}

    noticed_after(lambda: not has_leaked(), 10)
