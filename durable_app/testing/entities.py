"""Runs one operation of an entity, without a hub."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.functions.decorators.function_app import FunctionBuilder

from durable_app.clock import SystemClock
from durable_app.entity_id import EntityId
from durable_app.functions.app import DFApp
from durable_app.functions.builder import function_of
from durable_app.functions.handles import handle_of
from durable_app.payload import encode_input, from_text, to_text
from durable_app.protocol import (
    CompletionToken,
    EntityBatchRequest,
    OperationFailure,
    OperationRequest,
    SendSignal,
)
from durable_app.replay.entity import EntityBatch
from durable_app.replay.failures import operation_error
from durable_app.worker.entities import definition_of

if TYPE_CHECKING:
    from durable_app.functions.facts import DurableFunction


class EntitySignalAction(NamedTuple):
    """A signal that an operation has sent.

    Attributes:
        input: plain JSON structure.
        scheduled_time: aware UTC; None for at once.
    """

    entity_id: EntityId
    operation: str
    input: Any
    scheduled_time: datetime | None

    def get_input(self, expected_type: Any = None) -> Any:
        """The input as a value of a type; None for plain JSON structure."""
        return from_text(to_text(self.input), expected_type)


class OrchestrationStartAction(NamedTuple):
    """An orchestration that an operation has started.

    Attributes:
        input: plain JSON structure.
    """

    name: str
    instance_id: str
    input: Any

    def get_input(self, expected_type: Any = None) -> Any:
        """The input as a value of a type; None for plain JSON structure."""
        return from_text(to_text(self.input), expected_type)


class EntityTestResult(NamedTuple):
    """What an operation has done.

    Attributes:
        result: what it returned, as plain JSON structure.
        state: that it left, as plain JSON structure; None for none.
        actions: what it sent, in this order.
    """

    result: Any
    state: Any
    actions: tuple[EntitySignalAction | OrchestrationStartAction, ...]

    @property
    def signals(self) -> list[EntitySignalAction]:
        """Signals that it has sent."""
        return [action for action in self.actions if isinstance(action, EntitySignalAction)]

    @property
    def started(self) -> list[OrchestrationStartAction]:
        """Orchestrations that it has started."""
        return [action for action in self.actions if isinstance(action, OrchestrationStartAction)]

    def get_result(self, expected_type: Any = None) -> Any:
        """The result as a value of a type; None for plain JSON structure."""
        return from_text(to_text(self.result), expected_type)

    def get_state(self, expected_type: Any = None) -> Any:
        """The state as a value of a type; None where there is none."""
        return None if self.state is None else from_text(to_text(self.state), expected_type)


def run_entity_operation(
    entity: Any,
    operation: str,
    input: Any = None,
    state: Any = None,
    *,
    key: str = "test",
    name: str | None = None,
    now: datetime | None = None,
) -> EntityTestResult:
    """Run one operation of an entity.

    Args:
        entity: the decorated function or class, or one without a decorator.
        operation: what it shall do.
        input: of the operation; None for none.
        state: before the operation; None for none.
        key: of the entity.
        name: of the entity; None for its own.
        now: aware; when the operation begins. None for the machine's time.

    Raises:
        TaskFailedError: the operation failed; of a built-in or registered exception also that type.
        DefinitionError: it cannot be an entity.
    """
    facts = _facts_of(entity)
    entity_id = EntityId(name or facts.name, key)
    request = EntityBatchRequest(
        str(entity_id),
        None if state is None else to_text(state),
        (OperationRequest(operation, "1", encode_input(input)),),
        CompletionToken("t", 1),
    )
    batch = EntityBatch(
        definition_of(facts), request, SystemClock().now if now is None else lambda: now
    )
    if facts.is_async:
        # On a thread of its own: an event loop may be running here.
        with ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(lambda: asyncio.run(batch.run_async())).result()
    else:
        outcome = batch.run()
    (result,) = outcome.results
    if isinstance(result, OperationFailure):
        raise operation_error(operation, str(entity_id), result.failure, -1)
    actions = tuple(
        EntitySignalAction(
            EntityId.parse(sent.instance_id), sent.name, from_text(sent.input), sent.scheduled_time
        )
        if isinstance(sent, SendSignal)
        else OrchestrationStartAction(sent.name, sent.instance_id, from_text(sent.input))
        for sent in outcome.actions
    )
    return EntityTestResult(from_text(result.result), from_text(outcome.entity_state), actions)


def execute_entity(
    entity: Any,
    operation: str,
    input: Any = None,
    state: Any = None,
    *,
    entity_name: str | None = None,
    entity_key: str = "test",
) -> EntityTestResult:
    """The same as :func:`run_entity_operation`, by the names of 2.x."""
    return run_entity_operation(entity, operation, input, state, key=entity_key, name=entity_name)


def _facts_of(entity: Any) -> DurableFunction:
    builder = entity
    if not isinstance(entity, FunctionBuilder):
        parameters = () if inspect.isclass(entity) else inspect.signature(entity).parameters
        context_name = next(iter(parameters), "context")
        builder = DFApp().entity_trigger(context_name=context_name)(entity)
    handle = handle_of(function_of(builder))
    if handle is None or handle.durable.kind != "entity":
        raise TypeError(f"{entity!r} is no entity: it has another trigger.")
    return handle.durable
