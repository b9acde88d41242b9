"""Names that Azure accepts."""

from __future__ import annotations

import pytest

from durable_app.errors import DefinitionError
from durable_app.functions import names


def function():
    return None


@pytest.mark.parametrize("name", ["a", "orderId", "A1", "x" * 128, "$return"])
def test_binding_names_that_azure_accepts(name):
    names.check_binding_name(name, function)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("order_id", "use orderId, Azure refuses underscores"),
        ("_order", "use order, Azure refuses underscores"),
        ("order-id", "use orderId, Azure refuses anything but letters and digits"),
        ("größe", "use grE, Azure refuses anything but letters and digits"),
        ("1st", "1st: Azure refuses anything but letters and digits"),
        ("", ": Azure refuses anything but letters and digits"),
    ],
)
def test_binding_names_that_azure_refuses(name, advice):
    with pytest.raises(DefinitionError, match=advice):
        names.check_binding_name(name, function)


@pytest.mark.parametrize("name", ["a", "Hello_cities-2", "x" * 128])
def test_function_names_that_azure_accepts(name):
    names.check_function_name(name, function)


@pytest.mark.parametrize("name", ["", "_a", "a b", "ä", "a\n", "x" * 129, "HOST"])
def test_function_names_that_azure_refuses(name):
    with pytest.raises(DefinitionError):
        names.check_function_name(name, function)


@pytest.mark.parametrize("name", [None, "Any name at all", "a.b"])
def test_durable_names_are_free(name):
    names.check_durable_name(name, "activity", function)


def test_a_near_name_is_found_whatever_its_case():
    assert names.did_you_mean("HELLOCITY", ["hello_city", "bye"]) == " Did you mean 'hello_city'?"
    assert names.did_you_mean("x", []) == ""
