"""What Azure's worker refuses in a plain function, and what it takes in a durable one."""

from __future__ import annotations

import json
import typing
from typing import Any

import azure.functions as func
import pydantic
import pytest
from azure.functions import get_binding_registry

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.functions.index import index_app
from durable_app.functions.worker_rules import check_callable

# The forms before Python 3.9, which users and Azure's worker still write.
OldDict: Any = typing.Dict  # noqa: UP006  the old form is meant
OldList: Any = typing.List  # noqa: UP006  the old form is meant
OldTuple: Any = typing.Tuple  # noqa: UP006  the old form is meant
OldOptional: Any = typing.Optional
T = typing.TypeVar("T")
SCHEDULE = "0 * * * * *"


class Order(pydantic.BaseModel):
    number: int


def http(app):
    return app.route("x", trigger_arg_name="x")


def queue(app):
    return app.queue_trigger("x", "q", "C")


def queue_out(app):
    output, timer = app.queue_output("x", "q", "C"), app.timer_trigger("t", SCHEDULE)
    return lambda function: output(timer(function))


def queue_return(app):
    output, trigger = app.queue_output("$return", "q", "C"), app.queue_trigger("x", "q", "C")
    return lambda function: output(trigger(function))


def events(app):
    return app.event_hub_message_trigger("x", "C", "e", cardinality="many")


def custom(app):
    return app.generic_trigger("x", "fooTrigger")


def activity(app):
    return app.generic_trigger("x", "activityTrigger")


DECLARATIONS = (http, queue, queue_out, queue_return, events, custom, activity)


def plain_function(declare, hints):
    """A function of azure-functions' own FunctionApp, with these annotations."""

    def function(x):
        return x

    def two(x, t):
        return x, t

    chosen = two if declare is queue_out else function
    chosen.__annotations__ = hints
    app = func.FunctionApp()
    declare(app)(chosen)
    return app


def refusal(declare, hints):
    function = plain_function(declare, hints).get_functions()[0]
    callee = function.get_user_function()
    bindings = [json.loads(text) for text in function.get_raw_bindings()]
    try:
        check_callable("f", callee, callee, bindings)
    except DefinitionError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("declare", "hints", "reason"),
    [
        (
            http,
            {"x": OldOptional[dict]},
            "binding x has invalid non-type annotation typing.Optional",
        ),
        (http, {"x": dict[str, Any]}, "binding x has invalid non-type annotation dict[str, typing"),
        (
            http,
            {"x": func.HttpRequest | None},
            "binding x has invalid non-type annotation azure.functions",
        ),
        (
            http,
            {"x": dict},
            'type of x binding in the binding decorator "httpTrigger" does not mat',
        ),
        (
            http,
            {"x": OldDict[str, int]},
            'type of x binding in the binding decorator "httpTrigger" does not match its Python'
            ' annotation "typing.Dict',
        ),
        (http, {"x": func.Out[str]}, 'binding x is declared to have the "in" direction'),
        (http, {"x": "Nowhere"}, "an annotation cannot be resolved (NameError: name 'Nowhere'"),
        (http, {"return": int | None}, "has invalid non-type return annotation int | None"),
        (
            http,
            {"return": dict},
            'Python return annotation "dict" does not match binding type "http',
        ),
        (queue_out, {"x": str}, 'binding x is declared to have the "out" direction'),
        (queue_out, {"x": func.Out}, "binding x has invalid Out annotation"),
        (
            queue_out,
            {"x": func.Out[int | None]},
            "binding x has invalid non-type annotation azure.functions",
        ),
        (custom, {"x": int}, 'type of x binding in the binding decorator "fooTrigger" does not'),
    ],
)
def test_what_the_worker_refuses_is_refused_with_its_words_and_a_way_out(declare, hints, reason):
    text = refusal(declare, hints)
    assert text is not None
    assert text.startswith(f"{__file__}:")
    assert f": cannot load the f function: {reason}" in text
    assert ";" in text


@pytest.mark.parametrize(
    ("declare", "hints"),
    [
        (http, {}),
        (http, {"x": func.HttpRequest, "return": func.HttpResponse}),
        (http, {"x": "func.HttpRequest", "return": "str"}),
        (queue, {"x": func.QueueMessage, "return": int | None}),
        (queue, {"x": str}),
        (queue_out, {"x": func.Out[str]}),
        (queue_out, {"x": func.Out[OldList[str]]}),
        (events, {"x": OldList[func.EventHubEvent]}),
        (custom, {"x": bytes}),
        (activity, {"x": dict, "return": dict}),
    ],
)
def test_what_the_worker_takes_is_taken(declare, hints):
    assert refusal(declare, hints) is None


def test_parameters_and_bindings_are_the_same():
    app = func.FunctionApp()

    @app.route("a")
    def more(req, other):
        return req, other

    with pytest.raises(
        DefinitionError, match=r"declared in Python but not in .*: \{'other'\}; add"
    ):
        index_app(app)
    app = func.FunctionApp()

    @app.timer_trigger("timer", SCHEDULE)
    def fewer():
        return None

    with pytest.raises(DefinitionError, match=r"but not in Python: \{'timer'\}; give"):
        index_app(app)


@pytest.mark.parametrize(("hint", "is_taken"), [(func.Context, True), (None, True), (str, False)])
def test_a_context_without_binding_is_the_invocations(hint, is_taken):
    app = func.FunctionApp()

    def function(req, context):
        return req, context

    function.__annotations__ = {} if hint is None else {"context": hint}
    app.route("x")(function)
    if is_taken:
        assert len(index_app(app).functions) == 1
    else:
        with pytest.raises(DefinitionError, match="expected to be of type azure"):
            index_app(app)


def test_a_converter_that_checks_nothing_takes_everything(monkeypatch):
    converters = get_binding_registry()._bindings
    monkeypatch.setitem(converters, "fooTrigger", object())
    assert refusal(custom, {"x": int}) is None


def test_a_generic_class_is_a_class():
    class Box(typing.Generic[T]):
        pass

    text = refusal(http, {"x": Box})
    assert text is not None
    assert 'does not match its Python annotation "Box"' in text


def test_types_of_extension_packages_are_left_to_them():
    blob_client = type("BlobClient", (), {"__module__": "azurefunctions.extensions.blob"})
    assert refusal(queue, {"x": blob_client}) is None


@pytest.mark.parametrize(
    "hint",
    [
        dict[str, Any],
        OldOptional[dict],
        Order | None,
        list[Order],
        OldList[Order],
        OldDict[str, Order],
        typing.Literal["a"],
        "Unknown",
        "list[Order]",
    ],
)
def test_no_annotation_of_a_durable_function_breaks_indexing(hint):
    app = df.DFApp()

    def decorated(decorator, function, **hints):
        function.__annotations__ = {**hints, "return": hint}
        return decorator(function)

    def act(x):
        return x

    async def act_async(x):
        return x

    def orchestrate(context):
        yield context

    def start(req, client):
        return req, client

    async def start_async(req, client):
        return req, client

    decorated(app.activity_trigger("x"), act, x=hint)
    decorated(app.activity_trigger("x"), act_async, x=hint)
    decorated(app.orchestration_trigger("context"), orchestrate, context=hint)
    for function in (start, start_async):
        app.route(function.__name__)(
            decorated(app.durable_client_input("client"), function, req=hint, client=hint)
        )
    assert len(index_app(app).functions) == 5
