"""Data pipeline: extract, transform many chunks but few at a time, load.

    curl -X POST localhost:7071/api/orchestrators/run_pipeline -d '{"rows": 100, "width": 4}'

`task_all` would start every chunk at once. Here at most `width` are under way: whenever one ends,
`task_any` wakes the orchestrator and it starts the next.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import durable_app as df

bp = df.Blueprint()


@dataclass
class Pipeline:
    """How much to process.

    Attributes:
        rows: number of imaginary rows, numbered from 0.
        chunk_rows: rows per activity.
        width: most activities at the same time, 1 or more.
        chunk_s: seconds of imaginary work per chunk.
    """

    rows: int = 100
    chunk_rows: int = 10
    width: int = 4
    chunk_s: float = 0.0


@dataclass
class Chunk:
    """Rows from `first` up to but not including `end`."""

    first: int
    end: int
    work_s: float


@bp.orchestration_trigger(context_name="context", input_type=Pipeline)
def run_pipeline(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, int]]:
    """Sum up the squares of all rows; the custom status tells the progress."""
    plan: Pipeline = context.get_input() or Pipeline()
    chunks: list[Chunk] = yield context.call_activity(extract, plan, list[Chunk])
    waiting, running = deque(chunks), list[Any]()
    sums: list[int] = []
    while waiting or running:
        while waiting and len(running) < plan.width:
            running.append(context.call_activity(transform, waiting.popleft()))
        done = yield context.task_any(running)
        running.remove(done)
        # A task that has ended gives its result at once, or raises its failure here.
        sums.append((yield done))
        context.set_custom_status(f"{len(sums)} of {len(chunks)} chunks")
    return {"chunks": len(chunks), "total": (yield context.call_activity(load, sums))}


@bp.activity_trigger(input_name="plan")
def extract(plan: Pipeline) -> list[Chunk]:
    """Divide the rows into chunks. Pass references like these, not the rows themselves."""
    starts = range(0, plan.rows, plan.chunk_rows)
    return [Chunk(first, min(first + plan.chunk_rows, plan.rows), plan.chunk_s) for first in starts]


@bp.activity_trigger(input_name="chunk")
async def transform(chunk: Chunk) -> int:
    """Process one chunk. `async def` suits activities that wait for others most of the time."""
    await asyncio.sleep(chunk.work_s)
    return sum(row * row for row in range(chunk.first, chunk.end))


@bp.activity_trigger(input_name="sums")
def load(sums: list[int]) -> int:
    """Store the result; returns it."""
    return sum(sums)
