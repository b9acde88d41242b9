"""The official worker for Python on a bad connection: our server loses and repeats nothing."""

from __future__ import annotations

import threading

import pytest
from durabletask import task
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker
from durabletask.grpc_options import GrpcWorkerResiliencyOptions

from tests.contract.faults.torture import Rack, noticed_after

QUICK = GrpcWorkerResiliencyOptions(
    hello_timeout_seconds=1.0,
    silent_disconnect_timeout_seconds=1.0,
    channel_recreate_failure_threshold=2,
    reconnect_backoff_base_seconds=0.05,
    reconnect_backoff_cap_seconds=0.3,
)


def steps(context, _):
    first = yield context.call_activity(echo, input=0)
    second = yield context.call_activity(echo, input=1)
    third = yield context.call_activity(echo, input=2)
    more = yield task.when_all([context.call_activity(echo, input=10 + n) for n in range(3)])
    return [first, second, third, *more]


def echo(_, value):
    threading.Event().wait(0.005)
    return value


@pytest.fixture
def rack():
    rack = Rack()
    yield rack
    rack.close()


@pytest.fixture
def worker(rack):
    worker = DurableTaskSchedulerWorker(
        host_address=rack.proxy.address,
        taskhub="tortured",
        token_credential=None,
        secure_channel=False,
        resiliency_options=QUICK,
    )
    worker.add_orchestrator(steps)
    worker.add_activity(echo)
    worker.start()
    yield worker
    worker.stop()


def test_two_hundred_orchestrations_survive_a_bad_connection(rack, worker):
    ids = rack.start_all()
    rack.torture(seed=1)
    rack.finish_all(ids)
    assert len(rack.faults) == 10


def test_a_worker_in_a_black_hole_is_given_up_and_welcome_again(rack, worker):
    hub = rack.served.hub("tortured")
    noticed_after(lambda: hub.statistics.workers == 1)
    rack.proxy.black_hole()
    assert noticed_after(lambda: hub.statistics.workers == 0) < 5
    rack.proxy.heal()
    assert noticed_after(lambda: hub.statistics.workers == 1) < 10
    rack.desk.start("one", "steps")
    rack.finish_all(["one"])
