from __future__ import annotations

import pytest

from durable_app.errors import (
    NonDeterminismError,
    NonRetriableError,
    PayloadError,
    TaskFailedError,
)
from durable_app.payload import to_text
from durable_app.protocol import EPOCH, FailureDetails, TaskFailed, encode_events
from durable_app.replay.failures import activity_error, child_error, failure_of, failure_text
from tests.unit.replay.world import World, child_failed, details_of, failed


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


def wrong_call() -> None:
    to_text(object())


def test_a_wrong_call_of_ours_ends_at_the_users_line() -> None:
    with pytest.raises(PayloadError) as raised:
        wrong_call()
    trace = failure_of(raised.value).stack_trace or ""
    assert "durable_app/payload" not in trace
    frames = [line for line in trace.splitlines() if line.lstrip().startswith("File ")]
    assert frames[-1].endswith("in wrong_call")


def test_members_of_a_group_show_the_users_frames_alone() -> None:
    with pytest.raises(PayloadError) as raised:
        wrong_call()
    trace = failure_of(ExceptionGroup("several", [raised.value])).stack_trace or ""
    assert "in wrong_call" in trace
    assert "durable_app/payload" not in trace


def test_an_error_without_a_frame_of_the_user_shows_ours() -> None:
    with pytest.raises(PayloadError) as raised:
        to_text(object())
    error = raised.value
    assert error.__traceback__ is not None
    trace = failure_of(error.with_traceback(error.__traceback__.tb_next)).stack_trace or ""
    assert "durable_app" in trace


def test_the_text_of_a_failure_begins_with_its_cause() -> None:
    failure = failure_of(caught(PaymentError("declined"), caught(OSError("no line"))))
    first, caused, second = failure_text(failure).split("\n\n")
    assert first.startswith("Traceback")
    assert first.endswith("OSError: no line")
    assert caused == "The above exception was the direct cause of the following exception:"
    assert second.endswith("PaymentError: declined")


def test_the_text_of_a_failure_without_a_trace_is_its_message() -> None:
    assert failure_text(FailureDetails("E", "boom")) == "E: boom"


def test_the_text_of_a_long_chain_ends() -> None:
    failure = FailureDetails("E", "0")
    for number in range(1, 40):
        failure = FailureDetails("E", f"{number}", inner_failure=failure)
    assert failure_text(failure).count("E: ") == 16


class RefusedError(NonRetriableError):
    pass


class MarkedError(Exception):
    is_non_retriable = True


class TellingError(Exception):
    def __init__(self, properties: object) -> None:
        super().__init__("it tells")
        self.properties = properties


class TreacherousError(Exception):
    @property
    def properties(self) -> object:
        raise RuntimeError("no properties")

    @property
    def is_non_retriable(self) -> bool:
        raise RuntimeError("no mark")


class TrickyMapping(dict[str, int]):
    def items(self):
        raise RuntimeError("no items")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NonRetriableError("x"), True),
        (RefusedError("x"), True),
        (MarkedError("x"), True),
        (TaskFailedError("x", FailureDetails("E", "x", is_non_retriable=True)), True),
        (TaskFailedError("x", FailureDetails("E", "x")), False),
        (ValueError("x"), False),
        (TreacherousError("x"), False),
    ],
)
def test_marks_of_what_would_fail_again(error: Exception, *, expected: bool) -> None:
    assert failure_of(error).is_non_retriable is expected


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"order": 7, "lines": (1, 2), 3: None}, {"order": 7, "lines": [1, 2], "3": None}),
        ({"big": 2**70, "thing": object()}, {"big": "<int>", "thing": "<object>"}),
        ({}, None),
        ("text", None),
        (None, None),
        (TrickyMapping(a=1), None),
    ],
)
def test_properties_travel_as_far_as_they_have_a_json_form(given: object, told: object) -> None:
    failure = failure_of(TellingError(given))
    assert failure.properties == told
    encode_events([TaskFailed(-1, EPOCH, 1, failure)])


def test_properties_that_cannot_be_read_are_left_out() -> None:
    assert failure_of(TreacherousError("x")).properties is None


def test_text_and_types_of_a_failed_task() -> None:
    error = activity_error("pay", FailureDetails("KeyError", "'card'"), 3)
    assert str(error) == "Activity function 'pay' failed: KeyError: 'card'"
    assert isinstance(error, KeyError)
    unknown = activity_error("pay", None, 3)
    assert type(unknown) is TaskFailedError
    assert "without saying why" in str(unknown)


def test_a_childs_failure_is_of_the_type_that_it_only_passed_on() -> None:
    cause = FailureDetails("OSError", "no line")
    error = child_error("ship", FailureDetails("TaskFailedError", "x", None, cause), 1)
    assert isinstance(error, OSError)
    assert error.details.error_type == "TaskFailedError"


def test_an_orchestrator_catches_by_the_type_across_two_levels() -> None:
    def child(context):
        yield context.call_activity("pay")

    def parent(context):
        try:
            yield context.call_sub_orchestrator("child")
        except ValueError as error:
            cause = details_of(error).inner_failure
            return [str(error), cause and cause.error_type]

    below = World(child)
    below.turn(failed(1))
    assert below.failure.error_type == "TaskFailedError"
    above = World(parent)
    above.turn(child_failed(1, below.failure))
    text, inner = above.output
    assert text.startswith("Sub orchestrator function 'child' failed: TaskFailedError: Activity")
    assert inner == "ValueError"
