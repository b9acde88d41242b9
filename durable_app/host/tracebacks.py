"""Tracebacks as the author of an app wants them: the app's frames, not the host's."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

_OURS: Final = str(Path(__file__).resolve().parent.parent)
_HIDDEN_PARTS: Final = ("<frozen importlib", f"importlib{'/'}__init__.py")


def user_traceback(error: BaseException) -> str:
    """Formatted traceback without frames of this package and of the import machinery.

    If there are no others, the result is the error's own lines only (a syntax error has its place
    in them).
    """
    shown = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = shown
    while link is not None:
        link.stack = _without_host(link.stack)
        link = link.__cause__ or link.__context__
    return "".join(shown.format()).rstrip("\n")


def _without_host(stack: traceback.StackSummary) -> traceback.StackSummary:
    kept = [frame for frame in stack if not _is_host(frame.filename)]
    return traceback.StackSummary.from_list(kept)


def _is_host(filename: str) -> bool:
    return filename.startswith((_OURS, _HIDDEN_PARTS[0])) or filename.endswith(_HIDDEN_PARTS[1])
