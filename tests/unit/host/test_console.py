"""Lines of the console."""

import io
import logging
import sys
import threading
from datetime import UTC, datetime

import pytest

from durable_app.clock import SystemClock
from durable_app.host.console import Console, ConsoleHandler, Level, LogLevels


class FixedClock(SystemClock):
    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=UTC)


class Written(io.StringIO):
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


@pytest.fixture
def stream():
    return Written()


@pytest.fixture
def console(stream):
    made = Console(FixedClock(), LogLevels({}), stream=stream, colour=False)
    yield made
    made.close()


def test_invocations_are_shown_as_users_of_core_tools_know_them(console, stream):
    console.executing("chain", "1-2", "")
    console.executed("chain", "1-2", 0.0174, None)
    console.flush()
    assert stream.lines() == [
        "[2026-01-02T03:04:05.678Z] Executing 'Functions.chain' (Reason='(null)', Id=1-2)",
        "[2026-01-02T03:04:05.678Z] Executed 'Functions.chain' (Succeeded, Id=1-2, Duration=17ms)",
    ]


def test_ids_are_shown_as_guids(console, stream):
    console.executing("f", "0123456789abcdef0123456789abcdef", "")
    console.flush()
    assert stream.lines()[0].endswith("Id=01234567-89ab-cdef-0123-456789abcdef)")


def test_a_failure_shows_its_traceback(console, stream):
    console.executed("f", "1", 1.0, "Traceback ...\n  100%\nValueError: x")
    console.flush()
    assert stream.lines()[0].endswith("Executed 'Functions.f' (Failed, Id=1, Duration=1000ms)")
    assert stream.lines()[1].endswith("Exception while executing function: Functions.f")
    assert stream.lines()[2:] == ["Traceback ...", "  100%", "ValueError: x"]


def test_colours_mark_warnings_and_errors(stream):
    console = Console(FixedClock(), LogLevels({}), stream=stream, colour=True)
    console.line("a", Level.WARNING)
    console.line("b", Level.ERROR)
    console.line("c")
    console.close()
    assert stream.lines() == ["\x1b[33ma\x1b[0m", "\x1b[31mb\x1b[0m", "c"]


def test_nothing_is_lost_under_a_burst_from_many_threads(console, stream):
    def burst(name: str) -> None:
        for number in range(500):
            console.line(f"{name} {number}")

    threads = [threading.Thread(target=burst, args=(str(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    console.close()
    assert sorted(stream.lines()) == sorted(f"{i} {n}" for i in range(4) for n in range(500))


def test_a_terminal_that_is_gone_does_not_stop_the_host(stream):
    console = Console(FixedClock(), LogLevels({}), stream=stream, colour=False)
    stream.close()
    console.line("x")
    console.close()
    console.close()
    assert stream.closed


@pytest.mark.parametrize(
    ("rules", "verbose", "category", "expected"),
    [
        ({}, False, "Host.Startup", Level.WARNING),
        ({}, True, "Host.Startup", Level.INFORMATION),
        ({}, False, "Function.chain", Level.INFORMATION),
        ({"default": "Error"}, False, "Function.chain", Level.ERROR),
        ({"default": "Debug"}, True, "Host.Startup", Level.DEBUG),
        ({"Function": "Warning"}, False, "Function.chain", Level.WARNING),
        ({"Function": "None", "Function.chain": "Debug"}, False, "Function.chain", Level.DEBUG),
        ({"Function.chain": "Error"}, False, "Function.chain2", Level.INFORMATION),
        ({"Host": "nonsense"}, False, "Host.x", Level.WARNING),
    ],
)
def test_the_longest_category_decides(rules, verbose, category, expected):
    assert LogLevels(rules, verbose=verbose).threshold(category) is expected


def test_a_silenced_function_is_silent_unless_it_fails(stream):
    console = Console(FixedClock(), LogLevels({"Function": "Error"}), stream=stream, colour=False)
    console.executing("f", "1", "")
    console.executed("f", "1", 0, None)
    console.executed("f", "2", 0, "boom")
    console.close()
    assert [line for line in stream.lines() if "Executed" in line] == [
        "[2026-01-02T03:04:05.678Z] Executed 'Functions.f' (Failed, Id=2, Duration=0ms)"
    ]


def test_pythons_logging_shows_the_apps_lines_and_only_warnings_of_ours(console, stream):
    handler = ConsoleHandler(console)
    for name, level in (("app", 20), ("app", 10), ("durable_app.x", 20), ("durable_app.x", 30)):
        handler.handle(logging.LogRecord(name, level, "f", 1, f"{name} %d%%", (level,), None))
    console.flush()
    assert [line.split("] ")[1] for line in stream.lines()] == ["app 20%", "durable_app.x 30%"]


def test_a_logged_exception_comes_with_its_traceback(console, stream):
    try:
        int("x")
    except ValueError:
        record = logging.LogRecord("app", 40, "f", 1, "failed", None, sys.exc_info())
    ConsoleHandler(console).handle(record)
    console.flush()
    assert stream.lines()[-1].startswith("ValueError: invalid literal")
