"""What tests of an app need: run it on virtual time, one operation of an entity, old histories."""

from __future__ import annotations

from durable_app.testing.entities import EntityTestResult, execute_entity, run_entity_operation
from durable_app.testing.generators import orchestrator_generator_wrapper
from durable_app.testing.histories import load_history, replay_history, save_history
from durable_app.testing.runner import ActivityCall, AppRunner, run_orchestration

__all__ = [
    "ActivityCall",
    "AppRunner",
    "EntityTestResult",
    "execute_entity",
    "load_history",
    "orchestrator_generator_wrapper",
    "replay_history",
    "run_entity_operation",
    "run_orchestration",
    "save_history",
]
