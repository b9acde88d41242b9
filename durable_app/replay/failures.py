"""Exceptions as failure details, and failure details as exceptions."""

from __future__ import annotations

import builtins
import traceback
from pathlib import PurePath
from typing import Final

from durable_app.errors import DurableError, TaskFailedError
from durable_app.protocol import FailureDetails

_PACKAGE: Final = str(PurePath(__file__).parent.parent / "_")[:-1]
_MAX_CHAIN: Final = 16
"""Most causes that are told; a chain can be a ring."""
_CAUSED: Final = "The above exception was the direct cause of the following exception:"


def failure_of(error: BaseException) -> FailureDetails:
    """Describe an exception of user code.

    The type is the bare class name for built-in exceptions and for those of this package, else
    qualified with its module. The stack trace has the frames of user code alone. The inner failure
    is what the exception was raised from; of a failed task it is what the task reported.
    """
    return _describe(error, _MAX_CHAIN)


def _describe(error: BaseException, levels: int) -> FailureDetails:
    inner: FailureDetails | None = None
    if isinstance(error, TaskFailedError):
        inner = error.details
    elif error.__cause__ is not None and levels > 1:
        inner = _describe(error.__cause__, levels - 1)
    return FailureDetails(
        type_name(type(error)), _storable(_message(error)), _storable(_stack_trace(error)), inner
    )


def type_name(kind: type[BaseException]) -> str:
    """Name an exception class as failures do."""
    if getattr(builtins, kind.__name__, None) is kind or (
        issubclass(kind, DurableError) and kind.__module__.startswith("durable_app.")
    ):
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


def _storable(text: str) -> str:
    """Escape what UTF-8 cannot express, such as a file name in another encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001  a user's __str__ may do anything
        return f"<{type(error).__name__} whose text cannot be made: {type(second).__name__}>"


def _stack_trace(error: BaseException) -> str:
    try:
        shown = traceback.TracebackException.from_exception(error, compact=True)
        _show_users_part(shown)
        # Causes are told by the inner failure.
        return "".join(shown.format(chain=False)).rstrip()
    except Exception:  # noqa: BLE001  formatting calls the user's __str__
        return type(error).__name__


def _show_users_part(shown: traceback.TracebackException) -> None:
    """Leave out the frames of this package, in an error and in the members of a group.

    What user code called wrongly then ends at the user's own line. Where no frame is the user's,
    the error's own lines say all that is of use.
    """
    shown.stack = traceback.StackSummary.from_list(_of_user(shown.stack))
    for member in shown.exceptions or ():
        _show_users_part(member)


def _of_user(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    return [frame for frame in stack if not frame.filename.startswith(_PACKAGE)]


def failure_text(failure: FailureDetails) -> str:
    """What a console shows of a failure: its stack trace, below those of its causes."""
    texts = [_own_text(failure)]
    inner = failure.inner_failure
    while inner is not None and len(texts) < _MAX_CHAIN:
        texts.append(_own_text(inner))
        inner = inner.inner_failure
    return f"\n\n{_CAUSED}\n\n".join(reversed(texts))


def _own_text(failure: FailureDetails) -> str:
    return failure.stack_trace or f"{failure.error_type}: {failure.error_message}"


UNKNOWN_FAILURE: Final = FailureDetails("Unknown", "The task failed without saying why.")


def activity_error(name: str, failure: FailureDetails | None, task_id: int) -> TaskFailedError:
    """Return what an orchestrator gets to see when an activity failed."""
    return _task_error("Activity function", name, failure or UNKNOWN_FAILURE, task_id)


def child_error(name: str, failure: FailureDetails | None, task_id: int) -> TaskFailedError:
    """Return what an orchestrator gets to see when a sub-orchestration failed."""
    return _task_error("Sub orchestrator function", name, failure or UNKNOWN_FAILURE, task_id)


def operation_error(
    operation: str, target: str, failure: FailureDetails | None, task_id: int
) -> TaskFailedError:
    """Return what an orchestrator gets to see when an operation of an entity failed."""
    details = failure or UNKNOWN_FAILURE
    return TaskFailedError(
        f"Operation '{operation}' of entity '{target}' failed:"
        f" {details.error_type}: {details.error_message}",
        details,
        task_id,
    )


def _task_error(what: str, name: str, failure: FailureDetails, task_id: int) -> TaskFailedError:
    return TaskFailedError(
        f"{what} '{name}' failed: {failure.error_type}: {failure.error_message}", failure, task_id
    )
