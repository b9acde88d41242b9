"""Several versions of an orchestration, and durable names that are used twice."""

from __future__ import annotations

import azure.functions as func
import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.functions.index import index_app
from tests.unit.functions.azure_worker import index


def v1(context):
    return context, "1"


def v2(context):
    return context, "2"


def latest(context):
    return context, "latest"


@pytest.fixture
def app():
    return df.DFApp()


def order(app, function, version=None, input_type=None):
    trigger = app.orchestration_trigger("context", "order", input_type, version=version)
    return trigger(function)


def facts_of(app):
    return index_app(app).orchestrations["order"].durable


def test_versions_of_one_name_are_one_function(app):
    order(app, v1, "1.0")
    order(app, v2, "2.0", dict)
    order(app, latest)

    assert list(index(app)) == ["v1"]
    facts = facts_of(app)
    assert facts.for_version("1.0") == (v1, None)
    assert facts.for_version("2.0") == (v2, dict)
    assert facts.for_version("3.0").function is latest
    assert facts.for_version(None).function is facts.for_version("").function is latest


def test_each_version_has_the_name_of_its_own_function(app):
    order(app, v1, "1.0")
    order(app, latest)
    order(app, v2, "2.0")
    facts = index_app(app).orchestrations["order"]
    names = [facts.name_of_version(version) for version in ("1.0", "2.0", "3.0", "", None)]
    assert names == ["v1", "v2", "latest", "latest", "latest"]


def test_one_version_has_the_name_of_the_function(app):
    order(app, v1, "1.0")
    assert index_app(app).orchestrations["order"].name_of_version("2.0") == "v1"


def test_each_version_can_be_called_and_refers_to_the_name(app):
    builders = order(app, v1, "1.0"), order(app, v2, "2.0")
    assert [builder("c") for builder in builders] == [("c", "1"), ("c", "2")]
    assert {builder.__durable_name__() for builder in builders} == {"order"}


def test_the_name_of_a_function_joins_versions_too(app):
    app.function_name("order")(app.orchestration_trigger("context", version="1")(v1))
    app.function_name("order")(app.orchestration_trigger("context", version="2")(v2))
    assert list(index(app)) == ["order"]
    assert set(facts_of(app).versions) == {"1", "2"}


def test_versions_may_be_spread_over_blueprints(app):
    for function, version in ((v1, "1"), (v2, "2")):
        blueprint = df.Blueprint()
        order(blueprint, function, version)
        app.register_functions(blueprint)
    assert set(facts_of(app).versions) == {"1", "2"}
    assert list(index(app)) == ["v1"]


def test_a_plain_function_app_takes_the_versions_of_one_blueprint():
    app, blueprint = func.FunctionApp(), df.Blueprint()
    order(blueprint, v1, "1")
    order(blueprint, v2, "2")
    app.register_functions(blueprint)
    assert set(facts_of(app).versions) == {"1", "2"}


def test_a_plain_function_app_cannot_join_blueprints():
    app = func.FunctionApp()
    for function, version in ((v1, "1"), (v2, "2")):
        blueprint = df.Blueprint()
        order(blueprint, function, version)
        app.register_functions(blueprint)
    with pytest.raises(DefinitionError, match="orchestration 'order' is defined twice"):
        index_app(app)


def test_an_unknown_version_names_the_known_ones(app):
    order(app, v1, "1.0")
    order(app, v2, "2.0")
    facts = facts_of(app)
    with pytest.raises(DefinitionError, match=r"no version '9'.*knows '1\.0', '2\.0'\. "):
        facts.for_version("9")
    with pytest.raises(DefinitionError, match="has no orchestrator without a version"):
        facts.for_version(None)


@pytest.mark.parametrize(("version", "which"), [(None, ""), ("1.0", r" version '1\.0'")])
def test_one_version_twice_is_refused(app, version, which):
    order(app, v1, version)
    order(app, v2, version)
    text = rf"orchestration 'order'{which} is defined already at .*\.py:\d+.* or another version"
    with pytest.raises(DefinitionError, match=text):
        app.get_functions()


def test_one_function_name_twice_gets_azures_words(app):
    app.orchestration_trigger("context")(v1)
    app.orchestration_trigger("context")(v1)
    with pytest.raises(ValueError, match="v1 does not have a unique function name"):
        app.get_functions()


@pytest.mark.parametrize(
    ("decorator", "first", "second"),
    [("activity_trigger", "work", "work"), ("entity_trigger", "Counter", "counter")],
)
def test_activities_and_entities_have_unique_names(app, decorator, first, second):
    getattr(app, decorator)("context", first)(v1)
    getattr(app, decorator)("context", second)(v2)
    with pytest.raises(DefinitionError, match=r"is defined already at .*give one of them another"):
        app.get_functions()


def test_names_differ_by_case_where_they_are_no_entities(app):
    app.activity_trigger("context", "work")(v1)
    app.activity_trigger("context", "Work")(v2)
    assert set(index_app(app).activities) == {"work", "Work"}
