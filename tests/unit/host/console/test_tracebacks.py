"""Tracebacks that end in the app."""

import re
from typing import Any, cast

import azure.functions as func
import pytest

from durable_app.host.console.tracebacks import user_traceback
from durable_app.payload import to_text


def caught(call) -> Any:
    try:
        call()
    except BaseException as error:  # noqa: BLE001  any error will do
        return error
    raise AssertionError("it did not raise")


def files_of(text):
    return set(re.findall(r'File "([^"]+)"', text))


def users_call(bad):
    return to_text(bad)


def test_an_error_of_ours_ends_at_the_users_call():
    text = user_traceback(caught(lambda: users_call(object())))
    assert files_of(text) == {__file__}
    frames = re.findall(r"in (\w+)\n", text)
    assert frames[-1] == "users_call"
    assert "return to_text(bad)" in text


def test_an_error_of_azure_functions_ends_at_the_users_call():
    text = user_traceback(caught(lambda: func.HttpResponse(body=cast("str", object()))))
    assert files_of(text) == {__file__}
    assert "TypeError" in text


def test_causes_are_shown_and_trimmed():
    def outer():
        try:
            users_call(object())
        except Exception as error:
            raise ValueError("outer") from error

    text = user_traceback(caught(outer))
    assert text.count("Traceback (most recent call last)") == 2
    assert "direct cause" in text
    assert files_of(text) == {__file__}


def test_a_context_is_shown_and_trimmed():
    def outer():
        try:
            users_call(object())
        except Exception:  # noqa: BLE001  that is the case
            raise ValueError("outer")  # noqa: B904  that is the case

    text = user_traceback(caught(outer))
    assert "During handling of the above exception" in text
    assert files_of(text) == {__file__}


def test_what_only_the_host_saw_is_left_out():
    hosts_file = to_text.__code__.co_filename
    lookup: Any = eval(compile("lambda: {}['inner']", hosts_file, "eval"))

    def outer():
        try:
            lookup()
        except KeyError as error:
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            raise ValueError("outer")  # noqa: B904  that is the case

    text = user_traceback(caught(outer))
    assert "KeyError" not in text
    assert text.endswith("ValueError: outer")


def test_members_of_groups_are_trimmed():
    group = ExceptionGroup("several", [caught(lambda: users_call(object())), ValueError("x")])
    text = user_traceback(group)
    assert "ExceptionGroup: several (2 sub-exceptions)" in text
    assert "users_call" in text
    assert files_of(text) == {__file__}


def test_a_recursion_is_folded():
    def again():
        again()

    text = user_traceback(caught(again))
    assert "Previous line repeated" in text
    assert len(text.splitlines()) < 20
    assert text.endswith("RecursionError: maximum recursion depth exceeded")


def test_a_syntax_error_is_its_place_alone():
    error = caught(lambda: compile("x = 1\ny = = 2\n", "broken.py", "exec"))
    error.__traceback__ = None
    text = user_traceback(error)
    assert text.startswith('  File "broken.py", line 2\n')
    assert text.endswith("SyntaxError: invalid syntax")


def test_where_no_frame_is_the_users_the_error_stands_alone():
    error = caught(lambda: users_call(object()))
    error.__traceback__ = error.__traceback__.tb_next.tb_next.tb_next
    assert "Traceback" not in user_traceback(error)
    assert user_traceback(ValueError("x")) == "ValueError: x"


def test_notes_are_shown():
    error = caught(lambda: int("x"))
    error.add_note("while counting")
    assert user_traceback(error).endswith("\nwhile counting")


def test_nothing_that_an_error_does_breaks_it():
    class HostileError(Exception):
        def __str__(self):
            raise ValueError("no text")

    class MoreHostileError(Exception):
        def __getattribute__(self, name):
            if name == "__notes__":
                raise RuntimeError("none of your business")
            return super().__getattribute__(name)

    assert "HostileError" in user_traceback(caught(lambda: (_ for _ in ()).throw(HostileError())))
    # From Python 3.12 on the traceback itself says what it could not read.
    assert "MoreHostileError" in user_traceback(MoreHostileError())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_errors_that_end_programs_are_shown_too(error):
    assert user_traceback(error).startswith(type(error).__name__)
