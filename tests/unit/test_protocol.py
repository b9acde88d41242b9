"""What values of the vocabulary can tell of themselves."""

from typing import Any

import pytest

from durable_app.errors import DurableError, TaskTimeoutError
from durable_app.exception_types import class_to_raise
from durable_app.protocol import FailureDetails
from durable_app.replay.failures import failure_of


class ShopError(Exception):
    """Base of an app's errors."""


class OutOfStockError(ShopError, LookupError):
    """An error of an app."""


class LeaveError(BaseException):
    """No error, but an end."""


@pytest.mark.parametrize(
    ("kind", "caused"),
    [
        (OutOfStockError, True),
        (ShopError, True),
        (LookupError, True),
        (Exception, True),
        (BaseException, True),
        (KeyError, False),
        ("OutOfStockError", True),
        (f"{__name__}.OutOfStockError", True),
        ("LookupError", False),
    ],
)
def test_a_failure_knows_what_it_was_caused_by(kind, caused):
    assert failure_of(OutOfStockError("no screws")).is_caused_by(kind) is caused


def test_the_answer_follows_from_the_failure_alone():
    told = FailureDetails("shop.Broken", "", base_types=("shop.ShopError", "OSError"))
    untold = FailureDetails("shop.Broken", "")

    class BrokenError(OSError):
        __module__ = "shop"
        __qualname__ = "Broken"

    class NearError(OSError):
        __module__ = "shop"
        __qualname__ = "ShopError"

    assert all(told.is_caused_by(kind) for kind in (BrokenError, NearError, OSError))
    assert [untold.is_caused_by(kind) for kind in (BrokenError, Exception)] == [True, True]
    # Broken is loaded here and an OSError, which changes nothing.
    assert [untold.is_caused_by(kind) for kind in (NearError, OSError)] == [False, False]


def test_a_class_that_only_shares_the_name_of_pythons_is_another_one():
    class StrangerError(Exception):
        __module__ = "redis.exceptions"
        __qualname__ = "ConnectionError"

    StrangerError.__name__ = "ConnectionError"
    pythons = failure_of(ConnectionError("refused"))
    assert pythons.is_caused_by(ConnectionError)
    assert not pythons.is_caused_by(StrangerError)
    assert failure_of(StrangerError("refused")).is_caused_by(StrangerError)
    assert not failure_of(StrangerError("refused")).is_caused_by(ConnectionError)


def test_errors_of_this_package_are_told_with_their_bases():
    timeout = failure_of(TaskTimeoutError("late"))
    assert timeout.is_caused_by(DurableError)
    assert timeout.is_caused_by(OSError)
    assert not timeout.is_caused_by(ValueError)
    caught = class_to_raise("ValueError")("it failed", FailureDetails("ValueError", ""), 1)
    passed_on = failure_of(caught)
    assert isinstance(caught, ValueError)
    assert passed_on.is_caused_by(DurableError)
    assert not passed_on.is_caused_by(ValueError)
    assert passed_on.inner_failure is not None
    assert passed_on.inner_failure.is_caused_by(ValueError)


@pytest.mark.parametrize("error", [SystemExit(1), LeaveError()])
def test_not_everything_is_an_exception(error):
    failure = failure_of(error)
    assert failure.is_caused_by(BaseException)
    assert not failure.is_caused_by(Exception)


def test_other_libraries_name_the_module_of_pythons_errors():
    failure = FailureDetails("builtins.KeyError", "")
    assert failure.is_caused_by(LookupError)
    assert failure.is_caused_by("KeyError")
    assert failure.is_caused_by("builtins.KeyError")


def test_an_error_of_python_has_a_bare_name():
    failure = FailureDetails("KeyError", "'id'")
    assert failure.is_caused_by(LookupError)
    assert failure.is_caused_by("KeyError")
    assert failure.is_caused_by("builtins.KeyError")
    assert not failure.is_caused_by(ValueError)


def test_what_is_no_error_class_is_refused():
    wrong: Any = int
    with pytest.raises(TypeError, match="takes an exception class or a name, not <class 'int'>"):
        FailureDetails("KeyError", "'id'").is_caused_by(wrong)
