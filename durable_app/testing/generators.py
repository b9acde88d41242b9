"""Drives an orchestrator by hand, as the test helper of 1.x does."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any


def orchestrator_generator_wrapper(generator: Generator[Any, Any, Any]) -> Iterator[Any]:
    """Yield each task that an orchestrator waits for, then what it returns.

    The orchestrator gets the ``result`` of each task; where reading it raises, it gets that
    exception. What the orchestrator itself raises passes through.

    Args:
        generator: of an orchestrator that was called with a context, a mock as a rule.
    """
    try:
        task = next(generator)
        while True:
            yield task
            try:
                value = task.result
            except Exception as error:  # noqa: BLE001  the failure of a task is of any type
                task = generator.throw(error)
            else:
                task = generator.send(value)
    except StopIteration as end:
        yield end.value
