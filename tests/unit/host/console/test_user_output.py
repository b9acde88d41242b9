"""What user code logs and prints."""

# ruff: noqa: T201  printing is what is tested

import contextlib
import io
import logging
import os
import sys
import threading
from typing import Any

import pytest

from durable_app.errors import DefinitionError
from durable_app.host.console import user_output
from durable_app.host.console.console import Level
from durable_app.host.console.log_levels import LogLevels
from durable_app.host.console.user_output import MAX_PARTIAL, Capture, UserLogHandler, is_replayed
from durable_app.telemetry import Invocation, current_invocation
from tests.unit.host.console_rig import Written, make_console

ID = "0123456789abcdef0123456789abcdef"
user_log = logging.getLogger("app.orders")


@pytest.fixture
def stream():
    return Written()


@contextlib.contextmanager
def capturing(stream, levels=None, *, show_replay=False, **options):
    console = make_console(stream, levels, **options)
    with contextlib.closing(console), Capture(console, show_replay=show_replay):
        yield console


@contextlib.contextmanager
def running(function="f", invocation_id=ID, *, is_replaying=None):
    invocation = Invocation(function, invocation_id, is_replaying)
    token = current_invocation.set(invocation)
    try:
        yield
    finally:
        current_invocation.reset(token)


# -- print -----------------------------------------------------------------------------------


def test_printed_lines_are_shown_whole_and_in_order(stream):
    with capturing(stream, names_functions=True), running():
        print("one")
        print("t", "w", sep="", end="")
        print("o\nthree\r\n\nfour", end="")
    assert stream.messages() == [
        f"[f {ID[:8]}] {text}" for text in ("one", "two", "three", "", "four")
    ]


def test_what_is_printed_at_import_is_shown_too(stream):
    with capturing(stream, names_functions=True):
        print("loading")
    assert stream.messages() == ["loading"]


def test_lines_of_threads_do_not_mix(stream):
    first_half = threading.Barrier(2)

    def say(word):
        print(word, end=" ")
        first_half.wait()
        print(word)

    with capturing(stream):
        threads = [threading.Thread(target=say, args=(word,)) for word in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(stream.messages()) == ["a a", "b b"]


def test_lines_of_invocations_on_one_thread_do_not_mix(stream):
    with capturing(stream):
        with running("f", "1"):
            print("f ", end="")
        with running("g", "2"):
            print("g")
        with running("f", "1"):
            print("goes on")
    assert stream.messages() == ["g", "f goes on"]


def test_an_unfinished_line_comes_before_the_end_of_its_invocation(stream):
    with capturing(stream) as console:
        with running():
            print("of f", end="")
        with running("g", "2"):
            print("of g", end="")
        console.executed("f", f"{ID[:8]}-{ID[8:12]}-{ID[12:16]}-{ID[16:20]}-{ID[20:]}", 0, None)
        console.always("later")
    assert [line.split(" (")[0] for line in stream.messages()] == [
        "of f",
        "Executed 'Functions.f'",
        "later",
        "of g",
    ]


def test_a_line_without_end_is_cut(stream):
    with capturing(stream):
        print("x" * (MAX_PARTIAL + 1), end="")
        print("y")
    assert stream.messages() == ["x" * (MAX_PARTIAL + 1), "y"]


def test_of_a_progress_bar_the_last_state_is_shown(stream):
    with capturing(stream) as console:
        for percent in range(0, 101, 50):
            sys.stderr.write(f"\r{percent} %")
            assert len(user_output._CAPTURES) == 1
        assert console._unfinished == {
            (sys.stderr, threading.get_ident(), None): "100 %",
        }
        sys.stderr.write("\n10 %\r20 %\r\n")
    assert stream.messages() == ["100 %", "20 %"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("function_app.py:3: DeprecationWarning: old", "33"),
        ("ValueError: x", "31"),
        ("unhandled exception", "31"),
        ("50 %", None),
    ],
)
def test_lines_of_standard_error_are_coloured_by_their_words(line, code, stream):
    with capturing(stream, colour=True):
        print(line, file=sys.stderr)
        print(line)
    coloured = line if code is None else f"\x1b[{code}m{line}\x1b[0m"
    assert stream.messages() == [coloured, line]


def test_a_level_silences_what_is_printed(stream):
    with capturing(stream, LogLevels({}, user_level="Error")):
        print("quiet")
        print("error: loud", file=sys.stderr)
    assert stream.messages() == ["error: loud"]


def test_the_streams_are_good_enough_for_libraries(stream):
    real = sys.stdout
    with capturing(stream):
        out: Any = sys.stdout
        assert issubclass(type(out), io.TextIOBase)
        assert not out.isatty()
        assert out.writable()
        assert not out.readable()
        assert (out.encoding, out.errors, out.name, out.mode) == (
            "utf-8",
            "backslashreplace",
            "<stdout>",
            "w",
        )
        assert sys.stderr.name == "<stderr>"
        assert out.line_buffering
        out.reconfigure(encoding="latin-1")
        out.writelines(["a\n", "b\n"])
        out.flush()
        out.close()
        assert not out.closed
        half, other = "é".encode()[:1], "é".encode()[1:]
        assert out.buffer.write(half) == 1
        out.buffer.write(bytearray(other + b"\n"))
        assert out.buffer.writable()
        out.buffer.close()
        assert not out.buffer.closed
        with pytest.raises(TypeError, match="must be str, not int"):
            out.write(3)
    assert sys.stdout is real
    assert stream.messages() == ["a", "b", "é"]


def test_the_descriptor_is_the_real_one(stream, tmp_path, monkeypatch):
    with (tmp_path / "out").open("w") as real:
        monkeypatch.setattr(sys, "stdout", real)
        with capturing(stream):
            assert sys.stdout.fileno() == sys.stdout.buffer.fileno() == real.fileno()


def test_a_stream_that_was_kept_goes_on_afterwards(stream, monkeypatch):
    real = io.StringIO()
    monkeypatch.setattr(sys, "stdout", real)
    with capturing(stream):
        kept = sys.stdout
        kept.write("before\n")
    kept.write("after\n")
    kept.flush()
    assert stream.messages() == ["before"]
    assert real.getvalue() == "after\n"


def test_a_stream_that_the_app_put_in_place_stays(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    own = io.StringIO()
    with capturing(stream):
        sys.stdout = sys.stderr = own
    assert sys.stdout is own
    assert sys.stderr is own


def test_a_question_comes_after_what_was_printed(stream, monkeypatch):
    asked = []

    def answer(prompt):
        asked.append((prompt, stream.messages()))
        return "42"

    monkeypatch.setattr("builtins.input", answer)
    with capturing(stream):
        print("The question", end="")
        assert input("? ") == "42"
    assert asked == [("? ", ["The question"])]
    assert input("again") == "42"


# -- logging ---------------------------------------------------------------------------------


def test_records_are_shown_with_the_level_of_their_category(stream):
    levels = LogLevels({"Function.f.User": "Debug", "Function.g.User": "Error"})
    with capturing(stream, levels):
        user_log.debug("at import")
        with running("f"):
            user_log.debug("%d%%", 5)
        with running("g"):
            user_log.warning("hidden")
            user_log.critical("shown")
    assert stream.messages() == ["5%", "shown"]


def test_of_our_own_loggers_only_warnings_are_shown(stream):
    ours = logging.getLogger("durable_app.x")
    with capturing(stream), running():
        assert not ours.isEnabledFor(logging.INFO)
        ours.warning("trouble")
        logging.getLogger("asyncio").info("hidden")
    assert stream.messages() == ["trouble"]


def test_levels_of_loggers_are_put_back(stream):
    names = ("", "durable_app", "asyncio")
    before = [logging.getLogger(name).level for name in names]
    rules = {"Function.f.User": "Trace", "Host.durable_app.x": "Debug"}
    with capturing(stream, LogLevels(rules)):
        assert [logging.getLogger(name).level for name in names] == [1, 10, 30]
    assert [logging.getLogger(name).level for name in names] == before


def test_a_silent_console_leaves_the_apps_own_handlers_what_azure_gives_them(stream):
    with capturing(stream, LogLevels({}, is_enabled=False)):
        assert user_log.isEnabledFor(logging.INFO)
        user_log.error("hidden")
        print("hidden")
    assert stream.messages() == []


def test_a_logged_exception_comes_with_the_apps_part_of_its_traceback(stream):
    with capturing(stream), running():
        try:
            raise DefinitionError("wrong")  # noqa: TRY301  it needs a traceback
        except DefinitionError:
            user_log.exception("failed")
            logging.getLogger("durable_app.x").exception("ours")
        user_log.error("no error", exc_info=(None, None, None))
        user_log.info("with stack", stack_info=True)
    text = "\n".join(stream.messages())
    assert text.startswith("failed\nTraceback (most recent call last):\n")
    assert text.count("DefinitionError: wrong") == 2
    assert "\nno error\nwith stack\nStack (most recent call last):\n" in text


def test_a_record_whose_arguments_do_not_fit_is_reported_not_raised(stream):
    record = logging.LogRecord("app", logging.WARNING, "f", 1, "%d", ("x",), None)
    with capturing(stream) as console:
        UserLogHandler(console).handle(record)
    assert any("--- Logging error ---" in line for line in stream.messages())


def test_a_record_that_comes_with_its_traceback_keeps_it(stream):
    record = logging.LogRecord("app", logging.WARNING, "f", 1, "far away", None, None)
    record.exc_text = "Traceback ..."
    with capturing(stream) as console:
        UserLogHandler(console).handle(record)
    assert stream.messages() == ["far away", "Traceback ..."]


def test_a_recursion_in_a_record_is_the_apps(stream):
    class Endless:
        def __str__(self):
            return str(self)

    record = logging.LogRecord("app", logging.WARNING, "f", 1, "%s", (Endless(),), None)
    with capturing(stream) as console, pytest.raises(RecursionError):
        UserLogHandler(console).handle(record)


# -- replays ---------------------------------------------------------------------------------


def test_what_a_replay_says_again_is_dropped_for_every_handler(stream):
    seen: list[str] = []

    class Own(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    own = Own()
    user_log.addHandler(own)
    try:
        with capturing(stream):
            for replaying in (True, False):
                with running(is_replaying=lambda answer=replaying: answer):
                    user_log.warning("logged")
                    logging.getLogger("library").warning("of a library")
                    print("printed")
    finally:
        user_log.removeHandler(own)
    assert stream.messages() == ["logged", "of a library", "printed"]
    assert seen == ["logged"]


def test_the_host_may_warn_during_a_replay(stream):
    with capturing(stream), running(is_replaying=lambda: True):
        logging.getLogger("durable_app.worker").warning("trouble")
    assert stream.messages() == ["trouble"]


def test_replays_are_shown_when_asked_for(stream):
    with capturing(stream, show_replay=True), running(is_replaying=lambda: True):
        user_log.warning("again")
        print("again")
    assert stream.messages() == ["again", "again"]


def test_logging_is_as_before_afterwards(stream):
    before = logging.Logger.handle
    with capturing(stream):
        assert logging.Logger.handle is not before
    assert logging.Logger.handle is before


def test_only_orchestrators_replay():
    assert not is_replayed(None)
    assert not is_replayed(Invocation("f", ID))
    assert is_replayed(Invocation("f", ID, lambda: True))


# -- JSON, children --------------------------------------------------------------------------


def test_json_says_who_wrote_a_line(stream):
    with capturing(stream, json_only=True), running():
        print("hello")
    assert '"category": "Host.Function.Console"' in stream.getvalue()
    assert '"function": "f"' in stream.getvalue()
    assert f'"invocationId": "{ID[:8]}-' in stream.getvalue()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_speaks_for_itself(stream, tmp_path, monkeypatch):
    path = tmp_path / "child"
    with path.open("w") as real:
        monkeypatch.setattr(sys, "stdout", real)
        with capturing(stream):
            print("unfinished", end="")
            child = os.fork()
            if child == 0:
                with contextlib.suppress(BaseException):
                    print("of the child", flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            print()
    assert path.read_text() == "of the child\n"
    assert stream.messages() == ["unfinished"]


def test_after_a_fork_streams_and_logging_are_the_childs_own(stream):
    real, handle = sys.stdout, logging.Logger.handle
    with capturing(stream):
        print("of the parent, who shows it", end="")
        user_output._in_child()
        assert sys.stdout is real
        assert logging.Logger.handle is handle
        assert not user_output._CAPTURES
    assert stream.messages() == []


def test_a_level_between_those_of_python_counts_as_the_lower(stream):
    with capturing(stream, colour=True):
        user_log.log(35, "between")
        user_log.log(99, "above")
    assert stream.messages() == ["\x1b[33mbetween\x1b[0m", "\x1b[31mabove\x1b[0m"]
    assert Level.CRITICAL < Level.NONE
