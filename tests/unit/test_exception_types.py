"""Failures by their types: what an orchestrator can catch, and how an exception becomes text."""

from __future__ import annotations

import abc
import builtins

import pytest

from durable_app.errors import (
    DefinitionError,
    NonRetriableError,
    PayloadError,
    TaskFailedError,
    TaskTimeoutError,
)
from durable_app.exception_types import (
    class_to_raise,
    known_class,
    register_exception,
    type_name,
)
from durable_app.protocol import FailureDetails

DETAILS = FailureDetails("x", "y")
RAISED = [
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, (StopIteration, StopAsyncIteration, ExceptionGroup))
]


class ShopError(Exception):
    pass


class OutOfStockError(ShopError):
    def __init__(self, item: str, left: int) -> None:
        raise AssertionError("the constructor is nobody's business")

    def __new__(cls, item: str, left: int) -> OutOfStockError:
        raise AssertionError("nor is this")

    def __str__(self) -> str:
        raise AssertionError("nor this")


class StrictError(OSError):
    __slots__ = ("code",)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


class AbstractError(Exception, abc.ABC):
    @abc.abstractmethod
    def explain(self) -> str: ...


class NamedError(Exception):
    def __init_subclass__(cls, *, label: str) -> None:
        pass


@pytest.mark.parametrize("name", RAISED)
def test_every_builtin_failure_is_caught_by_its_type(name: str) -> None:
    kind = getattr(builtins, name)
    made = class_to_raise(kind.__name__)
    with pytest.raises(kind) as caught:
        raise made("it failed", DETAILS, 3)
    error = caught.value
    assert isinstance(error, TaskFailedError)
    assert (str(error), error.args, error.details, error.task_id) == (
        "it failed",
        ("it failed",),
        DETAILS,
        3,
    )
    assert type_name(type(error)) == "TaskFailedError"
    assert class_to_raise(f"builtins.{kind.__name__}") is made


@pytest.mark.parametrize(
    "name",
    [
        "StopIteration",
        "StopAsyncIteration",
        "ExceptionGroup",
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
        "BaseException",
        "print",
        "shop.Unknown",
        "",
    ],
)
def test_what_would_mean_something_else_or_is_unknown_is_a_plain_failure(name: str) -> None:
    assert class_to_raise(name) is TaskFailedError


def test_this_packages_own_types() -> None:
    assert issubclass(class_to_raise("NonRetriableError"), NonRetriableError)
    assert issubclass(class_to_raise("TaskTimeoutError"), (TaskTimeoutError, TimeoutError))
    assert class_to_raise("Exception") is TaskFailedError
    assert class_to_raise("PayloadError") is TaskFailedError


@pytest.mark.parametrize("kind", [ShopError, OutOfStockError, StrictError, AbstractError])
def test_a_registered_class_catches_and_none_of_its_code_runs(kind: type[Exception]) -> None:
    name = f"{__name__}.{kind.__name__}"
    assert class_to_raise(name) is TaskFailedError
    try:
        assert register_exception(kind) is kind
        assert known_class(name) is kind
        with pytest.raises(kind) as caught:
            raise class_to_raise(name)("it failed", DETAILS, 3)
        error: object = caught.value
        assert isinstance(error, TaskFailedError)
        assert (str(error), error.details) == ("it failed", DETAILS)
    finally:
        forget(name)


def forget(name: str) -> None:
    from durable_app import exception_types

    exception_types._registered.pop(name, None)
    exception_types._raised.pop(name, None)


def test_a_class_that_is_loaded_again_replaces_the_one_before() -> None:
    def load() -> type[Exception]:
        class LostError(Exception):
            pass

        return LostError

    first, second = register_exception(load()), register_exception(load())
    name = type_name(second)
    try:
        assert type_name(first) == name
        assert issubclass(class_to_raise(name), second)
    finally:
        forget(name)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (KeyboardInterrupt, "takes a class of exceptions"),
        (int, "takes a class of exceptions"),
        (ValueError("x"), "takes a class of exceptions"),
        (type("Sub", (TaskFailedError,), {}), "cannot be a base class"),
        (NamedError, "cannot be a base class"),
    ],
)
def test_what_cannot_be_registered(given: object, text: str) -> None:
    with pytest.raises(DefinitionError, match=text):
        register_exception(given)  # type: ignore[arg-type]  # on purpose


def test_names_as_failures_write_them() -> None:
    assert type_name(ValueError) == "ValueError"
    assert type_name(PayloadError) == "PayloadError"
    assert type_name(ShopError) == f"{__name__}.ShopError"
