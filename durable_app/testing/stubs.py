"""Other functions in the place of activities."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from azure.functions import FunctionRegister

from durable_app.clock import SystemClock
from durable_app.errors import DefinitionError
from durable_app.functions.app import DFApp
from durable_app.functions.index import AppIndex, FunctionFacts, index_app, index_of
from durable_app.replay.references import name_and_type
from durable_app.worker.built_in import with_built_in
from durable_app.worker.http_caller import HttpCaller

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import DecoratorApi

    from durable_app.functions.facts import DurableFunction

Stubs = Mapping[Any, Callable[[Any], Any]]


def index_with(app: DecoratorApi, stubs: Stubs | None) -> AppIndex:
    """Read an app, or a blueprint alone, with stubs in the place of activities.

    Raises:
        DefinitionError: the app is wrong, or it has no such activity.
        TypeError: a stub is no function.
    """
    index = with_built_in(index_app(_registered(app)), HttpCaller(SystemClock()))
    by_function: dict[str, Callable[[Any], Any]] = {}
    for reference, stub in (stubs or {}).items():
        name, _ = name_and_type(reference, None, "stubs")
        found = index.find("activity", name)
        if found is None:
            raise DefinitionError(index.unknown("activity", name))
        if not callable(stub):
            raise TypeError(f"stubs: of activity '{found.name}' is a function of its input.")
        by_function[found.name] = stub
    stubbed = index_of(
        _stubbed(facts, by_function[facts.name]) if facts.name in by_function else facts
        for facts in index.functions
    )
    # The worker adds the others.
    return stubbed.with_built_in(
        _stubbed(facts, by_function[facts.name])
        for facts in index.built_in.values()
        if facts.name in by_function
    )


def _registered(app: DecoratorApi) -> FunctionRegister:
    if isinstance(app, FunctionRegister):
        return app
    alone = DFApp()
    alone.register_functions(app)
    return alone


def _stubbed(facts: FunctionFacts, stub: Callable[[Any], Any]) -> FunctionFacts:
    durable = cast("DurableFunction", facts.durable)
    parameter = durable.parameter or ""

    def call(**given: Any) -> Any:
        return stub(given[parameter])

    async def call_async(**given: Any) -> Any:
        return await stub(given[parameter])

    # An AsyncMock counts as async here.
    function = call_async if inspect.iscoroutinefunction(stub) else call
    # The input is decoded as for the function itself.
    function.__annotations__ = {parameter: durable.input_annotation or Any}
    return dataclasses.replace(facts, durable=dataclasses.replace(durable, function=function))
