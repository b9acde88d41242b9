"""The four bindings of Durable Functions, as azure-functions writes them into its metadata.

The parameters of ``__init__`` become the keys of the binding in camel case; None is left out.
"""

from __future__ import annotations

from azure.functions.decorators.core import InputBinding, Trigger

ORCHESTRATION_TRIGGER = "orchestrationTrigger"
ACTIVITY_TRIGGER = "activityTrigger"
ENTITY_TRIGGER = "entityTrigger"
DURABLE_CLIENT = "durableClient"


class OrchestrationTrigger(Trigger):
    """Runs an orchestrator. ``orchestration``: its name, None for the function's."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding in the metadata."""
        return ORCHESTRATION_TRIGGER

    def __init__(self, name: str, orchestration: str | None = None) -> None:
        self.orchestration = orchestration
        super().__init__(name=name)


class ActivityTrigger(Trigger):
    """Runs an activity. ``activity``: its name, None for the function's."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding in the metadata."""
        return ACTIVITY_TRIGGER

    def __init__(self, name: str, activity: str | None = None) -> None:
        self.activity = activity
        super().__init__(name=name)


class EntityTrigger(Trigger):
    """Runs an entity. ``entity_name``: its name, None for the function's."""

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding in the metadata."""
        return ENTITY_TRIGGER

    def __init__(self, name: str, entity_name: str | None = None) -> None:
        self.entity_name = entity_name
        super().__init__(name=name)


class DurableClientInput(InputBinding):
    """Gives a function a client of the task hub.

    ``task_hub`` and ``connection_name`` None: those of host.json.
    """

    @staticmethod
    def get_binding_name() -> str:
        """Type of the binding in the metadata."""
        return DURABLE_CLIENT

    def __init__(
        self, name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> None:
        self.task_hub = task_hub
        self.connection_name = connection_name
        super().__init__(name=name)
