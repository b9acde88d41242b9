"""Colours of the terminal, and when there are any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_RESET: Final = "\x1b[0m"
_CODES: Final = re.compile(r"\x1b\[[0-9;]*m")
_OFF: Final = frozenset({"", "0", "false"})


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to write colours to a stream.

    ``NO_COLOR`` beats ``FORCE_COLOR`` and ``CLICOLOR_FORCE``, which beat ``TERM=dumb`` and
    ``CLICOLOR=0``; otherwise a terminal gets them.

    Source: no-color.org, bixense.com/clicolors.
    """
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "").casefold() not in _OFF for name in _FORCE):
        return True
    return environ.get("CLICOLOR") != "0" and is_terminal(stream, environ)


_FORCE: Final = ("FORCE_COLOR", "CLICOLOR_FORCE")


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether lines on the stream can be coloured and wiped out again."""
    try:
        return stream.isatty() and environ.get("TERM") != "dumb"
    except (ValueError, AttributeError):
        return False  # closed, or no stream at all (pythonw)


def without_colour(text: str) -> str:
    """The text without colour codes."""
    return _CODES.sub("", text) if "\x1b" in text else text


class Paint:
    """Puts colours around texts, or leaves them as they are.

    Args:
        is_on: whether there are colours.
    """

    def __init__(self, *, is_on: bool) -> None:
        self.is_on = is_on

    def red(self, text: str) -> str:
        """For errors."""
        return self._painted("\x1b[31m", text)

    def green(self, text: str) -> str:
        """For addresses."""
        return self._painted("\x1b[32m", text)

    def yellow(self, text: str) -> str:
        """For warnings and names."""
        return self._painted("\x1b[33m", text)

    def _painted(self, code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if self.is_on else text
