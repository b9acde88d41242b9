"""What a query, a header or a body of the management API is taken for."""

from datetime import UTC, datetime

import pytest

from durable_app.host.api.exchange import ApiRequest
from durable_app.host.api.management_parameters import (
    CONTINUATION_HEADER,
    InvalidJsonError,
    continuation_header,
    continuation_token,
    flag,
    is_json,
    json_text,
    moment,
    page_size,
    statuses,
    wait_s,
)
from durable_app.protocol import OrchestrationStatus


def request(body=b"", headers=None, **query):
    return ApiRequest("GET", (), query, headers or {}, body, "http://localhost/")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.6789012Z", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.6Z", datetime(2026, 1, 2, 3, 4, 5, 600000, UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05 02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("01/02/2026 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("1/2/2026 3:04:05 PM", datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)),
        ("1/2/2026 3:04 AM", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("01/02/2026 03:04:05.25", datetime(2026, 1, 2, 3, 4, 5, 250000, UTC)),
        ("01/02/2026", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026/01/02 03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("Fri, 02 Jan 2026 03:04:05 GMT", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("2026-13-01", None),
        ("13/13/2026", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9" * 400, None),
    ],
)
def test_dates_are_those_that_dotnet_reads(text, expected):
    assert moment(request(createdtimefrom=text), "createdtimefrom") == expected


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1", 1),
        (" 7 ", 7),
        ("+7", 7),
        ("1000", 1000),
        ("1001", 1000),
        ("0", 100),
        ("-1", 100),
        ("1.5", 100),
        ("1e2", 100),
        ("x", 100),
        ("", 100),
        ("9" * 5000, 100),
    ],
)
def test_the_size_of_a_page(text, rows):
    assert page_size(request(top=text)) == rows


@pytest.mark.parametrize(
    ("timeout", "interval", "seconds"),
    [
        ("10", "1", 10.0),
        ("1.5", "1.5", 1.5),
        ("0", "0", 0.0),
        ("1e9", "1", 86_400.0),
        ("10", "", None),
        ("", "1", None),
        ("ten", "1", None),
        ("-1", "1", None),
        ("nan", "1", None),
        ("inf", "1", None),
        ("1e999", "1", None),
    ],
)
def test_waiting_needs_both_numbers(timeout, interval, seconds):
    assert wait_s(request(timeout=timeout, pollinginterval=interval)) == seconds


def test_the_interval_must_fit_into_the_timeout():
    with pytest.raises(
        ValueError, match=r"^Total timeout 1 should be bigger than retry timeout 2$"
    ):
        wait_s(request(timeout="1", pollinginterval="2"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("TRUE", True), (" False ", False), ("1", None), ("yes", None), ("", None)],
)
def test_flags(text, expected):
    for default in (True, False):
        found = flag(request(f=text), "f", default=default)
        assert found is (default if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("running", {OrchestrationStatus.RUNNING}),
        ("Failed, COMPLETED", {OrchestrationStatus.FAILED, OrchestrationStatus.COMPLETED}),
        ("Canceled,nonsense", {OrchestrationStatus.CANCELED}),
        ("nonsense", None),
        ("", None),
    ],
)
def test_unknown_statuses_are_ignored(text, expected):
    assert statuses(request(runtimestatus=text)) == expected


@pytest.mark.parametrize("token", ["1:a", "1:\u00e4\u4e2d", "1:a b\u2028"])
def test_tokens_survive_headers(token):
    header = continuation_header(token)
    assert header[CONTINUATION_HEADER].isascii()
    assert continuation_token(request(headers=header)) == token


@pytest.mark.parametrize("text", ["%", "abc", "\u00e4", "_w=="])
def test_foreign_tokens_are_refused(text):
    with pytest.raises(ValueError, match="no continuation token"):
        continuation_token(request(headers={CONTINUATION_HEADER: text}))


def test_no_token_is_the_first_page_and_the_last():
    assert continuation_token(request(headers={CONTINUATION_HEADER: " "})) is None
    assert continuation_header(None) == {}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/plain", False),
        ("", False),
    ],
)
def test_only_json_is_json(content_type, expected):
    assert is_json(request(headers={"content-type": content_type})) is expected
    assert not is_json(request())


def test_bodies():
    assert json_text(request(b"")) is None
    assert json_text(request(b" \r\n")) is None
    assert json_text(request(b"\xef\xbb\xbf[1]")) == "[1]"
    with pytest.raises(InvalidJsonError, match="Invalid JSON content"):
        json_text(request(b"{oops"))
