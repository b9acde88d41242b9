"""Requests for entities, and a clock that goes on by a second whenever it is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from durable_app.protocol import (
    CompletionToken,
    EntityBatchResult,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityRequest,
    OperationFailure,
    OperationSuccess,
)
from durable_app.replay.entity import EntityDefinition, EntityShape, run_batch
from durable_app.replay.entity_context import DurableEntityContext

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
TOKEN = CompletionToken("e", 1)


def ticking() -> Callable[[], datetime]:
    seconds = count()
    return lambda: NOON + timedelta(seconds=next(seconds))


def signal(operation: str, text: str | None = None, request_id: str = "r") -> Any:
    return EntityOperationSignaled(request_id=request_id, operation=operation, input=text)


def call(operation: str, text: str | None = None, request_id: str = "r") -> Any:
    return EntityOperationCalled(
        request_id=request_id,
        operation=operation,
        input=text,
        parent_instance_id="order-1",
        parent_execution_id="e1",
    )


def a_request(*operations: Any, state: str | None = None) -> EntityRequest:
    asked = tuple(signal(each) if isinstance(each, str) else each for each in operations)
    return EntityRequest("@counter@a", "", state, asked, TOKEN)


def a_class(entity: type) -> EntityDefinition:
    return EntityDefinition("counter", entity, EntityShape.CLASS)


def a_function(function: Callable[..., Any]) -> EntityDefinition:
    def named(context: DurableEntityContext) -> Any:
        # The context comes by name; functions of tests may have another name for it.
        return function(context)

    return EntityDefinition("counter", named, EntityShape.CONTEXT)


def run(
    entity: Any, *operations: Any, state: str | None = None, rollback: bool = True
) -> EntityBatchResult:
    """Run operations on a class, or a function of a DurableEntityContext."""
    definition = a_class(entity) if isinstance(entity, type) else a_function(entity)
    return run_batch(definition, a_request(*operations, state=state), ticking(), rollback=rollback)


def outcomes(result: EntityBatchResult) -> list[str | None]:
    """Results, and error types with messages of what has failed."""
    found: list[str | None] = []
    for each in result.results:
        if isinstance(each, OperationSuccess):
            found.append(each.result)
        else:
            assert isinstance(each, OperationFailure)
            found.append(f"{each.failure.error_type}: {each.failure.error_message}")
    return found
