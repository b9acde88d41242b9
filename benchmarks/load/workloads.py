"""The workloads. Each measures one thing on a system that has just been started.

W1 chain         one orchestration, N activities in sequence: ms per step, flat from 10 to 5,000
W2 fan-out       one orchestration, N activities at once: ms per item
W3 throughput    500 concurrent chains of five: activities per second, p50 and p99; peak memory (W6)
W4 latency       start to completion of a chain of one, on an idle host: p50 and p99
W5 start-up      see ``start_up``: process start to the first result
W7 recovery      200 parked orchestrations, kill -9, restart, signals: seconds until all are done
WE entities      50 of them: signals, calls and locks of two per second, and one of each alone in ms
WB burning       W1 while one sync activity computes all the time
WP computing     200 activities that compute for 20 ms each, with one process and with two
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.load.system import System

PAYLOAD = {"k": "customer-000042", "amount": 1999, "ok": True}
PARKED, PARKED_STEPS = 200, 20


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


async def _timed(system: System, kind: str, n: int) -> float:
    began = time.perf_counter()
    output = await system.wait(await system.start(kind, n))
    if output != n:
        raise AssertionError(f"{kind}({n}) returned {output!r}")
    return time.perf_counter() - began


async def chain(system: System) -> dict[str, Any]:
    await _timed(system, "chain", 3)
    sizes = (10, 100, 1_000, 5_000)
    return {f"ms_per_step_{n}": 1e3 * await _timed(system, "chain", n) / n for n in sizes}


async def fan_out(system: System) -> dict[str, Any]:
    await _timed(system, "chain", 3)
    result: dict[str, Any] = {}
    for n in (100, 1_000, 5_000):
        took = await _timed(system, "fanout", n)
        result |= {f"total_s_{n}": took, f"ms_per_item_{n}": 1e3 * took / n}
    return result


async def throughput(system: System, count: int = 500, steps: int = 5) -> dict[str, Any]:
    for _ in range(5):
        await _timed(system, "chain", steps)
    cpu = time.process_time()
    began = time.perf_counter()
    took = await asyncio.gather(*[_timed(system, "chain", steps) for _ in range(count)])
    total = time.perf_counter() - began
    return {
        "activities_per_s": count * steps / total,
        "orchestrations_per_s": count / total,
        "p50_ms": 1e3 * quantile(took, 0.5),
        "p99_ms": 1e3 * quantile(took, 0.99),
        "cpu_us_per_activity": 1e6 * (time.process_time() - cpu) / (count * steps),
        "peak_rss_mb": peak_rss_mb(),
    }


async def latency(system: System) -> dict[str, Any]:
    for _ in range(5):
        await _timed(system, "chain", 1)
    took = []
    for _ in range(200):
        took.append(await _timed(system, "chain", 1))
        await asyncio.sleep(0.005)
    return {"p50_ms": 1e3 * quantile(took, 0.5), "p99_ms": 1e3 * quantile(took, 0.99)}


async def burning(system: System) -> dict[str, Any]:
    await _timed(system, "chain", 3)
    alone = 1e3 * await _timed(system, "chain", 300) / 300
    burner = await system.start("burning", 8.0)
    await asyncio.sleep(0.3)
    beside = 1e3 * await _timed(system, "chain", 300) / 300
    await system.wait(burner)
    return {"ms_per_step_alone": alone, "ms_per_step_beside": beside}


async def computing(system: System, n: int = 200) -> dict[str, Any]:
    pids: set[int] = set()
    while len(pids) < system.workers:  # processes come one after the other
        pids |= set(await system.wait(await system.start("crunching", 8 * system.workers)))
    began = time.perf_counter()
    ran = await system.wait(await system.start("crunching", n))
    shares = [ran.count(pid) for pid in set(ran)]
    return {"per_s": n / (time.perf_counter() - began), "least_share": min(shares) / n}


async def entities(system: System, senders: int = 100, each: int = 100) -> dict[str, Any]:
    await _timed(system, "calling", 3)
    result: dict[str, Any] = {}
    began, before = time.perf_counter(), system.operation_count()

    async def send(sender: int) -> None:
        for number in range(each):
            await system.signal_entity(sender + number)

    await asyncio.gather(*[send(sender) for sender in range(senders)])
    result["signals_by_clients_per_s"] = await _applied(system, began, before, senders * each)
    began, before = time.perf_counter(), system.operation_count()
    await asyncio.gather(*[_timed(system, "signaling", each) for _ in range(senders)])
    result["signals_by_orchestrations_per_s"] = await _applied(
        system, began, before, senders * each
    )
    for kind, n in (("calling", 50), ("locking", 20)):
        began = time.perf_counter()
        await asyncio.gather(*[_timed(system, kind, n) for _ in range(50)])
        result[f"{kind}_per_s"] = 50 * n / (time.perf_counter() - began)
        result[f"{kind}_alone_ms"] = 1e3 * await _timed(system, kind, 300) / 300
    return result | {"peak_rss_mb": peak_rss_mb()}


async def _applied(system: System, began: float, before: int, count: int) -> float:
    """Signals per second, up to the moment when the last one has run."""
    while system.operation_count() < before + count:  # noqa: ASYNC110  counted on threads
        await asyncio.sleep(0.002)
    return count / (time.perf_counter() - began)


async def first(system: System) -> dict[str, Any]:
    await _timed(system, "chain", 1)
    return {}


async def park(system: System) -> dict[str, Any]:
    ids = [f"parked-{i:04}" for i in range(PARKED)]
    began = time.perf_counter()
    await asyncio.gather(*[system.start("approval", PARKED_STEPS, i) for i in ids])
    while system.activity_count() < PARKED * PARKED_STEPS:  # noqa: ASYNC110  counted on threads
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    await asyncio.sleep(1.0)  # until the waits themselves are durable
    return {"park_s": took}


async def recover(system: System) -> dict[str, Any]:
    ids = [f"parked-{i:04}" for i in range(PARKED)]
    began = time.perf_counter()
    await asyncio.gather(*[system.signal(i, PAYLOAD) for i in ids])
    outputs = await asyncio.gather(*[system.wait(i) for i in ids])
    if any(output != PAYLOAD for output in outputs):
        raise AssertionError("an orchestration lost its event")
    return {"signal_to_done_s": time.perf_counter() - began}


def peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


WORKLOADS = {
    "W1": chain,
    "W2": fan_out,
    "W3": throughput,
    "W4": latency,
    "WE": entities,
    "WB": burning,
    "WP": computing,
    "first": first,
    "park": park,
    "recover": recover,
}
