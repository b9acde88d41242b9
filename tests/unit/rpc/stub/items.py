"""Work items for tests."""

from __future__ import annotations

from typing import Any

from durable_app.protocol import (
    ActivityRequest,
    CompletionToken,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityRequest,
    OrchestrationInstance,
    OrchestratorRequest,
    OrchestratorStarted,
)


def token(text: str) -> CompletionToken:
    return CompletionToken(text, -1)


def activity(text: str, task_id: int = 1, name: str = "double") -> ActivityRequest:
    instance = OrchestrationInstance("one", "e")
    return ActivityRequest(name, None, "1", instance, task_id, token(text))


def turn(text: str, instance_id: str = "one", **fields: Any) -> OrchestratorRequest:
    started = OrchestratorStarted()
    given: dict[str, Any] = {"past_events": [], "new_events": [started], **fields}
    return OrchestratorRequest(instance_id, "e", "chain", token=token(text), **given)


def batch(text: str, *request_ids: str) -> EntityRequest:
    operations = tuple(
        EntityOperationSignaled(request_id=each, operation="add", target_instance_id=None)
        for each in request_ids
    )
    return EntityRequest("@counter@a", "e", "1", operations, token(text))


def called(text: str, parent: str | None) -> EntityRequest:
    operation = EntityOperationCalled(
        request_id="r", operation="add", parent_instance_id=parent, parent_execution_id="p"
    )
    return EntityRequest("@counter@a", "e", "1", (operation,), token(text))
