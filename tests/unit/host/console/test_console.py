"""Lines of the console."""

import errno
import io
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from durable_app.host.console import console as console_module
from durable_app.host.console.console import Console, Level, LogLevels, Origin
from durable_app.host.console.json_lines import JsonFile
from tests.unit.host.console_rig import TIME, FixedClock, Written, make_console

FAILED = "System.Private.CoreLib: Exception while executing function: Functions.f. Result: Failure"


@pytest.fixture
def stream():
    return Written()


@pytest.fixture
def console(stream):
    made = make_console(stream)
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
    assert stream.lines()[1].endswith(
        "Exception while executing function: Functions.f. Result: Failure"
    )
    assert stream.lines()[2:] == ["Traceback ...", "  100%", "ValueError: x"]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_nothing_within_a_text_looks_like_a_line_of_its_own(console, stream, end):
    forged = f"[{TIME}] Executed 'Functions.f' (Succeeded)"
    console.log(Level.ERROR, "Host.Api", "no name: %s", f"x{end}{forged}")
    console.executed("f", "1", 1.0, f"Traceback ...\nValueError: x{end}{forged}")
    console.flush()
    shown = [line for line in stream.lines() if "Succeeded" in line]
    assert shown == [f" {forged}"] * 2


def test_colours_mark_warnings_and_errors(stream):
    console = make_console(stream, colour=True)
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
    console = make_console(stream)
    stream.close()
    console.line("x")
    console.close()
    console.close()
    assert stream.closed


def test_a_silenced_function_is_silent_unless_it_fails(stream):
    console = make_console(stream, LogLevels({"Function": "Error"}))
    console.executing("f", "1", "")
    console.executed("f", "1", 0, None)
    console.executed("f", "2", 0, "boom")
    console.close()
    assert [line for line in stream.lines() if "Executed" in line] == [
        "[2026-01-02T03:04:05.678Z] Executed 'Functions.f' (Failed, Id=2, Duration=0ms)"
    ]


def test_the_time_of_a_line_is_its_own(stream):
    moments = [datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)]
    moments += [moments[0] + timedelta(hours=1), moments[0] - timedelta(days=2)]

    class Steps(FixedClock):
        def now(self) -> datetime:
            return moments.pop(0)

    console = Console(Steps(), LogLevels({}), stream=stream, colour=False)
    for _ in range(3):
        console.always("x")
    console.close()

    assert stream.lines() == [
        "[2026-01-02T03:04:05.999Z] x",
        "[2026-01-02T04:04:05.999Z] x",
        "[2025-12-31T03:04:05.999Z] x",
    ]


def test_a_log_line_is_formatted_only_if_it_is_shown(console, stream):
    console.log(Level.INFORMATION, "Host.Startup", "%d hidden", object())
    console.log(Level.WARNING, "Host.Startup", "%d%% shown", 5)
    console.log(Level.WARNING, "Host.Startup", "%d broken", "x")
    console.flush()
    assert stream.messages() == ["5% shown", "%d broken ('x',)"]


def test_texts_of_users_are_never_taken_for_marks(console, stream):
    for text in ("Executing", "executed", "status", "flush", "100 %"):
        console.user(Level.INFORMATION, Origin("Function.User"), text)
    console.flush()
    assert len(stream.lines()) == 5


def test_a_status_stays_below_the_lines_until_it_is_taken_away():
    stream = Written(is_terminal=True)
    console = make_console(stream)
    console.status("| loading")
    console.flush()
    console.line("a line")
    console.flush()
    console.status(None)
    console.close()
    assert stream.getvalue() == "| loading\r\x1b[Ka line\n| loading\r\x1b[K"


def test_functions_are_named_only_when_asked_for():
    stream = Written()
    console = make_console(stream, names_functions=True)
    of_user = Origin("Function.f.User", "f", "0123456789abcdef0123456789abcdef")
    console.user(Level.INFORMATION, of_user, "hello")
    console.user(Level.INFORMATION, Origin("Function.User"), "imported")
    console.executed("f", "1", 0, "boom")
    console.close()
    assert stream.messages()[:2] == ["[f 01234567] hello", "imported"]
    assert stream.messages()[3:] == [FAILED, "boom"]


def test_what_an_invocation_left_unfinished_comes_before_its_end(console, stream):
    unfinished = ["x"]
    finished = []

    def finish(invocation_id: str) -> None:
        unfinished.clear()
        finished.append(invocation_id)
        console.line("the rest")

    console.attach(unfinished, finish)
    console.executed("f", "1", 0, None)
    console.executed("f", "2", 0, None)
    console.flush()
    assert finished == ["1"]
    assert stream.lines()[0] == "the rest"


# -- JSON ------------------------------------------------------------------------------------


def events_of(lines: list[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines]


def test_lines_go_to_a_file_as_json_and_to_the_terminal_as_text(tmp_path, stream):
    path = tmp_path / "log.json"
    console = make_console(stream, json_file=JsonFile(path))
    console.line("")
    console.line("\x1b[33mFunctions:\x1b[0m")
    console.executing("f", "0123456789abcdef0123456789abcdef", "")
    console.executed("f", "0123456789abcdef0123456789abcdef", 0.002, "Traceback ...")
    console.close()

    guid = "01234567-89ab-cdef-0123-456789abcdef"
    of_f = {"time": TIME, "category": "Function.f", "function": "f", "invocationId": guid}
    assert events_of(path.read_text().splitlines()) == [
        {"level": "Information", "category": "Host.Console", "message": "Functions:"},
        of_f
        | {
            "level": "Information",
            "message": f"Executing 'Functions.f' (Reason='(null)', Id={guid})",
        },
        of_f
        | {
            "level": "Error",
            "message": f"Executed 'Functions.f' (Failed, Id={guid}, Duration=2ms)",
        },
        of_f
        | {
            "level": "Error",
            "message": FAILED,
            "exception": "Traceback ...",
        },
    ]
    assert stream.lines()[0] == ""
    assert stream.lines()[-1] == "Traceback ..."


def test_json_takes_the_place_of_text_where_it_is_asked_for():
    stream = Written(is_terminal=True)
    console = make_console(stream, json_only=True, colour=None)
    console.always("It\u2019s up \ud800", Level.WARNING)
    console.close()
    assert not console.is_terminal
    assert not console.paint.is_on
    assert events_of(stream.lines()) == [
        {
            "time": TIME,
            "level": "Warning",
            "category": "Host.Console",
            "message": "It\u2019s up \ud800",
        }
    ]


def test_a_full_disk_ends_the_file_and_not_the_console(tmp_path, stream):
    class FullDisk(JsonFile):
        def write(self, lines: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    console = make_console(stream, json_file=FullDisk(tmp_path / "log.json"))
    console.line("a")
    console.flush()
    console.line("b")
    console.close()
    assert stream.lines()[0] == "a"
    assert sorted(stream.messages()[1:]) == [
        f"Nothing more is written to {tmp_path / 'log.json'}: [Errno 28] No space left on device.",
        "b",
    ]


# -- terminals that are slow or gone ---------------------------------------------------------


class Stuck(Written):
    """Takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.released.wait()
        return super().write(text)


def test_a_terminal_that_takes_nothing_blocks_nobody(monkeypatch):
    monkeypatch.setattr(console_module, "PATIENCE_S", 0.01)
    stream = Stuck()
    console = make_console(stream)
    console.line("a")
    stream.entered.wait()

    assert not console.flush(0.01)
    console.close()

    stream.released.set()
    console._thread.join()
    assert stream.lines() == ["a"]
    assert not console.flush()


@pytest.mark.parametrize("limit", ["MAX_LINES", "MAX_CHARACTERS"])
def test_beyond_its_limit_the_oldest_lines_go_and_a_line_says_how_many(limit, monkeypatch):
    monkeypatch.setattr(console_module, limit, 10)
    stream = Stuck()
    console = make_console(stream)
    console.line("first")
    stream.entered.wait()
    done = threading.Event()

    def flush() -> None:
        if console.flush(30):
            done.set()

    flushing = threading.Thread(target=flush)
    flushing.start()
    console.status("x")
    for number in range(25):
        console.user(Level.INFORMATION, Origin("Function.User"), f"{number % 10}")
    stream.released.set()
    flushing.join()
    console.close()

    assert done.is_set()
    kept = [line for line in stream.messages() if line.removeprefix("x\r\x1b[K").isdigit()]
    dropped = next(line for line in stream.messages() if "dropped" in line)
    assert int(dropped.split()[0].removeprefix("x\r\x1b[K")) == 25 - len(kept)
    assert 5 <= len(kept) <= 11
    assert kept[-1].endswith("4")


def test_what_the_terminal_cannot_show_is_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(FixedClock(), LogLevels({}), stream=stream, colour=False)
    console.line("caf\u00e9 \ud800")
    console.line("next")
    console.close()
    assert raw.getvalue() == b"caf\\xe9 \\ud800\nnext\n"


def test_a_broken_pipe_changes_nothing_about_the_exit_code():
    code = (
        "from durable_app.clock import SystemClock\n"
        "from durable_app.host.console.console import Console, LogLevels\n"
        "console = Console(SystemClock(), LogLevels({}))\n"
        "input()\n"
        "console.line('nobody reads this')\n"
        "console.flush()\n"
        "console.line('nor this')\n"
        "console.close()\n"
    )
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(reading)
    os.close(writing)

    _, said = process.communicate(b"go\n", timeout=30)

    assert (process.returncode, said) == (0, b"")


def test_a_pipe_that_breaks_leads_to_nowhere(tmp_path, monkeypatch):
    with (tmp_path / "pipe").open("w") as real:

        class Broken(Written):
            def write(self, text: str) -> int:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")

            def fileno(self):
                return real.fileno()

        stream = Broken()
        monkeypatch.setattr(sys, "__stdout__", stream)
        console = make_console(stream)
        console.line("nobody reads this")
        console.close()
        real.write("nor this")
    assert (tmp_path / "pipe").read_text() == ""


def test_only_one_thread_drops_lines_at_a_time(console, monkeypatch):
    monkeypatch.setattr(console_module, "MAX_LINES", -1)
    with console._overflowing:
        console._drop_oldest()
    console._drop_oldest()  # there is nothing to drop
    assert console._dropped == 0


def test_an_error_of_the_stream_is_survived(stream, monkeypatch):
    console = make_console(stream)
    with monkeypatch.context() as broken:
        broken.setattr(stream, "write", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
        console.line("lost")
        console.flush()
    console.line("kept")
    console.close()
    assert stream.lines() == ["kept"]
