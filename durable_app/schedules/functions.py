"""The functions that ``configure_scheduled_tasks`` adds to an app."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol

from durable_app.entity_id import EntityId
from durable_app.payload import from_plain, from_text
from durable_app.schedules import rules
from durable_app.schedules.options import (
    ScheduleCreationOptions,
    ScheduleUpdateOptions,
    check_id,
)
from durable_app.schedules.state import ScheduleState

if TYPE_CHECKING:
    from datetime import datetime

ENTITY_NAME: Final = "schedule"
ENTITY_FUNCTION: Final = "scheduled_task_entity"
OPERATION_ORCHESTRATOR: Final = "execute_schedule_operation_orchestrator"
WATCHER: Final = "scheduled_run_orchestrator"
_RUN: Final = "run_schedule"
_RUN_ENDED: Final = "run_ended"
_RUN_OVER: Final = "run_over"


class _EntityView(Protocol):
    """What the entity needs of its context."""

    @property
    def entity_key(self) -> str: ...
    @property
    def operation_name(self) -> str: ...
    @property
    def current_utc_datetime(self) -> datetime: ...
    def get_input(self) -> Any: ...
    def get_state(self) -> Any: ...
    def set_state(self, state: Any) -> None: ...
    def destruct_on_exit(self) -> None: ...
    def signal_entity(
        self, entity_id: EntityId, operation: str, value: Any, at: datetime, /
    ) -> None: ...
    def start_new_orchestration(self, name: str, value: Any, instance_id: str, /) -> str: ...


class _OrchestratorView(Protocol):
    """What the orchestrators need of theirs."""

    @property
    def instance_id(self) -> str: ...
    def get_input(self) -> Any: ...
    def call_entity(self, entity_id: EntityId, operation: str, value: Any, /) -> Any: ...
    def signal_entity(self, entity_id: EntityId, operation: str, value: Any, /) -> Any: ...
    def call_sub_orchestrator(self, name: str, value: Any, instance_id: str, /) -> Any: ...


_Rule = Callable[[ScheduleState | None, str, Any, "datetime"], rules.Step]


def _create(state: ScheduleState | None, key: str, value: Any, now: datetime) -> rules.Step:
    check_id(key)
    options = from_plain({**value, "schedule_id": key}, ScheduleCreationOptions)
    return rules.create(state, options, now)


def _update(state: ScheduleState | None, key: str, value: Any, now: datetime) -> rules.Step:
    return rules.update(state, key, from_plain(value, ScheduleUpdateOptions), now)


# Names without case and underscores: SDKs of other languages spell them PauseSchedule.
_RULES: Final[dict[str, _Rule]] = {
    "createschedule": _create,
    "updateschedule": _update,
    "pauseschedule": lambda state, key, _value, now: rules.pause(state, key, now),
    "resumeschedule": lambda state, key, _value, now: rules.resume(state, key, now),
    "triggerschedule": lambda state, key, _value, now: rules.trigger(state, key, now),
    "delete": lambda _state, _key, _value, _now: rules.Step(None),
    "runschedule": lambda state, _key, value, now: rules.run(state, value, now),
    "runended": lambda state, _key, value, now: rules.run_reported(state, value, now),
    "runover": lambda state, _key, value, now: rules.run_ended(state, value, now),
}


def scheduled_task_entity(context: _EntityView) -> Any:
    """One schedule: do what ``rules`` say."""
    name = context.operation_name
    rule = _RULES.get(name.replace("_", "").lower())
    if rule is None:
        raise ValueError(f"A schedule knows no operation '{name}'.")
    before = ScheduleState.from_json(context.get_state())
    step = rule(before, context.entity_key, context.get_input(), context.current_utc_datetime)
    if step.state is None:
        context.destruct_on_exit()
        return step.result
    if step.state != before:
        context.set_state(step.state.to_json())
    for effect in step.effects:
        _carry_out(context, step.state, effect)
    return step.result


def _carry_out(context: _EntityView, state: ScheduleState, effect: rules.Effect) -> None:
    told = state.configuration
    own = EntityId(ENTITY_NAME, context.entity_key)
    if isinstance(effect, rules.Wake):
        context.signal_entity(own, _RUN, state.token, effect.at)
        return
    if isinstance(effect, rules.Relay):
        context.signal_entity(own, _RUN_OVER, effect.watcher, effect.at)
        return
    value = from_text(told.orchestration_input)
    if effect.watcher is None:
        context.start_new_orchestration(told.orchestration_name, value, effect.instance_id)
        return
    watch: dict[str, Any] = {"schedule_id": told.schedule_id}
    if isinstance(effect, rules.Start):
        run = {"name": told.orchestration_name, "input": value, "instance_id": effect.instance_id}
        watch["run"] = run
    context.start_new_orchestration(WATCHER, watch, effect.watcher)


def execute_schedule_operation_orchestrator(
    context: _OrchestratorView,
) -> Generator[Any, Any, Any]:
    """One request of a client, which so learns of its outcome."""
    request = context.get_input()
    target = EntityId(ENTITY_NAME, request["schedule_id"])
    return (yield context.call_entity(target, request["operation"], request["input"]))


def scheduled_run_orchestrator(context: _OrchestratorView) -> Generator[Any, Any, str]:
    """Watch one run: tell the schedule when it has ended. Without a run, tell it at once."""
    watch = context.get_input()
    outcome = "Unknown"
    if "run" in watch:
        run = watch["run"]
        try:
            yield context.call_sub_orchestrator(run["name"], run["input"], run["instance_id"])
            outcome = "Completed"
        except Exception:  # noqa: BLE001  the run keeps its own failure; only its end counts here
            outcome = "Failed"
    own = EntityId(ENTITY_NAME, watch["schedule_id"])
    context.signal_entity(own, _RUN_ENDED, context.instance_id)
    return outcome
