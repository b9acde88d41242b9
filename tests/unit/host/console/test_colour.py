"""When there are colours."""

import io
from typing import TextIO, cast

import pytest

from durable_app.host.console.colour import Paint, is_terminal, wants_colour, without_colour
from tests.unit.host.console_rig import Written


@pytest.mark.parametrize(
    ("environ", "on_terminal", "on_pipe"),
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR": "0"}, False, False),
    ],
)
def test_the_environment_has_its_say(environ, on_terminal, on_pipe):
    assert wants_colour(Written(is_terminal=True), environ) is on_terminal
    assert wants_colour(Written(), environ) is on_pipe


def test_a_stream_that_is_closed_or_absent_is_no_terminal():
    closed, absent = io.StringIO(), cast("TextIO", None)
    closed.close()
    assert not is_terminal(closed, {})
    assert not is_terminal(absent, {})


def test_paint_goes_on_and_comes_off():
    paint = Paint(is_on=True)
    painted = [paint.red("r"), paint.yellow("y"), paint.green("g")]
    assert painted == ["\x1b[31mr\x1b[0m", "\x1b[33my\x1b[0m", "\x1b[32mg\x1b[0m"]
    assert [without_colour(text) for text in painted] == ["r", "y", "g"]
    assert Paint(is_on=False).red("r") == "r"
