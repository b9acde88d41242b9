"""Which status code an error has, and what the client is told."""

from __future__ import annotations

import logging
from typing import Final

import grpc

from durable_app.errors import (
    ConfigError,
    DurableError,
    InstanceExistsError,
    InstanceNotFoundError,
    SchedulerUnavailableError,
    StoreCorruptError,
    StoreUnavailableError,
    TaskHubExistsError,
    TaskHubNotFoundError,
    UnsupportedOnHostError,
    WrongStatusError,
)

_log = logging.getLogger(__name__)

_Code = grpc.StatusCode

#: The first class that fits wins. UNAVAILABLE means "nothing was done": clients repeat such calls.
_CODES: Final[tuple[tuple[type[Exception], grpc.StatusCode], ...]] = (
    (InstanceNotFoundError, _Code.NOT_FOUND),
    (TaskHubNotFoundError, _Code.NOT_FOUND),
    (InstanceExistsError, _Code.ALREADY_EXISTS),
    (TaskHubExistsError, _Code.ALREADY_EXISTS),
    (WrongStatusError, _Code.FAILED_PRECONDITION),
    (UnsupportedOnHostError, _Code.UNIMPLEMENTED),
    (SchedulerUnavailableError, _Code.UNAVAILABLE),
    (StoreUnavailableError, _Code.UNAVAILABLE),
    (StoreCorruptError, _Code.DATA_LOSS),
    (ConfigError, _Code.INVALID_ARGUMENT),
    (ValueError, _Code.INVALID_ARGUMENT),
    (DurableError, _Code.FAILED_PRECONDITION),
)


class RefusedError(Exception):
    """A call that ends with a status.

    Attributes:
        code: status code.
        details: its text.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def refusal(error: Exception, method: str) -> RefusedError:
    """The status of a call that raised something."""
    if isinstance(error, RefusedError):
        return error
    for kind, code in _CODES:
        if isinstance(error, kind):
            return RefusedError(code, str(error))
    _log.error("The call %s failed unexpectedly.", method, exc_info=error)
    return RefusedError(
        _Code.INTERNAL,
        f"The task hub met an unexpected error ({type(error).__name__}); see its log.",
    )
