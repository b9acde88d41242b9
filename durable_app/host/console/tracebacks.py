"""Tracebacks as the author of an app wants them: the app's frames, not the host's."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

import azure.functions

_HIDDEN: Final = (
    f"{Path(__file__).resolve().parents[2].as_posix()}/",
    f"{Path(azure.functions.__file__).resolve().parent.as_posix()}/",
    "<frozen importlib",
)
_IMPORT_MACHINERY: Final = "importlib/__init__.py"


def user_traceback(error: BaseException) -> str:
    """Formatted traceback without frames of this package, of azure-functions and of imports.

    What the app called wrongly is thereby shown at the app's own line, the last one. Causes,
    contexts and the members of groups are treated alike; an error that only the host saw on the
    way is left out. Where no frame is the app's, the result is the error's own lines only (a
    syntax error has its place in them). Never raises.
    """
    try:
        shown = traceback.TracebackException.from_exception(error, compact=True)
        _trim(shown)
        return "".join(shown.format()).rstrip("\n")
    except Exception:  # noqa: BLE001  formatting asks the app's classes for their text
        return type(error).__name__


def user_place(error: BaseException) -> str:
    """``FILE:LINE: `` of the app's line that was at work, or "" where none was."""
    stack = _without_host(traceback.extract_tb(error.__traceback__))
    return f"{stack[-1].filename}:{stack[-1].lineno}: " if stack else ""


def _trim(shown: traceback.TracebackException) -> None:
    """Without the host's frames, in the error and in all that it is linked with."""
    to_do = [shown]
    while to_do:
        one = to_do.pop()
        one.stack = _without_host(one.stack)
        if one.__context__ is not None and _is_hosts_own(one.__context__):
            one.__context__ = None
        links = (one.__cause__, one.__context__, *(one.exceptions or ()))
        to_do.extend(link for link in links if link is not None)


def _is_hosts_own(shown: traceback.TracebackException) -> bool:
    """Whether an error was raised and handled in the host, so that it says nothing to the app."""
    return bool(shown.stack) and all(_is_host(frame.filename) for frame in shown.stack)


def _without_host(stack: traceback.StackSummary) -> traceback.StackSummary:
    kept = [frame for frame in stack if not _is_host(frame.filename)]
    return traceback.StackSummary.from_list(kept)


def _is_host(filename: str) -> bool:
    plain = filename.replace("\\", "/")
    return plain.startswith(_HIDDEN) or plain.endswith(_IMPORT_MACHINERY)
