"""What a function gets as its parameter ``context``."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Final

from azure.functions import Context
from azure.functions._abc import RetryContext

from durable_app.host.console.console import dashed
from durable_app.protocol import TraceContext
from durable_app.telemetry import current_invocation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from durable_app.ports import Clock


# Version, trace id, parent id, flags; what a newer version adds is kept (W3C Trace Context).
_TRACE_PARENT: Final = re.compile(
    r"(?!ff)[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(-.*)?", re.ASCII
)


def trace_context_of(headers: Mapping[str, str]) -> TraceContext | None:
    """The W3C trace context of a request; None where it has none, or one that is malformed.

    Args:
        headers: looked up by lower-case name.
    """
    parent = headers.get("traceparent", "").strip()
    if not _TRACE_PARENT.fullmatch(parent):
        return None
    return TraceContext(parent, headers.get("tracestate"))


class _TraceContext:
    """W3C trace headers of the request that led here; all optional."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.trace_parent = headers.get("traceparent")
        self.Traceparent = self.trace_parent
        self.trace_state = headers.get("tracestate")
        self.Tracestate = self.trace_state
        self.attributes: dict[str, str] = {}
        self.Attributes = self.attributes


class Retry(RetryContext):
    """Which run of a function with a retry policy this is.

    Args:
        retry_count: runs before this one.
        max_retry_count: runs after the first one at most; -1 for no limit.
    """

    def __init__(self, retry_count: int, max_retry_count: int) -> None:
        self._retry_count = retry_count
        self._max_retry_count = max_retry_count

    @property
    def retry_count(self) -> int:
        """Runs before this one."""
        return self._retry_count

    @property
    def max_retry_count(self) -> int:
        """Runs after the first one at most; -1 for no limit."""
        return self._max_retry_count

    @property
    def exception(self) -> Any:
        """None: the failure before was shown on the console."""
        return None


class InvocationContext(Context):
    """What a function gets as its parameter ``context``."""

    def __init__(
        self,
        function: str,
        directory: Path,
        invocation_id: str,
        headers: Mapping[str, str],
        storage: threading.local,
        retry: Retry | None = None,
    ) -> None:
        self._function = function
        self._directory = directory
        self._invocation_id = invocation_id
        self._trace_context = _TraceContext(headers)
        self._storage = storage
        self._retry = retry

    @property
    def invocation_id(self) -> str:
        """Id of this invocation."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """A place where user threads may note the invocation they work for."""
        return self._storage

    @property
    def function_name(self) -> str:
        """Name of the function."""
        return self._function

    @property
    def function_directory(self) -> str:
        """Folder of the app."""
        return str(self._directory)

    @property
    def trace_context(self) -> Any:
        """Trace headers of the request."""
        return self._trace_context

    @property
    def retry_context(self) -> Any:
        """Which run this is; None for a function without a retry policy."""
        return self._retry


class InvocationContexts:
    """Makes what the functions of one app get as their parameter ``context``.

    Args:
        folder: of the app.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._storage = threading.local()

    def make(
        self,
        function: str,
        invocation_id: str,
        headers: Mapping[str, str],
        retry: Retry | None = None,
    ) -> InvocationContext:
        """The context of one invocation.

        Args:
            invocation_id: as it is shown, with dashes.
            headers: the W3C trace headers of what led here, if there are any.
            retry: which run this is, of a function with a retry policy.
        """
        return InvocationContext(
            function, self._folder, invocation_id, headers, self._storage, retry
        )

    def of_this(self, function: str, clock: Clock) -> InvocationContext:
        """The context of the invocation that this thread or task works for.

        Where nobody observes invocations, nobody has given this one an id: it gets a new one.
        """
        going_on = current_invocation.get()
        if going_on is None or going_on.function != function:
            return self.make(function, dashed(clock.new_id()), {})
        trace = going_on.trace_context
        headers = {} if trace is None else {"traceparent": trace.trace_parent}
        if trace is not None and trace.trace_state:
            headers["tracestate"] = trace.trace_state
        return self.make(function, dashed(going_on.invocation_id), headers)
