"""Functions that configure_scheduled_tasks adds to an app."""

from __future__ import annotations

import azure.functions as func
import pytest

import durable_app as df
from durable_app.functions.index import index_app, index_of
from durable_app.functions.scheduled_tasks import serves_scheduled_tasks

NAMES = [
    "scheduled_task_entity",
    "execute_schedule_operation_orchestrator",
    "scheduled_run_orchestrator",
]


def names(app: df.DFApp) -> list[str]:
    return [facts.name for facts in index_app(app).functions]


def test_they_are_functions_like_any_other() -> None:
    app = df.DFApp()
    app.configure_scheduled_tasks()

    index = index_app(app)

    assert [facts.name for facts in index.functions] == NAMES
    assert list(index.entities) == ["schedule"]
    entity = index.entities["schedule"]
    assert entity.bindings[0]["entityName"] == "schedule"
    assert [each.get_function_name() for each in app.get_functions()] == NAMES


def test_schedules_are_served_where_all_of_them_run() -> None:
    assert not serves_scheduled_tasks(index_app(df.DFApp()))
    app = df.DFApp()
    app.configure_scheduled_tasks()
    index = index_app(app)
    assert serves_scheduled_tasks(index)
    for missing in NAMES:
        some = index_of([each for each in index.functions if each.name != missing])
        assert not serves_scheduled_tasks(some)


def test_an_entity_of_the_app_is_no_schedule() -> None:
    app = df.DFApp()

    @app.entity_trigger(context_name="context", entity_name="schedule")
    def schedule(context: df.DurableEntityContext) -> None:
        context.set_state(1)

    assert not serves_scheduled_tasks(index_app(app))


@pytest.mark.parametrize("of_app", [False, True])
def test_they_are_added_once(*, of_app: bool) -> None:
    app, first, second = df.DFApp(), df.Blueprint(), df.Blueprint()
    for container in (app, first, second) if of_app else (first, second):
        container.configure_scheduled_tasks()
        container.configure_scheduled_tasks()
    app.register_functions(first)
    app.register_functions(second)
    app.configure_scheduled_tasks()

    assert names(app) == NAMES


def test_an_entity_of_that_name_is_refused() -> None:
    app = df.DFApp()
    app.configure_scheduled_tasks()

    @app.entity_trigger(context_name="context", entity_name="Schedule")
    def mine(context: df.DurableEntityContext) -> None:
        context.set_state(1)

    with pytest.raises(df.DefinitionError, match=r"test_scheduled_tasks.py:\d+: entity 'schedule'"):
        index_app(app)


def test_a_function_of_that_name_is_refused() -> None:
    app = df.DFApp()
    app.configure_scheduled_tasks()

    @app.route("x")
    def scheduled_task_entity(req: func.HttpRequest) -> str:
        return str(req.url)

    with pytest.raises(df.DefinitionError, match="function 'scheduled_task_entity' is the name"):
        index_app(app)


def test_other_functions_stay() -> None:
    app = df.DFApp()
    app.configure_scheduled_tasks()

    @app.entity_trigger(context_name="context")
    def counter(context: df.DurableEntityContext) -> None:
        context.set_state(1)

    @app.route("x")
    def page(req: func.HttpRequest) -> str:
        return str(req.url)

    assert names(app) == [*NAMES, "counter", "page"]


def test_an_app_that_was_indexed_takes_no_more() -> None:
    app = df.DFApp()
    index_app(app)
    with pytest.raises(df.DefinitionError, match="decorated after the app was indexed"):
        app.configure_scheduled_tasks()
