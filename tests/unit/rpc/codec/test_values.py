"""Presence, times, JSON values and failures on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from durable_app.errors import WireFormatError
from durable_app.protocol import FailureDetails, TraceContext
from durable_app.rpc.codec.values import (
    MAX_CAUSES,
    read_duration,
    read_failure,
    read_optional_trace,
    read_text,
    read_time,
    read_value,
    write_duration,
    write_failure,
    write_time,
    write_trace,
    write_value,
)
from durable_app.rpc.generated import taskhub_pb2 as pb


def test_unset_is_none_and_empty_is_empty():
    message = pb.ActivityRequest()
    assert read_text(message, "input") is None
    message.input.value = ""
    assert read_text(pb.ActivityRequest.FromString(message.SerializeToString()), "input") == ""


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 7, 1, 12, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_times_keep_their_microseconds(moment):
    stamp = Timestamp()
    write_time(moment, stamp)
    assert read_time(stamp, "fireAt") == moment


def test_finer_digits_than_microseconds_are_cut_off():
    assert read_time(Timestamp(seconds=0, nanos=1_999), "fireAt").microsecond == 1


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (253_402_300_800, 0, r"fireAt: 253402300800 s after 1970 is outside of the years 1 to"),
        (-(2**63), 0, "outside of the years 1 to 9999"),
        (0, -1, "fireAt: -1 nanoseconds are no part of a second"),
        (0, 1_000_000_000, "are no part of a second"),
    ],
)
def test_a_time_that_cannot_be_is_refused(seconds, nanos, text):
    with pytest.raises(WireFormatError, match=text) as caught:
        read_time(Timestamp(seconds=seconds, nanos=nanos), "fireAt")
    assert caught.value.field == "fireAt"


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=3), timedelta(microseconds=-1)])
def test_durations_of_both_signs(length):
    message = Duration()
    write_duration(length, message)
    assert read_duration(message, "timeout") == length


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(315_576_000_001, 0), (0, 1_000_000_000), (1, -1), (-1, 1)]
)
def test_a_duration_that_cannot_be_is_refused(seconds, nanos):
    with pytest.raises(WireFormatError, match="are no duration"):
        read_duration(Duration(seconds=seconds, nanos=nanos), "timeout")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2.5, 2.5),
        (2**53 + 1, "9007199254740993"),
        (float("inf"), "inf"),
        ({"a": [1, {"b": None}], "c": {}, "d": []}, {"a": [1, {"b": None}], "c": {}, "d": []}),
        ((1, 2), [1, 2]),
        (timedelta(seconds=1), "0:00:01"),
        ("\udc80", "?"),
    ],
)
def test_json_values(value, arrives):
    message = Value()
    write_value(value, message)
    assert read_value(Value.FromString(message.SerializeToString())) == arrives


@pytest.mark.parametrize(
    ("number", "arrives"), [(float("nan"), "nan"), (float("-inf"), "-inf"), (1e300, 1e300)]
)
def test_numbers_of_others(number, arrives):
    assert read_value(Value(number_value=number)) == arrives


def test_a_value_without_a_kind_is_null():
    assert read_value(Value()) is None


def nested(levels: int) -> object:
    value: object = "end"
    for _ in range(levels):
        value = {"in": value}
    return value


def test_failures_never_become_too_deep_for_a_parser():
    failure = FailureDetails("E", "end", properties={"deep": nested(200)})
    for number in range(200):
        failure = FailureDetails("E", str(number), inner_failure=failure)
    event = pb.WorkItem()
    started = event.orchestratorRequest.pastEvents.add()
    write_failure(failure, started.taskFailed.failureDetails)

    arrived = pb.WorkItem.FromString(event.SerializeToString())

    message = arrived.orchestratorRequest.pastEvents[0].taskFailed.failureDetails
    found: FailureDetails | None = read_failure(message)
    texts = []
    while found is not None:
        texts.append(found.error_message)
        found = found.inner_failure
    assert texts == [str(number) for number in range(199, 199 - MAX_CAUSES, -1)]


def test_the_deepest_failure_with_the_deepest_value_can_be_parsed():
    failure = FailureDetails("E", "end", properties={"deep": nested(200)})
    for _ in range(MAX_CAUSES - 1):
        failure = FailureDetails("E", "", inner_failure=failure)
    item = pb.WorkItem()
    event = item.orchestratorRequest.pastEvents.add()
    write_failure(failure, event.historyState.orchestrationState.failureDetails)
    assert pb.WorkItem.FromString(item.SerializeToString()) == item


def test_a_failure_tells_names_of_files_that_are_no_text():
    message = pb.TaskFailureDetails()
    write_failure(FailureDetails("OSError", "no file caf\udce9", "at caf\udce9"), message)
    assert read_failure(message) == FailureDetails("OSError", "no file caf?", "at caf?")


def test_bases_of_a_failure_travel_and_are_no_property_of_the_user():
    failure = FailureDetails("E", "m", properties={"code": 7}, base_types=("LookupError",))
    message = pb.TaskFailureDetails()
    write_failure(failure, message)
    assert read_failure(message) == failure


def test_a_trace_tells_its_span_once_more():
    message = pb.ActivityRequest()
    context = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01", "vendor=1")
    write_trace(context, message.parentTraceContext)
    assert message.parentTraceContext.spanID == "b" * 16
    assert read_optional_trace(message) == context
