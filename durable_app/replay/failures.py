"""Exceptions as failure details, and failure details as exceptions."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

import msgspec

from durable_app.errors import NonRetriableError, TaskFailedError
from durable_app.exception_types import base_names, class_to_raise, type_name
from durable_app.payload import from_text, to_text
from durable_app.protocol import FailureDetails

_PACKAGE: Final = str(PurePath(__file__).parent.parent / "_")[:-1]
_MAX_CHAIN: Final = 16
"""Most causes that are told; a chain can be a ring."""
_CAUSED: Final = "The above exception was the direct cause of the following exception:"
_PASSED_ON: Final = TaskFailedError.__name__


def failure_of(error: BaseException) -> FailureDetails:
    """Describe an exception of user code.

    The type is the bare class name for built-in exceptions and for those of this package, else
    qualified with its module. The stack trace has the frames of user code alone. The inner failure
    is what the exception was raised from; of a failed task it is what the task reported.

    It is non-retriable if the exception is a NonRetriableError, if its attribute
    ``is_non_retriable`` is True, or if the failed task's failure was. Its properties are the
    exception's attribute ``properties``, where that is a mapping.
    """
    return _describe(error, _MAX_CHAIN)


def _describe(error: BaseException, levels: int) -> FailureDetails:
    inner: FailureDetails | None = None
    if isinstance(error, TaskFailedError):
        inner = error.details
    elif error.__cause__ is not None and levels > 1:
        inner = _describe(error.__cause__, levels - 1)
    return FailureDetails(
        type_name(type(error)),
        _storable(_message(error)),
        _storable(_stack_trace(error)),
        inner,
        _is_non_retriable(error),
        _properties(error),
        tuple(map(_storable, base_names(type(error)))),
    )


def _is_non_retriable(error: BaseException) -> bool:
    if isinstance(error, TaskFailedError):
        return error.details.is_non_retriable
    return isinstance(error, NonRetriableError) or _attribute(error, "is_non_retriable") is True


def _properties(error: BaseException) -> dict[str, Any] | None:
    given = _attribute(error, "properties")
    if not isinstance(given, Mapping) or not given:
        return None
    try:
        return {_storable(str(key)): _property(value) for key, value in given.items()}
    except Exception:  # noqa: BLE001  a mapping of the user's
        return None


def _property(value: Any) -> Any:
    """Return plain JSON structure that can be stored; of what has none at least its type."""
    try:
        plain = from_text(to_text(value))
        msgspec.msgpack.encode(plain)  # refuses whole numbers of more than 64 bits
    except Exception:  # noqa: BLE001  encoding runs the user's classes
        return f"<{type(value).__name__}>"
    return plain


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return getattr(error, name, None)
    except Exception:  # noqa: BLE001  it may be computed by the user's code
        return None


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


def passed_on(failure: FailureDetails) -> Iterator[FailureDetails]:
    """Give the failure, and what it only passes on: that of a task, which nobody caught."""
    yield failure
    while failure.error_type.rpartition(".")[2] == _PASSED_ON and failure.inner_failure is not None:
        failure = failure.inner_failure
        yield failure


def activity_error(name: str, failure: FailureDetails | None, task_id: int) -> TaskFailedError:
    """Return what an orchestrator gets to see when an activity failed."""
    return _task_error(f"Activity function '{name}'", failure, task_id)


def child_error(name: str, failure: FailureDetails | None, task_id: int) -> TaskFailedError:
    """Return what an orchestrator gets to see when a sub-orchestration failed."""
    return _task_error(f"Sub orchestrator function '{name}'", failure, task_id)


def operation_error(
    operation: str, target: str, failure: FailureDetails | None, task_id: int
) -> TaskFailedError:
    """Return what an orchestrator gets to see when an operation of an entity failed."""
    return _task_error(f"Operation '{operation}' of entity '{target}'", failure, task_id)


def _task_error(what: str, failure: FailureDetails | None, task_id: int) -> TaskFailedError:
    details = failure or UNKNOWN_FAILURE
    text = f"{what} failed: {details.error_type}: {details.error_message}"
    return _class_for(details)(text, details, task_id)


def _class_for(failure: FailureDetails) -> type[TaskFailedError]:
    *_, origin = passed_on(failure)
    kind = class_to_raise(origin.error_type)
    if kind is TaskFailedError and origin.is_non_retriable:
        return class_to_raise(NonRetriableError.__name__)
    return kind
