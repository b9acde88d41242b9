from __future__ import annotations

import pytest

from durable_app.errors import NonDeterminismError, TaskFailedError
from durable_app.protocol import FailureDetails
from durable_app.replay.failures import failure_of


class PaymentError(Exception):
    pass


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def caught(error: BaseException, cause: BaseException | None = None) -> BaseException:
    with pytest.raises(type(error)) as caught_again:
        raise error from cause
    return caught_again.value


def test_types_are_bare_for_builtins_and_for_our_own_errors() -> None:
    assert failure_of(ValueError("x")).error_type == "ValueError"
    assert failure_of(NonDeterminismError("x")).error_type == "NonDeterminismError"
    assert failure_of(PaymentError("x")).error_type == f"{__name__}.PaymentError"


def test_the_stack_trace_names_the_line_and_ends_with_the_error() -> None:
    trace = failure_of(caught(PaymentError("declined"))).stack_trace
    assert trace is not None
    assert "in caught" in trace
    assert trace.endswith("PaymentError: declined")


def test_causes_are_inner_failures() -> None:
    failure = failure_of(caught(PaymentError("declined"), caught(OSError("no line"))))
    assert failure.inner_failure is not None
    assert failure.inner_failure.error_type == "OSError"
    assert failure.inner_failure.inner_failure is None
    assert "no line" not in (failure.stack_trace or "")


def test_a_ring_of_causes_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    depth, failure = 0, failure_of(first)
    while failure.inner_failure is not None:
        depth, failure = depth + 1, failure.inner_failure
    assert depth == 15


def test_what_a_task_reported_is_the_inner_failure() -> None:
    details = FailureDetails("ValueError", "boom")
    assert failure_of(TaskFailedError("a failed", details)).inner_failure is details


def test_an_exception_without_a_text_is_described_all_the_same() -> None:
    failure = failure_of(caught(MuteError()))
    assert failure.error_message == "<MuteError whose text cannot be made: RuntimeError>"
    assert failure.stack_trace is not None


def test_an_exception_that_cannot_be_formatted_keeps_its_name() -> None:
    class HostileError(Exception):
        __notes__ = property(lambda self: 1 / 0)

    assert "HostileError" in (failure_of(HostileError("x")).stack_trace or "")


def test_a_text_that_no_row_can_hold_is_escaped() -> None:
    name = b"caf\xe9.txt".decode("utf-8", "surrogateescape")
    failure = failure_of(caught(PaymentError(f"no bill in {name}")))
    assert failure.error_message == "no bill in caf\\udce9.txt"
    assert failure.stack_trace is not None
    assert failure.stack_trace.endswith("caf\\udce9.txt")
