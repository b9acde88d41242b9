"""When a call is repeated, and when a channel is replaced. No I/O.

A channel of gRPC reconnects by itself where it notices that its connection is gone. Where it does
not (a half-open connection, an address that now belongs to nobody), its calls fail one after the
other; then another channel helps, which resolves the name again and begins with a new connection.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from durable_app.connection.backoff import backoff_s
from durable_app.rpc.call_kinds import CallKind, is_transport_failure, kind_of, proves_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.connection.options import GrpcClientResiliencyOptions, GrpcRetryPolicyOptions
    from durable_app.ports import Clock


class Repeat(NamedTuple):
    """A call shall be made once more.

    Attributes:
        delay_s: to wait before.
        with_new_token: the hub refused the access token.
    """

    delay_s: float
    with_new_token: bool = False


class CallAttempts:
    """The attempts of one call: decides about the next.

    Args:
        path: of the method.
        retry: which failures of reads are repeated, and when.
        has_token: the call carries an access token.
    """

    __slots__ = ("_attempt", "_has_token", "_may_repeat", "_retry")

    def __init__(self, path: str, retry: GrpcRetryPolicyOptions, *, has_token: bool) -> None:
        self._may_repeat = kind_of(path) is not CallKind.MUTATION
        self._retry = retry
        self._has_token = has_token
        self._attempt = 1

    def after(self, code: str, draw: float) -> Repeat | None:
        """What to do after an attempt has ended with a status.

        Args:
            code: name of the status.
            draw: random, 0 <= draw < 1.
        """
        if code == "UNAUTHENTICATED" and self._has_token:
            # Refused before anything was done: this is safe for every call; once.
            self._has_token = False
            return Repeat(0.0, with_new_token=True)
        retry = self._retry
        if (
            not self._may_repeat
            or code not in retry.retryable_status_codes
            or self._attempt >= retry.max_attempts
        ):
            return None
        delay = backoff_s(
            self._attempt,
            first_s=retry.initial_backoff_seconds,
            cap_s=retry.max_backoff_seconds,
            factor=retry.backoff_multiplier,
            draw=draw,
        )
        self._attempt += 1
        return Repeat(delay)


class FailureTracker:
    """Counts failures of the transport in a row; callable from any thread.

    Args:
        options: how many, and how often a channel may be replaced.
        clock: of the process.
        replace: replaces the channel, called by the thread that saw the last failure.
    """

    def __init__(
        self, options: GrpcClientResiliencyOptions, clock: Clock, replace: Callable[[], object]
    ) -> None:
        self._threshold = options.channel_recreate_failure_threshold
        self._min_interval_s = options.min_recreate_interval_seconds
        self._clock = clock
        self._replace = replace
        self._lock = threading.Lock()
        self._failures = 0
        self._generation = 0
        self._replaced_at: float | None = None

    @property
    def generation(self) -> int:
        """Number of the channel that a call begins on; to be given back when it ends."""
        return self._generation

    def ended(self, path: str, code: str, generation: int) -> None:
        """A call has ended with a status; replaces the channel where that is due.

        Args:
            path: of the method: a long poll that runs into its deadline is no failure.
            code: name of the status, ``OK`` included.
            generation: see :attr:`generation`; what a channel did that is replaced already says
                nothing about the present one.
        """
        if self._is_due(path, code, generation):
            self._replace()

    def _is_due(self, path: str, code: str, generation: int) -> bool:
        failed = is_transport_failure(path, code)
        if not failed and not (proves_transport(code) and self._failures):
            return False
        with self._lock:
            if generation != self._generation:
                return False
            self._failures = self._failures + 1 if failed else 0
            if not self._threshold or self._failures < self._threshold:
                return False
            now = self._clock.monotonic()
            last = self._replaced_at
            if last is not None and now - last < self._min_interval_s:
                return False
            self._replaced_at = now
            self._failures = 0
            self._generation += 1
            return True
