"""What Azure's Python worker demands of a function, in a few lines."""

from __future__ import annotations

import inspect
import json
import typing

from azure.functions import Out


def raw_bindings(function):
    """Bindings as the host gets them."""
    return [json.loads(text) for text in function.get_raw_bindings()]


def index(app):
    """Name to bindings of all functions, in order."""
    return {
        function.get_function_name(): raw_bindings(function) for function in app.get_functions()
    }


def only(app):
    """The one function of an app."""
    (function,) = app.get_functions()
    return function


def assert_accepts(function):
    """Parameters are the bindings, and each annotation is a class or Out[...]."""
    handle = function.get_user_function()
    assert inspect.isfunction(handle)
    assert not hasattr(handle, "__wrapped__")
    names = {binding["name"] for binding in raw_bindings(function)} - {"$return"}
    assert set(inspect.signature(handle).parameters) - {"context"} == names - {"context"}
    for hint in typing.get_type_hints(handle).values():
        assert isinstance(hint, type) or typing.get_origin(hint) in (Out, list)
