"""What values of the vocabulary can tell of themselves."""

from typing import Any

import pytest

from durable_app.protocol import FailureDetails
from durable_app.replay.failures import failure_of


class OutOfStockError(LookupError):
    """An error of an app."""


@pytest.mark.parametrize(
    ("kind", "caused"),
    [
        (OutOfStockError, True),
        (LookupError, True),
        (Exception, True),
        (KeyError, False),
        ("OutOfStockError", True),
        (f"{__name__}.OutOfStockError", True),
        ("LookupError", False),
    ],
)
def test_a_failure_knows_what_it_was_caused_by(kind, caused):
    assert failure_of(OutOfStockError("no screws")).is_caused_by(kind) is caused


def test_an_error_of_python_has_a_bare_name():
    failure = FailureDetails("KeyError", "'id'")
    assert failure.is_caused_by(LookupError)
    assert failure.is_caused_by("KeyError")
    assert not failure.is_caused_by(ValueError)


def test_what_is_no_error_class_is_refused():
    wrong: Any = int
    with pytest.raises(TypeError, match="takes an exception class or a name, not <class 'int'>"):
        FailureDetails("KeyError", "'id'").is_caused_by(wrong)
