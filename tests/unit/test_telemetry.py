"""Who observes invocations can be called as the worker and the host call it."""

import inspect

import pytest

from durable_app.host.console.console import Console
from durable_app.telemetry import InvocationObserver


@pytest.mark.parametrize("method", ["executing", "executed"])
def test_the_console_is_an_observer(method: str) -> None:
    wanted = inspect.signature(getattr(InvocationObserver, method))
    assert inspect.signature(getattr(Console, method)) == wanted
