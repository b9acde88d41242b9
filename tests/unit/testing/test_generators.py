"""The wrapper of 1.x around an orchestrator's generator."""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest

from durable_app.testing import orchestrator_generator_wrapper


class Failed:
    @property
    def result(self) -> Any:
        raise ValueError("no")


def chain(tasks: list[Any]) -> Generator[Any, Any, list[Any]]:
    results = []
    for task in tasks:
        try:
            results.append((yield task))
        except ValueError as error:
            results.append(str(error))
    return results


def test_tasks_then_the_output() -> None:
    tasks = [SimpleNamespace(result=1), Failed(), SimpleNamespace(result=3)]

    assert list(orchestrator_generator_wrapper(chain(tasks))) == [*tasks, [1, "no", 3]]


def test_an_orchestrator_that_waits_for_nothing() -> None:
    assert list(orchestrator_generator_wrapper(chain([]))) == [[]]


def test_what_the_orchestrator_raises_passes_through() -> None:
    def failing() -> Generator[Any, Any, None]:
        yield Failed()

    steps = orchestrator_generator_wrapper(failing())
    next(steps)

    with pytest.raises(ValueError, match="no"):
        next(steps)
