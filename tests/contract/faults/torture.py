"""Two hundred orchestrations behind a proxy that tortures the connection of their worker."""

from __future__ import annotations

import random  # noqa: TID251  the order of faults follows a seed
import threading
from collections import Counter
from typing import TYPE_CHECKING

from durable_app.clock import SystemClock
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.server.work import WorkLimits
from tests.contract.faults.fault_proxy import FaultProxy
from tests.contract.rpc_server.bench import Desk, Served

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK = SystemClock()
COUNT = 200
#: A silent loss is noticed by the server after about a second.
LIMITS = WorkLimits(ping_s=0.3, send_timeout_s=1.0, keepalive_s=0.5, keepalive_timeout_s=0.5)
#: Activities of one orchestration: three in a row, then three at a time.
STEPS = 6
EXPECTED = "[0, 1, 2, 10, 11, 12]"


class Rack:
    """A server, the proxy in front of it, and a client that is spared."""

    def __init__(self) -> None:
        self.served = Served(limits=LIMITS)
        self.proxy = FaultProxy(self.served.port)
        self.desk = Desk(self.served.address, "tortured")
        self.faults: Counter[str] = Counter()

    def start_all(self, prefix: str = "one") -> list[str]:
        """Start the orchestrations."""
        return [self.desk.start(f"{prefix}{number}", "steps") for number in range(COUNT)]

    def torture(self, seed: int) -> None:
        """One fault after the other; each kind at least once. Heals at the end."""
        draw = random.Random(seed)
        kinds: list[tuple[str, Callable[[], None], float]] = [
            ("cut", self.proxy.cut, 0.1),
            ("reset", self.proxy.reset, 0.1),
            ("delay", lambda: self.proxy.delay(0.02), 0.3),
            ("throttle", lambda: self.proxy.throttle(50_000), 0.3),
            ("refuse", self._refuse, 0.2),
            ("lose_up", lambda: self.proxy.half_open(loses_up=True), 0.3),
            ("lose_down", lambda: self.proxy.half_open(loses_up=False), 0.3),
            ("black_hole", self.proxy.black_hole, 0.4),
            ("go_away", lambda: self._restart(0.5), 0.1),
            ("crash", lambda: self._restart(0), 0.1),
        ]
        pause = threading.Event()
        draw.shuffle(kinds)
        for name, begin, lasts_s in kinds:
            begin()
            self.faults[name] += 1
            pause.wait(lasts_s)
            self.proxy.heal()
            # Some work gets through in between.
            pause.wait(draw.uniform(0.05, 0.4))

    def _refuse(self) -> None:
        self.proxy.refuse()
        self.proxy.reset()

    def _restart(self, grace_s: float) -> None:
        self.served.stop_server(grace_s)
        self.served.start_server()

    def finish_all(self, ids: list[str], timeout_s: float = 40.0) -> None:
        """Wait for all of them; check what they returned, and their histories."""
        deadline = CLOCK.monotonic() + timeout_s
        for one in ids:
            request = pb.GetInstanceRequest(instanceId=one, getInputsAndOutputs=True)
            left_s = max(deadline - CLOCK.monotonic(), 0.1)
            state = self.desk.ask("WaitForInstanceCompletion", request, left_s).orchestrationState
            assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED, state
            assert state.output.value.replace(" ", "") == EXPECTED.replace(" ", "")
            check_history(self.desk.history(one))

    def close(self) -> None:
        self.desk.close()
        self.proxy.close()
        self.served.close()
        assert self.served.fatal == []


def check_history(events: list[pb.HistoryEvent]) -> None:
    """Nothing is lost, and nothing is there twice."""
    kinds = Counter(event.WhichOneof("eventType") for event in events)
    assert kinds["executionStarted"] == kinds["executionCompleted"] == 1
    scheduled = [e.eventId for e in events if e.HasField("taskScheduled")]
    completed = [e.taskCompleted.taskScheduledId for e in events if e.HasField("taskCompleted")]
    assert len(scheduled) == len(set(scheduled)) == STEPS
    assert sorted(completed) == sorted(scheduled)


def noticed_after(is_so: Callable[[], bool], timeout_s: float = 20.0) -> float:
    """Seconds until something is so."""
    began = CLOCK.monotonic()
    tick = threading.Event()
    while not is_so():
        assert CLOCK.monotonic() - began < timeout_s, "it never was so"
        tick.wait(0.01)
    return CLOCK.monotonic() - began
