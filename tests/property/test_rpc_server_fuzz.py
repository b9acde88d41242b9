"""Whatever bytes a client sends: a status that says what is wrong, and everybody else is served."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from tests.contract.rpc_server.bench import (
    Desk,
    RawWorker,
    Records,
    Refused,
    Served,
    ending,
    scheduling,
)
from tests.property.wire_values import messages

#: What a client may be told. INTERNAL and UNKNOWN are our errors, and not its own.
FORESEEN = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}
#: These take as long as their caller wants, and so are ended by it.
LONG = {method.name for method in METHODS.values() if method.is_long_poll} | {"RewindInstance"}
IDS = ["", "one", "two", "@counter@a", "@Counter@a", "é" * 100, "x" * 101]
TYPES_OF_IDS = {"instanceId", "instanceIds"}


class World:
    """A server, and a hub with instances that everything is tried on.

    Attributes:
        tokens: of items that a worker holds.
    """

    def __init__(self) -> None:
        self.served = Served()
        self.desk = Desk(self.served.address, "fuzzed")
        self.records = Records()
        logging.getLogger().addHandler(self.records)
        self.tokens: deque[str] = deque(["", "x"], maxlen=20)
        self._worker: RawWorker | None = None

    def renew(self) -> None:
        """Some items in hands, whose tokens count; those from before have been given back."""
        if self._worker is not None:
            self._worker.close()
        worker = self._worker = self.desk.work(maxConcurrentOrchestrationWorkItems=5)
        for name in ("one", "two"):
            request = pb.CreateInstanceRequest(instanceId=name, name="flow")
            self.desk.send("StartInstance", request.SerializeToString())
            self.desk.start()
        signal = pb.SignalEntityRequest(instanceId="@counter@a", name="add")
        self.desk.ask("SignalEntity", signal)
        for _ in range(3):
            self.tokens.append(worker.next().completionToken)

    def works(self) -> None:
        """An orchestration runs from its start to its end."""
        desk = Desk(self.served.address, "healthy")
        worker = desk.work()
        one = desk.start()
        worker.decide(worker.turn(), scheduling(0))
        worker.done(worker.activity())
        worker.decide(worker.turn(), ending())
        assert desk.finished(one).orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED
        desk.close()

    def close(self) -> None:
        self.desk.close()
        self.served.close()
        logging.getLogger().removeHandler(self.records)


@pytest.fixture
def world(fuzzed: World) -> World:
    fuzzed.renew()
    return fuzzed


@pytest.fixture(scope="module")
def fuzzed() -> Any:
    world = World()
    yield world
    world.works()
    assert world.served.fatal == []
    world.close()


def requests(name: str) -> st.SearchStrategy[Any]:
    return messages(METHODS[name].request.DESCRIPTOR)


def is_text(message: Any, name: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name.get(name)
    return field is not None and field.type == field.TYPE_STRING


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Some of its bytes are others, are missing, or come twice."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 8)))
        data = data[:at] + draw(st.binary(max_size=4) | st.just(data[at:until] * 2)) + data[until:]
    return data


def check(world: World, name: str, data: bytes) -> None:
    """It is answered, or refused in a way that was foreseen; nothing else happens."""
    long = name in LONG
    answer = world.desk.send(name, data, 0.03 if long else 10)
    if isinstance(answer, Refused):
        allowed = FORESEEN | ({grpc.StatusCode.DEADLINE_EXCEEDED} if long else set())
        assert answer.code in allowed, answer
    assert [r for r in world.records.records if r.exc_info] == []
    assert world.served.fatal == []


@pytest.mark.parametrize("name", METHODS)
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chosen=st.data())
def test_any_message(world: World, name: str, chosen: st.DataObject) -> None:
    check(world, name, drawn(world, name, chosen))


def drawn(world: World, name: str, chosen: st.DataObject) -> bytes:
    """A request. Most ids and tokens mean something: then more than the codec is reached."""
    request = chosen.draw(requests(name))
    if is_text(request, "instanceId"):
        request.instanceId = chosen.draw(st.sampled_from(IDS))
    if is_text(request, "completionToken"):
        request.completionToken = chosen.draw(st.sampled_from(sorted(world.tokens)))
    data = bytes(request.SerializeToString())
    if chosen.draw(st.integers(0, 3)) == 3:
        data = chosen.draw(mutated(data))
    return data


OUTCOMES = sorted(name for name in METHODS if name.startswith(("Complete", "Abandon")))


@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chosen=st.data())
def test_any_batch_of_outcomes(world: World, chosen: st.DataObject) -> None:
    batch = pb.OutcomeBatchRequest()
    for _ in range(chosen.draw(st.integers(1, 4))):
        name = chosen.draw(st.sampled_from(OUTCOMES))
        batch.outcomes.add(method=name, request=drawn(world, name, chosen))
    check(world, "CompleteWorkItems", batch.SerializeToString())


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(METHODS)), data=st.binary(max_size=64))
def test_any_bytes(world: World, name: str, data: bytes) -> None:
    check(world, name, data)


def test_it_goes_on(world: World) -> None:
    world.works()
